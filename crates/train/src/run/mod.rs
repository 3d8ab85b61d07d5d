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
//! | `run.json` | where the recipe lay |
//!
//! Files appear whole or not at all. After a crash a run goes on from the last state; the log's later lines are cut off, and are written
//! again with the same bytes.

mod agreement;
mod evaluation;
mod folder;
mod log;
mod metrics;
#[cfg(feature = "mpi")]
mod processes;
mod reduce;
mod step;
mod threads;

use std::ops::ControlFlow;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Instant;

use retinanet::data::Shard;
use retinanet::determinism::Digest;
use retinanet::labels::Categories;
use retinanet::model::RetinaNetConfig;
use retinanet::ops::Level;
use retinanet::weights::FetchOptions;

use crate::data::{
    LoadConfig, PreviewFile, RunShape, SampleLoader, SampleSource, Samples, TrainingSet,
    TrainingSetConfig, write_preview,
};
use crate::digest::TensorDigests;
use crate::ema::Ema;
use crate::error::RunError;
use crate::optimiser::Optimiser;
use crate::parameters::Origin;
use crate::recipe::{Recipe, RunRecipe};
use crate::schedule::Schedule;
use crate::start::start;
use crate::state::{RunSettings, TrainingState, save_model};
use crate::{Error, Result};

pub use agreement::{agree, same};
pub use evaluation::Scores;
pub use folder::RunFolder;
pub use log::{EvaluationLine, LogHeader, LogLine, RunLog, StepLine};
#[cfg(feature = "mpi")]
pub use processes::{MpiRank, MpiWorld};
pub use reduce::{Alone, Reduce};
pub use step::Stepper;
pub use threads::ThreadRank;

use agreement::{mark, of_rank_0};
use evaluation::Validation;
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

/// The most bytes of decoded pictures that are kept.
const CACHE: usize = 1 << 30;

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
    record: Option<(RunLog, Metrics)>,
    best: Option<f64>,
    level: Level,
}

impl Run {
    /// Begins the recipe's run in `out`, or goes on with the one that is there, as `options` say. `text` is the recipe's own
    /// text, for the record.
    ///
    /// # Errors
    /// [`RunError`] for a folder that has a run, or none to go on with, and for ranks that do not have the same; what the recipe's
    /// model, weights and data lack.
    pub fn open(
        recipe: Recipe,
        text: &str,
        out: &Path,
        options: RunOptions,
        mut reduce: Box<dyn Reduce>,
    ) -> Result<Self> {
        const DOING: &str = "before the first step";
        let shard = reduce.shard()?;
        // Everyone looks before anyone writes.
        let ready = Self::ready(recipe, out, options, shard);
        let (mut run, header, digests) = agree(&mut *reduce, ready, DOING)?;
        run.reduce = reduce;
        let numerics = format!("{} {}", env!("CARGO_PKG_VERSION"), header.numerics);
        let mut parts = vec![
            ("release", mark(&numerics)),
            ("recipe", mark(&header.recipe)),
            ("training data", header.data),
            ("number of steps made", mark(&run.state.step.to_string())),
        ];
        parts.extend(digests.parts());
        same(&mut *run.reduce, &parts)?;
        let recorded = match run.reduce.rank() {
            0 => run.open_record(text, &header, &digests),
            _ => Ok(()),
        };
        agree(&mut *run.reduce, recorded, DOING)?;
        Ok(run)
    }

    /// A run without its ranks and its record, of which nothing is written yet.
    fn ready(
        recipe: Recipe,
        out: &Path,
        options: RunOptions,
        shard: Shard,
    ) -> Result<(Self, LogHeader, Digests)> {
        let level = Level::from_env()?;
        let settings = recipe.run_settings()?;
        let schedule = recipe.schedule()?;
        let folder = RunFolder::new(out);
        let states = folder.states()?;
        let latest = states.last().cloned();
        if latest.is_some() != options.resume {
            let (folder, resume) = (out.to_owned(), options.resume);
            return Err(match resume {
                true => RunError::NoRun { folder },
                false => RunError::HasRun { folder },
            }
            .into());
        }
        let (state, origin) = match &latest {
            Some((_, path)) => (TrainingState::open(path, &settings)?, None),
            None => {
                let (parameters, origin) = start(&recipe, options.fetch)?;
                let optimiser = Optimiser::new(settings.optimiser, settings.groups, &parameters)?;
                let ema = settings.ema.map(|config| Ema::new(config, &parameters)).transpose()?;
                let recipe = settings.recipe.clone();
                let state = TrainingState { step: 0, parameters, optimiser, ema, recipe };
                (state, Some(origin))
            }
        };
        let config = state.parameters.config();
        if config.postprocess.box_coder_weights != [1.0; 4] {
            let weights = config.postprocess.box_coder_weights;
            return Err(RunError::BoxWeights { weights }.into());
        }
        let source = Arc::new(samples_of(&recipe, config)?);
        let mut load = LoadConfig { shard, ..LoadConfig::default() };
        load.workers = options.workers.unwrap_or(load.workers);
        // The run looks at its own flag, between steps.
        let loader = SampleLoader::new(source.clone(), &load, Arc::new(AtomicBool::new(false)))?;
        let validation = Validation::open(&recipe, config)?;
        let run = Self {
            recipe,
            settings,
            schedule,
            folder,
            state,
            source,
            loader,
            validation,
            origin,
            reduce: Box::new(Alone),
            record: None,
            best: None,
            level,
        };
        let digests = run.digests()?;
        let header = LogHeader::new(&run.settings.recipe, run.source.set(), &digests.weights)?;
        Ok((run, header, digests))
    }

