//! A run: the recipe's steps, one after the other, on record and to be continued after any end of the process.
//!
//! # A step
//!
//! 1. The network is built from the weights. Each picture of the step goes through it and back; its gradients are added to an
//!    [exact sum](crate::gradient_sum).
//! 2. The sums of all ranks are added up ([`Reduce`]), divided once, clipped ([`clip`](crate::clip)), and the
//!    [optimiser](crate::optimiser) makes its step, the [average](crate::ema) its own.
//! 3. The [log](RunLog) gets a line: the pictures, the losses, and the digests of all that the next step depends on.
//!
//! Who computes a picture, and how many do, changes no bit of this.
//!
//! # Ranks
//!
//! A run can be made by several [ranks](Reduce): [threads](ThreadRank) of a process, or processes, also of several machines, by MPI (the
//! feature `mpi`). Each has all weights and makes the same steps; the pictures of a step are dealt out among them. All read the
//! recipe, the pictures and, to go on, the saved state, so the folder lies where every rank can read it; rank 0 alone writes, and
//! evaluates while the others wait. They compare digests: before the first step those of release, recipe, data and state, after every
//! step those of the weights and of what the optimiser keeps. What one rank cannot do ends the run on all of them.
//!
//! # The folder
//!
//! | file | what |
//! |---|---|
//! | `recipe.toml` | the recipe, as it was given |
//! | `states/step-000000100.safetensors` | all that step 101 depends on; the last few are kept |
//! | `model.safetensors` | the model, for `Detector`, `detect` and `eval` |
//! | `best.safetensors` | the same of the evaluation with the highest AP |
//! | `log.jsonl` | a line a step and an evaluation, each with the SHA-256 of the line before |
//! | `metrics.jsonl` | the same for people, with times; no part of any hash |
//! | `curves.svg` | losses, learning rate and scores; the command draws it |
//! | `run.json` | where the recipe lay |
//!
//! Files appear whole or not at all. After a crash a run goes on from the last state; the log's later lines are cut off, and are written
//! again with the same bytes. [`verify`](crate::verify)
//! holds the log against the recipe, by making the steps again.

mod agreement;
mod digests;
mod evaluation;
mod folder;
mod log;
mod log_writer;
mod metrics;
mod open;
#[cfg(feature = "mpi")]
mod processes;
mod reduce;
mod samples;
mod step;
mod threads;

use std::ops::ControlFlow;
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use retinanet::determinism::Digest;
use retinanet::ops::Level;
use retinanet::weights::FetchOptions;

use crate::data::{SampleLoader, SampleSource, Samples, TrainingSet};
use crate::digest::TensorDigests;
use crate::error::RunError;
use crate::parameters::Origin;
use crate::recipe::Recipe;
use crate::schedule::Schedule;
use crate::state::{RunSettings, TrainingState, save_model};
use crate::{Error, Result};

pub use agreement::{agree, same};
pub use evaluation::Scores;
pub use folder::RunFolder;
pub use log::{EndLine, EvaluationLine, LogHeader, LogLine, RunLog, StepLine, is_training_log};
pub use metrics::{Curves, ScorePoint, StepPoint};
#[cfg(feature = "mpi")]
pub use processes::{MpiRank, MpiWorld};
pub use reduce::{Alone, Reduce};
pub use samples::preview;
pub use step::Stepper;
pub use threads::ThreadRank;

use agreement::{mark, of_rank_0};
pub(crate) use digests::Digests;
use evaluation::Validation;
use log_writer::LogWriter;
use metrics::Metrics;

/// What a run needs besides its recipe. Nothing of it changes a bit.
#[derive(Default)]
pub struct RunOptions {
    /// Go on with the run that is in the folder.
    pub resume: bool,
    /// Threads that prepare pictures; `None` is one a core, at most two.
    pub workers: Option<usize>,
    /// How weights that the recipe names are found; `None` is by the environment's variables.
    pub fetch: Option<FetchOptions>,
}

/// What a run tells whoever watches.
#[derive(Debug, Clone, Copy)]
pub enum Event<'a> {
    /// A step was made.
    Step {
        /// Its line in the log.
        line: &'a StepLine,
        /// Pictures in a second, this step's.
        images_per_second: f64,
    },
    /// The validation pictures are being looked at: so many of so many are done.
    Evaluating {
        /// How many are done.
        done: usize,
        /// How many there are.
        of: usize,
    },
    /// An evaluation was made.
    Evaluated {
        /// Its line in the log.
        line: &'a EvaluationLine,
        /// Whether no evaluation before had a higher AP.
        is_best: bool,
    },
    /// The state was saved.
    Saved(&'a Path),
}

/// How a call of [`Run::advance`] ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RunSummary {
    /// Steps that were made, over all calls.
    pub step: u64,
    /// Whether these are all of the recipe's.
    pub complete: bool,
    /// The digest of the model's weights (of their average, where the recipe has one).
    pub weights: Digest,
    /// The hash of the log's last line.
    pub head: Digest,
}

