//! Receipts of training: a run's log is held against its recipe, by making its steps again.
//!
//! The chain of hashes says that no line was changed after others were written; who knows the head knows the whole log. Whether the
//! lines are true, only making the steps again says, from the beginning or after a saved state that is as logged. The first step that differs
//! is named, and in it the first tensor.

mod report;

use std::path::PathBuf;

use retinanet::data::Shard;
use retinanet::determinism::{Digest, NUMERICS_VERSION};
use retinanet::weights::FetchOptions;

pub use report::{Difference, DifferenceKind, Part, RunVerification};

use crate::digest::TensorDigests;
use crate::error::RunError;
use crate::recipe::Recipe;
use crate::run::{Digests, LogHeader, Run, RunFolder, RunLog, Scores, StepLine, Stepper};
use crate::state::{RunSettings, TrainingState, open_model};
use crate::{Error, Result};

/// What is made again, and with what.
#[derive(Default)]
pub struct RerunOptions {
    /// The first and the last step; by default all.
    pub steps: Option<(u64, u64)>,
    /// The recipe, if it lies elsewhere now; its paths are relative to it. By default it is the one in the folder, and its paths are relative to
    /// where it lay.
    pub recipe: Option<Recipe>,
    /// Threads that prepare pictures; `None` is one a core, at most two.
    pub workers: Option<usize>,
    /// How weights that the recipe names are found; `None` is by the environment's variables.
    pub fetch: Option<FetchOptions>,
}

/// What is being looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum VerifyEvent {
    /// So many of so many steps were made.
    Steps {
        /// How many are done.
        done: u64,
        /// How many there are.
        of: u64,
    },
    /// Of an evaluation, so many of so many pictures were looked at.
    Evaluating {
        /// How many are done.
        done: usize,
        /// How many there are.
        of: usize,
    },
}

/// A saved state that is not as logged.
struct Other {
    step: u64,
    path: PathBuf,
    part: String,
}

/// Holds a run's saved states and steps against its log. Steps are made again after the last saved state that lies before them and is as logged,
/// or from the beginning. Where a saved state is not as logged, only the steps that lead to it from the one before are made again:
/// they say which step it was, or that the file was changed.
///
/// # Errors
/// [`RunError::NoStep`] for steps that the log does not have, [`RunError::OtherRun`] for a log of another arithmetic; a recipe, weights or
/// data that cannot be read. What differs is no error, but the report's.
pub fn verify_run(
    log: &RunLog,
    folder: &RunFolder,
    options: RerunOptions,
    watch: &mut dyn FnMut(VerifyEvent),
) -> Result<RunVerification> {
    let RerunOptions { steps, recipe, workers, fetch } = options;
    let (first, last) = steps.unwrap_or((1, log.steps()));
    if steps.is_some() && !(1..=last).contains(&first) || last > log.steps() {
        let asked = if first == last { format!("{first}") } else { format!("{first}..{last}") };
        return Err(RunError::NoStep { asked, steps: log.steps() }.into());
    }
    let recipe = match recipe {
        Some(recipe) => recipe,
        None => folder.open_recipe()?.0,
    };
    let (header, settings) = (log.header(), recipe.run_settings()?);
    let mut report = RunVerification {
        head: log.head(),
        steps: log.steps(),
        planned: None,
        complete: log.end().is_some(),
        states: Vec::new(),
        after: None,
        compared: 0,
        difference: None,
    };
    if settings.recipe != header.recipe {
        let parts = vec![part("recipe", &header.recipe, &settings.recipe)];
        report.difference = Some(Difference::new(DifferenceKind::Recipe, parts));
        return Ok(report);
    }
    report.planned = Some(recipe.run.steps);
    if header.numerics != NUMERICS_VERSION {
        return Err(RunError::OtherRun {
            what: "the arithmetic",
            folder: folder.root().to_owned(),
            logged: header.numerics.to_string(),
            here: NUMERICS_VERSION.to_string(),
            advice: "verify it with a release of the same arithmetic",
        }
        .into());
    }
    let (saved, other) = compare_states(log, folder, &settings, (first, last), &mut report.states)?;
    let state = match saved {
        Some(state) => state,
        None => Run::beginning(&recipe, &settings, fetch)?.0,
    };
    let after = state.step;
    let run = Run::assembled(recipe, state, folder.clone(), workers, Shard::default())?;
    report.difference = compare_beginning(header, &run, &settings)?;
    if report.difference.is_some() {
        return Ok(report);
    }
    let until = other.as_ref().map_or(last, |other| other.step);
    report.after = Some(after);
    let mut rerun = Rerun { log, run, compared: 0 };
    report.difference = rerun.compare(until, watch)?;
    report.compared = rerun.compared;
    if report.difference.is_none() {
        report.difference = match other {
            Some(Other { step, path, part }) => Some(Difference {
                step: Some(step),
                file: Some(path),
                reason: Some(part),
                ..Difference::new(DifferenceKind::State, Vec::new())
            }),
            None if last == log.steps() => compare_end(log, folder, &rerun.run)?,
            None => None,
        };
    }
    Ok(report)
}

