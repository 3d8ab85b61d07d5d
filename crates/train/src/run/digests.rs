//! The digests of a state: what the log has of each step, and what ranks compare.

use retinanet::determinism::Digest;

use super::log::StepLine;
use super::step::MeanLosses;
use crate::Result;
use crate::digest::TensorDigests;
use crate::state::TrainingState;

/// The digests of all that the next step depends on.
pub(crate) struct Digests {
    pub(super) weights: TensorDigests,
    optimiser: Digest,
    ema: Option<Digest>,
}

/// How many digits of a tensor's digest a line has.
const SHORT: usize = 16;

impl Digests {
    /// Those of a state.
    ///
    /// # Errors
    /// As [`TensorDigests::of`].
    pub(crate) fn of(state: &TrainingState) -> Result<Self> {
        let TrainingState { parameters, optimiser, ema, .. } = state;
        let ema = ema.as_ref().map(|ema| TensorDigests::of_ema(ema, parameters)).transpose()?;
        Ok(Self {
            weights: TensorDigests::of_weights(parameters)?,
            optimiser: TensorDigests::of_optimiser(optimiser, parameters)?.root(),
            ema: ema.map(|digests| digests.root()),
        })
    }

    /// What ranks compare.
    pub(super) fn parts(&self) -> Vec<(&'static str, Digest)> {
        let mut parts =
            vec![("weights", self.weights.root()), ("optimiser's moments", self.optimiser)];
        parts.extend(self.ema.map(|ema| ("average of the weights", ema)));
        parts
    }

    /// A step's line in the log.
    pub(super) fn line(
        self,
        step: u64,
        images: Vec<i64>,
        learning_rate: f64,
        losses: &MeanLosses,
        gradient_norm: f32,
    ) -> StepLine {
        StepLine {
            step,
            images,
            learning_rate,
            classification: losses.classification,
            regression: losses.regression,
            foreground: losses.foreground,
            gradient_norm,
            weights: self.weights.root(),
            optimiser: self.optimiser,
            ema: self.ema,
            tensors: self.tensors(),
        }
    }

    /// The first digits of each tensor's digest.
    fn tensors(&self) -> Vec<String> {
        let short = |digest: &Digest| digest.to_string().chars().take(SHORT).collect();
        self.weights.tensors().iter().map(|(_, digest)| short(digest)).collect()
    }

    /// The first part of a state that is not the one that was logged.
    pub(crate) fn difference(&self, line: &StepLine) -> Option<String> {
        if self.weights.root() != line.weights {
            let ours = self.tensors();
            let names = self.weights.tensors().iter().map(|(name, _)| name);
            let mut pairs = names.zip(ours.iter().zip(&line.tensors));
            let first = pairs.find(|(_, (ours, theirs))| ours != theirs);
            return Some(first.map_or("the list of tensors".to_owned(), |(name, _)| name.clone()));
        }
        if self.optimiser != line.optimiser {
            return Some("the optimiser's moments".to_owned());
        }
        (self.ema != line.ema).then(|| "the average of the weights".to_owned())
    }
}