/// A run of a recipe in a folder.
pub struct Run {
    recipe: Recipe,
    settings: RunSettings,
    schedule: Schedule,
    folder: RunFolder,
    state: TrainingState,
    source: Arc<SampleSource>,
    loader: SampleLoader,
    validation: Option<Validation>,
    origin: Option<Origin>,
    reduce: Box<dyn Reduce>,
    /// Rank 0 writes.
    record: Option<(LogWriter, Metrics)>,
    best: Option<f64>,
    level: Level,
}

impl Run {
    /// The recipe.
    pub fn recipe(&self) -> &Recipe {
        &self.recipe
    }

    /// The images that are trained on.
    pub fn set(&self) -> &TrainingSet {
        self.source.set()
    }

    /// Where the tensors came from, of a run that begins.
    pub fn origin(&self) -> Option<&Origin> {
        self.origin.as_ref()
    }

    /// Weights, optimiser and average as they are.
    pub fn state(&self) -> &TrainingState {
        &self.state
    }

    /// The run's files.
    pub fn folder(&self) -> &RunFolder {
        &self.folder
    }

    /// Makes steps up to the recipe's last, or to `until` in all; `watch` may end the run between steps, and between the pictures of an
    /// evaluation, which is then made when the run goes on. Saves the state and the model at the end, however it comes.
    ///
    /// # Errors
    /// [`RunError::Step`] naming the step and its images, where a loss or gradient is not finite; the last saved state and the
    /// models stay as they are. [`DataError`](crate::error::DataError) for a picture that cannot be used.
    pub fn advance(
        &mut self,
        until: Option<u64>,
        watch: &mut dyn FnMut(&Event<'_>) -> ControlFlow<()>,
    ) -> Result<RunSummary> {
        let last = self.recipe.run.steps;
        let until = until.map_or(last, |until| if until < last { until } else { last });
        same(&mut *self.reduce, &[("last step (`--steps`)", mark(&until.to_string()))])?;
        let mut saved = self.state.step;
        // An evaluation may have been broken off.
        let mut stopped = self.evaluate_if_due(watch)?;
        if self.state.step < until && !stopped {
            let mut stepper = Stepper::new(&self.state.parameters, self.recipe.run.batch)?;
            let mut samples = self.loader.from_step(self.state.step)?;
            while self.state.step < until && !stopped {
                let started = Instant::now();
                let line = self.make_step(&mut stepper, &mut samples)?;
                let seconds = started.elapsed().as_secs_f64();
                let images_per_second = self.source.run().batch as f64 / seconds;
                let kept = self.keep(&line, images_per_second, watch).and_then(|ends| {
                    let step = self.state.step;
                    // Before the evaluation, which may take long.
                    if is_due(self.recipe.run.checkpoint_every, step) || step == until {
                        self.save(watch)?;
                        saved = step;
                    }
                    Ok(ends)
                });
                let doing = format!("after step {}", self.state.step);
                let ends = agree(&mut *self.reduce, kept, &doing)?;
                stopped = self.reduce.any(ends.is_break())? || self.evaluate_if_due(watch)?;
            }
        }
        let ended = match saved < self.state.step {
            true => self.save(watch),
            false => Ok(()),
        };
        let summary = ended.and_then(|()| self.finish());
        let summary = agree(&mut *self.reduce, summary, "at the end")?;
        // Only rank 0 knows the log.
        let head = of_rank_0(&mut *self.reduce, summary.head)?;
        let complete = self.reduce.gather(&[i64::from(summary.complete)])?[0] == [1];
        Ok(RunSummary { head, complete, ..summary })
    }

    /// Puts a step on record; breaks if the watcher says so.
    fn keep(
        &mut self,
        line: &StepLine,
        images_per_second: f64,
        watch: &mut dyn FnMut(&Event<'_>) -> ControlFlow<()>,
    ) -> Result<ControlFlow<()>> {
        if let Some((log, metrics)) = &mut self.record {
            log.push(LogLine::Step(line.clone()))?;
            metrics.step(line, images_per_second)?;
        }
        Ok(watch(&Event::Step { line, images_per_second }))
    }

    /// One step, the same on all ranks, and its line. Nothing is written.
    pub(crate) fn make_step(
        &mut self,
        stepper: &mut Stepper,
        samples: &mut Samples,
    ) -> Result<StepLine> {
        let number = self.state.step;
        let doing = format!("in step {}", number + 1);
        let batch = self.source.run().batch;
        let images = self.source.order().step(number);
        let images: Vec<i64> = images.iter().map(|place| place.image_id).collect();
        let share = self.reduce.share(number, batch);
        let gradients = stepper
            .gradients(
                &self.recipe,
                &self.state.parameters,
                self.level,
                samples.by_ref().take(share),
            )
            .map_err(|error| self.failed(number, &images, error));
        // A rank that failed must not leave the others waiting for its sum.
        agree(&mut *self.reduce, gradients, &doing)?;
        self.reduce.add_up(stepper.sum_mut())?;
        let rate = self.schedule.learning_rate(number);
        let applied = stepper
            .apply(&self.recipe, &mut self.state, rate, self.level)
            .and_then(|(losses, norm)| Ok((losses, norm, Digests::of(&self.state)?)))
            .map_err(|error| self.failed(number, &images, error));
        let (losses, norm, digests) = agree(&mut *self.reduce, applied, &doing)?;
        same(&mut *self.reduce, &digests.parts())?;
        Ok(digests.line(number + 1, images, rate, &losses, norm))
    }

    fn failed(&self, step: u64, images: &[i64], error: Error) -> Error {
        let advice = match error {
            Error::Data(_) => "; with the file as it was, --resume goes on",
            _ => {
                "; a lower learning rate, or gradient clipping (`optimiser.clip_norm`), may help against numbers that \
                 are not finite"
            }
        };
        let (images, reason) = (images.to_vec(), error.to_string());
        RunError::Step { step: step + 1, images, reason, advice }.into()
    }

    /// The samples of the steps after so many.
    pub(crate) fn samples_from(&self, step: u64) -> Result<Samples> {
        self.loader.from_step(step)
    }

    /// The model's scores as it is, where the recipe has validation pictures; `told` is told how many are done, of how many.
    pub(crate) fn scores(&self, told: &mut dyn FnMut(usize, usize)) -> Result<Option<Scores>> {
        let Some(validation) = &self.validation else { return Ok(None) };
        let mut told = |done, of| {
            told(done, of);
            ControlFlow::Continue(())
        };
        validation.scores(&*self.state.model()?, self.level, &mut told)
    }

    /// Whether the model is evaluated after the last step that was made.
    pub(crate) fn is_evaluation_due(&self) -> bool {
        let (step, run) = (self.state.step, &self.recipe.run);
        let due = is_due(run.evaluate_every, step) || step == run.steps;
        self.validation.is_some() && step > 0 && due
    }

    /// Evaluates the model where that is to be done and was not. Whether the run is to end: all ranks answer the same.
    fn evaluate_if_due(
        &mut self,
        watch: &mut dyn FnMut(&Event<'_>) -> ControlFlow<()>,
    ) -> Result<bool> {
        if !self.is_evaluation_due() {
            return Ok(false);
        }
        let ends = self.evaluate(watch);
        let doing = format!("in the evaluation after step {}", self.state.step);
        let ends = agree(&mut *self.reduce, ends, &doing)?;
        self.reduce.any(ends.is_break())
    }

    fn evaluate(
        &mut self,
        watch: &mut dyn FnMut(&Event<'_>) -> ControlFlow<()>,
    ) -> Result<ControlFlow<()>> {
        let goes_on = ControlFlow::Continue(());
        let (Some(validation), Some((log, metrics))) = (&self.validation, &mut self.record) else {
            return Ok(goes_on);
        };
        let step = self.state.step;
        if log.evaluations().last().is_some_and(|line| line.step == step) {
            return Ok(goes_on);
        }
        let model = self.state.model()?;
        let mut told = |done, of| watch(&Event::Evaluating { done, of });
        let Some(scores) = validation.scores(&model, self.level, &mut told)? else {
            return Ok(ControlFlow::Break(()));
        };
        let is_best = match (scores.ap, self.best) {
            (Some(ap), Some(best)) => ap > best,
            (Some(_), None) => true,
            (None, _) => false,
        };
        let line = EvaluationLine { step, scores };
        if is_best {
            self.best = line.scores.ap;
            // Before the line: an evaluation that is on record is not made again.
            save_model(self.folder.best(), &model, &self.folder.notes(&self.state, log.head()))?;
        }
        log.push(LogLine::Evaluation(line.clone()))?;
        metrics.evaluation(&line)?;
        Ok(watch(&Event::Evaluated { line: &line, is_best }))
    }

    /// Saves the state, and removes the oldest ones.
    fn save(&mut self, watch: &mut dyn FnMut(&Event<'_>) -> ControlFlow<()>) -> Result<()> {
        if let Some((log, metrics)) = &mut self.record {
            log.sync()?;
            metrics.sync()?;
            let path = self.folder.state(self.state.step);
            self.state.save(&path)?;
            self.folder.keep(self.recipe.run.keep)?;
            let _ = watch(&Event::Saved(&path));
        }
        Ok(())
    }

    fn finish(&mut self) -> Result<RunSummary> {
        let model = self.state.model()?;
        let weights = TensorDigests::of_weights(&model)?.root();
        let step = self.state.step;
        let mut complete = step == self.recipe.run.steps;
        let head = match &mut self.record {
            Some((log, _)) => {
                let evaluated = log.evaluations().last().is_some_and(|line| line.step == step);
                complete &= self.validation.is_none() || evaluated;
                if complete && !log.is_complete() {
                    log.push(LogLine::End(EndLine { step, weights }))?;
                    log.sync()?;
                }
                let notes = self.folder.notes(&self.state, log.head());
                save_model(self.folder.model(), &model, &notes)?;
                log.head()
            }
            None => weights,
        };
        Ok(RunSummary { step, complete, weights, head })
    }
}

/// Whether something that is done each `interval` steps, 0 being never, is to be done after this one.
fn is_due(interval: u64, step: u64) -> bool {
    interval > 0 && step.is_multiple_of(interval)
}