/// The last state to begin from for steps from `first` on, and the first state up to `last` that is not as logged. Steps of states that are
/// are added to `same`.
fn compare_states(
    log: &RunLog,
    folder: &RunFolder,
    settings: &RunSettings,
    (first, last): (u64, u64),
    same: &mut Vec<u64>,
) -> Result<(Option<TrainingState>, Option<Other>)> {
    let mut states = folder.states()?;
    // The beginning is the recipe's, which is what the log's first line is about.
    states.retain(|(step, _)| (1..=last).contains(step));
    let begin = states.partition_point(|(step, _)| *step < first);
    let (before, within) = states.split_at(begin);
    let (mut saved, mut other) = (None, None);
    for (step, path) in before.iter().rev() {
        match compare_state(log, settings, *step, path.clone())? {
            Ok(state) => {
                same.push(*step);
                saved = Some(state);
                break;
            }
            Err(differs) => other = Some(differs),
        }
    }
    if other.is_some() {
        return Ok((saved, other));
    }
    let mut latest = None;
    for (step, path) in within {
        match compare_state(log, settings, *step, path.clone())? {
            Ok(state) => {
                same.push(*step);
                latest = Some(state);
            }
            // What leads to it from the state before is made again.
            Err(differs) => return Ok((latest.or(saved), Some(differs))),
        }
    }
    Ok((saved, None))
}

fn compare_state(
    log: &RunLog,
    settings: &RunSettings,
    step: u64,
    path: PathBuf,
) -> Result<Result<TrainingState, Other>> {
    let Some(line) = log.step(step)? else {
        let part = "the log has no such step".to_owned();
        return Ok(Err(Other { step, path, part }));
    };
    let part = match TrainingState::open(&path, settings) {
        Err(error) => error.to_string(),
        Ok(state) if state.step != step => format!("it is the state of step {}", state.step),
        Ok(state) => match Digests::of(&state).map(|digests| digests.difference(&line)) {
            Ok(None) => return Ok(Ok(state)),
            Ok(Some(part)) => format!("{part} differs"),
            Err(error) => error.to_string(),
        },
    };
    Ok(Err(Other { step, path, part }))
}

/// The data, and the weights if the run is at its beginning.
fn compare_beginning(
    header: &LogHeader,
    run: &Run,
    settings: &RunSettings,
) -> Result<Option<Difference>> {
    let weights = TensorDigests::of_weights(&run.state().parameters)?;
    let here = LogHeader::new(&settings.recipe, run.set(), &weights)?;
    if header.data != here.data || header.images != here.images {
        let mut parts = vec![part("data", &header.data, &here.data)];
        if header.images != here.images {
            parts.push(part("images", &header.images, &here.images));
        }
        return Ok(Some(Difference::new(DifferenceKind::Data, parts)));
    }
    let begins = run.state().step == 0;
    if header.tensors != here.tensors || begins && header.weights != here.weights {
        let pairs = here.tensors.iter().zip(&header.tensors);
        let tensor =
            pairs.filter(|(here, logged)| here != logged).map(|(here, _)| here.clone()).next();
        let parts = vec![part("weights", &header.weights, &here.weights)];
        let step = Some(run.state().step);
        let difference = Difference::new(DifferenceKind::Beginning, parts);
        return Ok(Some(Difference { step, tensor, ..difference }));
    }
    Ok(None)
}

struct Rerun<'a> {
    log: &'a RunLog,
    run: Run,
    compared: u64,
}

impl Rerun<'_> {
    /// Makes steps up to `until`, or the first that differs.
    fn compare(
        &mut self,
        until: u64,
        watch: &mut dyn FnMut(VerifyEvent),
    ) -> Result<Option<Difference>> {
        let after = self.run.state().step;
        if until <= after {
            return Ok(None);
        }
        let batch = self.run.recipe().run.batch;
        let mut stepper = Stepper::new(&self.run.state().parameters, batch)?;
        let mut samples = self.run.samples_from(after)?;
        for step in after + 1..=until {
            watch(VerifyEvent::Steps { done: step - after - 1, of: until - after });
            let Some(logged) = self.log.step(step)? else {
                return Err(
                    RunError::NoStep { asked: step.to_string(), steps: self.log.steps() }.into()
                );
            };
            let here = match self.run.make_step(&mut stepper, &mut samples) {
                Ok(line) => line,
                Err(error) => {
                    let reason = match error {
                        Error::Run(RunError::Step { reason, .. }) => reason,
                        error => error.to_string(),
                    };
                    return Ok(Some(Difference {
                        step: Some(step),
                        images: logged.images,
                        reason: Some(reason),
                        ..Difference::new(DifferenceKind::Failed, Vec::new())
                    }));
                }
            };
            self.compared += 1;
            if logged != here {
                return Ok(Some(compare_lines(&logged, &here, &self.log.header().tensors)));
            }
            if let Some(difference) = self.compare_evaluation(step, watch)? {
                return Ok(Some(difference));
            }
        }
        watch(VerifyEvent::Steps { done: until - after, of: until - after });
        Ok(None)
    }

    fn compare_evaluation(
        &mut self,
        step: u64,
        watch: &mut dyn FnMut(VerifyEvent),
    ) -> Result<Option<Difference>> {
        let logged = self.log.evaluations().iter().find(|line| line.step == step);
        let logged = logged.map(|line| line.scores);
        // A run that was stopped makes it when it goes on.
        let pending = step == self.log.steps() && self.log.end().is_none();
        if logged.is_none() && (pending || !self.run.is_evaluation_due()) {
            return Ok(None);
        }
        let here = match self.run.is_evaluation_due() {
            true => self.run.scores(&mut |done, of| watch(VerifyEvent::Evaluating { done, of }))?,
            false => None,
        };
        let parts = compare_scores(logged, here);
        let difference = Difference::new(DifferenceKind::Evaluation, parts);
        Ok((logged != here).then_some(Difference { step: Some(step), ..difference }))
    }
}