    /// Writes the folder's first files, or takes the record up where the state was saved.
    fn open_record(&mut self, text: &str, header: &LogHeader, digests: &Digests) -> Result<()> {
        let step = self.state.step;
        self.folder.create(text, &self.recipe)?;
        let path = self.folder.log();
        let log = match step {
            0 => RunLog::begin(&path, header)?,
            _ => {
                let log = RunLog::resume(&path, step)?;
                let line = log.step(step).ok_or_else(|| RunError::Log {
                    path: path.clone(),
                    line: None,
                    reason: format!("it has no line of step {step}, of which there is a state"),
                })?;
                if let Some(part) = digests.difference(line) {
                    return Err(RunError::OtherState { step, part }.into());
                }
                self.best = log.evaluations().filter_map(|line| line.scores.ap).fold(
                    None,
                    |best: Option<f64>, ap| match best {
                        Some(best) if best >= ap => Some(best),
                        _ => Some(ap),
                    },
                );
                log
            }
        };
        let metrics = Metrics::open(&self.folder.metrics(), step)?;
        self.record = Some((log, metrics));
        if step == 0 {
            // A run that is killed before its first state was saved can be continued, too.
            self.save(&mut |_| ControlFlow::Continue(()))?;
        }
        Ok(())
    }

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

    /// Makes steps up to the recipe's last, or to `until` in all; `watch` may end the run between steps. Saves the state and the model at the
    /// end, however it comes.
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
        let mut stepper = Stepper::new(&self.state.parameters, self.recipe.run.batch)?;
        let mut saved = self.state.step;
        if self.state.step < until {
            let mut samples = self.loader.from_step(self.state.step)?;
            while self.state.step < until {
                let started = Instant::now();
                let line = self.step(&mut stepper, &mut samples)?;
                let seconds = started.elapsed().as_secs_f64();
                let images_per_second = self.source.run().batch as f64 / seconds;
                let kept = self.keep(&line, images_per_second, &mut saved, watch);
                let doing = format!("after step {}", self.state.step);
                let flow = agree(&mut *self.reduce, kept, &doing)?;
                if self.reduce.any(flow.is_break())? {
                    break;
                }
            }
        }
        let ended = match saved < self.state.step {
            true => self.save(watch),
            false => Ok(()),
        };
        let summary = ended.and_then(|()| self.finish());
        let summary = agree(&mut *self.reduce, summary, "at the end")?;
        let head = of_rank_0(&mut *self.reduce, summary.head)?;
        Ok(RunSummary { head, ..summary })
    }

    /// One step, the same on all ranks; nothing is written.
    fn step(&mut self, stepper: &mut Stepper, samples: &mut Samples) -> Result<StepLine> {
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
            .and_then(|(losses, norm)| Ok((losses, norm, self.digests()?)))
            .map_err(|error| self.failed(number, &images, error));
        let (losses, norm, digests) = agree(&mut *self.reduce, applied, &doing)?;
        same(&mut *self.reduce, &digests.parts())?;
        Ok(digests.line(number + 1, images, rate, &losses, norm))
    }

    /// What is done with a step that was made: it is logged; where it is time, the model is evaluated and the state saved.
    /// Breaks if the watcher says so.
    fn keep(
        &mut self,
        line: &StepLine,
        images_per_second: f64,
        saved: &mut u64,
        watch: &mut dyn FnMut(&Event<'_>) -> ControlFlow<()>,
    ) -> Result<ControlFlow<()>> {
        if let Some((log, metrics)) = &mut self.record {
            log.push(LogLine::Step(line.clone()))?;
            metrics.step(line, images_per_second)?;
        }
        let flow = watch(&Event::Step { line, images_per_second });
        let RunRecipe { steps, evaluate_every, checkpoint_every, .. } = self.recipe.run;
        let every = |interval: u64| interval > 0 && line.step.is_multiple_of(interval);
        if every(evaluate_every) || line.step == steps {
            self.evaluate(watch)?;
        }
        if every(checkpoint_every) {
            self.save(watch)?;
            *saved = line.step;
        }
        Ok(flow)
    }

    fn failed(&self, step: u64, images: &[i64], error: Error) -> Error {
        RunError::Step { step: step + 1, images: images.to_vec(), reason: error.to_string() }.into()
    }

    /// The digests of all that the next step depends on.
    fn digests(&self) -> Result<Digests> {
        let TrainingState { parameters, optimiser, ema, .. } = &self.state;
        let ema = ema.as_ref().map(|ema| TensorDigests::of_ema(ema, parameters)).transpose()?;
        Ok(Digests {
            weights: TensorDigests::of_weights(parameters)?,
            optimiser: TensorDigests::of_optimiser(optimiser, parameters)?.root(),
            ema: ema.map(|digests| digests.root()),
        })
    }

    fn evaluate(&mut self, watch: &mut dyn FnMut(&Event<'_>) -> ControlFlow<()>) -> Result<()> {
        let (Some(validation), Some((log, metrics))) = (&self.validation, &mut self.record) else {
            return Ok(());
        };
        let model = self.state.model()?;
        let mut told = |done, of| {
            let _ = watch(&Event::Evaluating { done, of });
        };
        let scores = validation.scores(&model, self.level, &mut told)?;
        let is_best = match (scores.ap, self.best) {
            (Some(ap), Some(best)) => ap > best,
            (Some(_), None) => true,
            (None, _) => false,
        };
        let line = EvaluationLine { step: self.state.step, scores };
        log.push(LogLine::Evaluation(line.clone()))?;
        metrics.evaluation(&line)?;
        if is_best {
            self.best = line.scores.ap;
            save_model(self.folder.best(), &model, &self.folder.notes(&self.state, log.head()))?;
        }
        let _ = watch(&Event::Evaluated { line: &line, is_best });
        Ok(())
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
        let head = match &mut self.record {
            Some((log, _)) => {
                let notes = self.folder.notes(&self.state, log.head());
                save_model(self.folder.model(), &model, &notes)?;
                log.head()
            }
            None => weights,
        };
        let step = self.state.step;
        Ok(RunSummary { step, complete: step == self.recipe.run.steps, weights, head })
    }
}

/// Draws the first samples of a recipe's run into a folder, to be looked at.
///
/// # Errors
/// What the recipe's model and data lack, and what cannot be written.
pub fn preview(recipe: &Recipe, count: u64, folder: &Path) -> Result<Vec<PreviewFile>> {
    let (parameters, _) = start(recipe, None)?;
    let source = samples_of(recipe, parameters.config())?;
    Ok(write_preview(&source, count, folder)?)
}

/// The samples of a recipe's run, for a model of this configuration.
fn samples_of(recipe: &Recipe, config: &RetinaNetConfig) -> Result<SampleSource> {
    let categories = config.categories.clone().map(Categories::new).transpose()?;
    let set = TrainingSet::open(
        &recipe.resolve(&recipe.data.annotations),
        &recipe.resolve(&recipe.data.images),
        &TrainingSetConfig { categories, keep_empty: recipe.data.keep_empty },
    )?;
    let batch = usize::try_from(recipe.run.batch).unwrap_or(usize::MAX);
    let shape = RunShape { seed: recipe.run.seed, batch, steps: recipe.run.steps };
    SampleSource::new(set, config.transform.clone(), recipe.augment.clone(), shape, CACHE)
}

/// The digests of a state.
struct Digests {
    weights: TensorDigests,
    optimiser: Digest,
    ema: Option<Digest>,
}

/// How many digits of a tensor's digest a line has.
const SHORT: usize = 16;

impl Digests {
    /// What ranks compare.
    fn parts(&self) -> Vec<(&'static str, Digest)> {
        let mut parts =
            vec![("weights", self.weights.root()), ("optimiser's moments", self.optimiser)];
        parts.extend(self.ema.map(|ema| ("average of the weights", ema)));
        parts
    }

    fn line(
        self,
        step: u64,
        images: Vec<i64>,
        learning_rate: f64,
        losses: &step::MeanLosses,
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
    fn difference(&self, line: &StepLine) -> Option<String> {
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
