//! What came of holding a run against its log.

use std::fmt;
use std::path::PathBuf;

use retinanet::determinism::Digest;
use serde::Serialize;

/// What was looked at, and the first thing that is not as the log says.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct RunVerification {
    /// The hash of the log's last line.
    pub head: Digest,
    /// How many steps the log has.
    pub steps: u64,
    /// How many the recipe has; none where it is another one.
    pub planned: Option<u64>,
    /// Whether the log says that the run came to its end.
    pub complete: bool,
    /// The steps of the saved states that are as the log says.
    pub states: Vec<u64>,
    /// The step after which steps were made again, 0 being the beginning; none where none was.
    pub after: Option<u64>,
    /// How many were made again, and compared with their lines.
    pub compared: u64,
    /// The first difference.
    pub difference: Option<Difference>,
}

impl RunVerification {
    /// Whether all that was looked at is as the log says.
    pub fn is_same(&self) -> bool {
        self.difference.is_none()
    }
}

/// A value in the log, and what it is here.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Part {
    /// What it is: a field of the log's line.
    pub name: &'static str,
    /// What the log says.
    pub logged: String,
    /// What it came to.
    pub here: String,
}

/// Where a run parts from its log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Difference {
    /// What kind of thing it is.
    pub kind: DifferenceKind,
    /// At which step.
    pub step: Option<u64>,
    /// The ids of that step's images.
    pub images: Vec<i64>,
    /// The first tensor that differs, in the model's order.
    pub tensor: Option<String>,
    /// The values that differ.
    pub parts: Vec<Part>,
    /// The file that was changed.
    pub file: Option<PathBuf>,
    /// Why nothing could be compared.
    pub reason: Option<String>,
}

/// What differs first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum DifferenceKind {
    /// The recipe.
    Recipe,
    /// The annotations: images' ids, names and sizes, and their objects.
    Data,
    /// The weights that the run begins with.
    Beginning,
    /// What a step came to.
    Step,
    /// A step that is in the log cannot be made.
    Failed,
    /// The scores of an evaluation, or whether there is one.
    Evaluation,
    /// A saved state; the steps that lead to it are as logged.
    State,
    /// The weights of the model that came of the run, as the log's end has them.
    End,
    /// The model's file.
    Model,
}

impl Difference {
    pub(super) fn new(kind: DifferenceKind, parts: Vec<Part>) -> Self {
        let (step, images, tensor, file, reason) = (None, Vec::new(), None, None, None);
        Self { kind, step, images, tensor, parts, file, reason }
    }
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let step = self.step.unwrap_or(0);
        match self.kind {
            DifferenceKind::Recipe => {
                write!(f, "the recipe is not the one that the log is of; nothing was made again")?;
            }
            DifferenceKind::Data => write!(
                f,
                "the annotations (or which images there are) are not those of the run; no step was made again"
            )?,
            DifferenceKind::Beginning => {
                write!(f, "the weights that the recipe begins with are not those in the log")?;
            }
            DifferenceKind::Step => {
                write!(f, "step {step} is the first that is not as the log says")?;
            }
            DifferenceKind::Failed => {
                write!(f, "step {step}, which is in the log, cannot be made")?;
            }
            DifferenceKind::Evaluation => {
                write!(f, "the evaluation after step {step} is not as the log says")?;
            }
            DifferenceKind::State => write!(
                f,
                "the saved state of step {step} was changed: the step itself is as the log says, and the file is not"
            )?,
            DifferenceKind::End => {
                write!(f, "the last line has other weights than the run ends with")?;
            }
            DifferenceKind::Model => {
                write!(f, "the model's file does not hold the weights that the run ended with")?;
            }
        }
        if let Some(file) = &self.file {
            write!(f, "\n- file: {}", file.display())?;
        }
        if !self.images.is_empty() {
            let images: Vec<String> = self.images.iter().map(i64::to_string).collect();
            write!(f, "\n- its images: {}", images.join(", "))?;
        }
        if let Some(tensor) = &self.tensor {
            write!(f, "\n- the first tensor that differs: {tensor}")?;
        }
        for Part { name, logged, here } in &self.parts {
            write!(f, "\n- {name}: {logged} in the log, {here} here")?;
        }
        if let Some(reason) = &self.reason {
            write!(f, "\n- {reason}")?;
        }
        Ok(())
    }
}

impl fmt::Display for RunVerification {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { head, steps, planned, complete, states, after, compared, difference } = self;
        let of = planned.map(|planned| format!(" of {planned}")).unwrap_or_default();
        let state = if *complete { "complete" } else { "not at its end" };
        writeln!(f, "log: {steps}{of} steps, {state}; no line was changed")?;
        write!(f, "head: {head}")?;
        if !states.is_empty() {
            let list: Vec<String> = states.iter().map(u64::to_string).collect();
            write!(f, "\nsaved states as the log says: of step {}", list.join(", "))?;
        }
        if let Some(after) = after {
            let begun = match after {
                0 => "from the beginning".to_owned(),
                after => format!("after step {after}"),
            };
            write!(f, "\nmade again {begun}, and compared: {compared} steps")?;
        }
        match difference {
            Some(difference) => write!(f, "\ndifferent: {difference}"),
            None => write!(f, "\nsame: all that was compared"),
        }
    }
}