fn part(name: &'static str, logged: &impl ToString, here: &impl ToString) -> Part {
    Part { name, logged: logged.to_string(), here: here.to_string() }
}

fn compare_lines(logged: &StepLine, here: &StepLine, names: &[String]) -> Difference {
    let ids = |line: &StepLine| format!("{:?}", line.images);
    let ema = |line: &StepLine| line.ema.map_or("none".to_owned(), |digest| digest.to_string());
    let all = [
        part("images", &ids(logged), &ids(here)),
        part("learning_rate", &logged.learning_rate, &here.learning_rate),
        part("classification", &logged.classification, &here.classification),
        part("regression", &logged.regression, &here.regression),
        part("foreground", &logged.foreground, &here.foreground),
        part("gradient_norm", &logged.gradient_norm, &here.gradient_norm),
        part("weights", &logged.weights, &here.weights),
        part("optimiser", &logged.optimiser, &here.optimiser),
        part("ema", &ema(logged), &ema(here)),
    ];
    let parts = all.into_iter().filter(|part| part.logged != part.here).collect();
    let mut pairs = names.iter().zip(logged.tensors.iter().zip(&here.tensors));
    let tensor = pairs.find(|(_, (logged, here))| logged != here).map(|(name, _)| name.clone());
    let (step, images) = (Some(here.step), here.images.clone());
    let difference = Difference::new(DifferenceKind::Step, parts);
    Difference { step, images, tensor, ..difference }
}

fn compare_scores(logged: Option<Scores>, here: Option<Scores>) -> Vec<Part> {
    let (Some(logged), Some(here)) = (logged, here) else {
        let there = |scores: Option<Scores>| if scores.is_some() { "there" } else { "none" };
        return vec![part("evaluation", &there(logged), &there(here))];
    };
    let shown = |value: Option<f64>| value.map_or("none".to_owned(), |value| value.to_string());
    let all = [
        ("ap", logged.ap, here.ap),
        ("ap50", logged.ap50, here.ap50),
        ("ap75", logged.ap75, here.ap75),
        ("ap_small", logged.ap_small, here.ap_small),
        ("ap_medium", logged.ap_medium, here.ap_medium),
        ("ap_large", logged.ap_large, here.ap_large),
        ("ar_100", logged.ar_100, here.ar_100),
    ];
    let all = all.map(|(name, logged, here)| part(name, &shown(logged), &shown(here)));
    all.into_iter().filter(|part| part.logged != part.here).collect()
}

/// The log's last line, if the run came to its end and so did the steps that were made again; and the model's file.
fn compare_end(log: &RunLog, folder: &RunFolder, run: &Run) -> Result<Option<Difference>> {
    let Some(end) = log.end() else { return Ok(None) };
    let differs = |kind, here: Digest| {
        let parts = vec![part("weights", &end.weights, &here)];
        Difference { step: Some(end.step), ..Difference::new(kind, parts) }
    };
    let state = run.state();
    if state.step != run.recipe().run.steps {
        let reason = Some(format!("the recipe has {} steps", run.recipe().run.steps));
        return Ok(Some(Difference { reason, ..differs(DifferenceKind::End, end.weights) }));
    }
    let model = TensorDigests::of_weights(&*state.model()?)?.root();
    if model != end.weights {
        return Ok(Some(differs(DifferenceKind::End, model)));
    }
    let path = folder.model();
    if !path.exists() {
        return Ok(None);
    }
    let read = open_model(&path, state.parameters.trainable_layers());
    let found = read.and_then(|parameters| Ok(TensorDigests::of_weights(&parameters)?.root()));
    let difference = match found {
        Ok(found) if found == end.weights => return Ok(None),
        Ok(found) => differs(DifferenceKind::Model, found),
        Err(error) => {
            let reason = Some(error.to_string());
            Difference { reason, ..Difference::new(DifferenceKind::Model, Vec::new()) }
        }
    };
    Ok(Some(Difference { file: Some(path), step: Some(end.step), ..difference }))
}
