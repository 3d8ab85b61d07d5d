//! A run that begins, or goes on with what is in its folder.

use std::ops::ControlFlow;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use retinanet::data::Shard;
use retinanet::ops::Level;
use retinanet::weights::FetchOptions;

use crate::data::{LoadConfig, SampleLoader};
use crate::ema::Ema;
use crate::error::{RunError, StateError};
use crate::optimiser::Optimiser;
use crate::parameters::Origin;
use crate::recipe::Recipe;
use crate::start::start;
use crate::state::{RunSettings, TrainingState};
use crate::{Error, Result};

use super::agreement::{agree, mark, same};
use super::digests::Digests;
use super::evaluation::Validation;
use super::folder::RunFolder;
use super::log::LogHeader;
use super::log_writer::LogWriter;
use super::metrics::Metrics;
use super::reduce::{Alone, Reduce};
use super::samples::samples_of;
use super::{Run, RunOptions};

impl Run {
    /// Begins the recipe's run in `out`, or goes on with the one that is there, as `options` say. `text` is the recipe's own
    /// text, for the record.
    ///
    /// # Errors
    /// [`RunError`] for a folder that has a run, or none to go on with, or that another process trains in, and for ranks that do
    /// not have the same; what the recipe's model, weights and data lack.
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
        let release = format!("{} {}", env!("CARGO_PKG_VERSION"), header.numerics);
        let mut parts = vec![
            ("release", mark(&release)),
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

    /// A run without its other ranks and its record, of which nothing is written yet.
    fn ready(
        recipe: Recipe,
        out: &Path,
        options: RunOptions,
        shard: Shard,
    ) -> Result<(Self, LogHeader, Digests)> {
        let settings = recipe.run_settings()?;
        let folder = RunFolder::new(out);
        let states = folder.states()?;
        if states.is_empty() == options.resume {
            let (folder, resume) = (out.to_owned(), options.resume);
            return Err(match resume {
                true => RunError::NoRun { folder },
                false => RunError::HasRun { folder },
            }
            .into());
        }
        if !options.resume {
            folder.check_free()?;
        }
        let (state, origin) = match states.as_slice() {
            [before @ .., (_, path)] => {
                let state = TrainingState::open(path, &settings);
                let before = before.last().map(|(step, _)| *step);
                (state.map_err(|error| unusable_state(path, error, before))?, None)
            }
            [] => {
                let (state, origin) = Self::beginning(&recipe, &settings, options.fetch)?;
                (state, Some(origin))
            }
        };
        let mut run = Self::assembled(recipe, state, folder, options.workers, shard)?;
        run.origin = origin;
        let digests = Digests::of(&run.state)?;
        let header = LogHeader::new(&run.settings.recipe, run.source.set(), &digests.weights)?;
        Ok((run, header, digests))
    }

    /// The state that a recipe's run begins with.
    pub(crate) fn beginning(
        recipe: &Recipe,
        settings: &RunSettings,
        fetch: Option<FetchOptions>,
    ) -> Result<(TrainingState, Origin)> {
        let (parameters, origin) = start(recipe, fetch)?;
        let optimiser = Optimiser::new(settings.optimiser, settings.groups, &parameters)?;
        let ema = settings.ema.map(|config| Ema::new(config, &parameters)).transpose()?;
        let recipe = settings.recipe.clone();
        Ok((TrainingState { step: 0, parameters, optimiser, ema, recipe }, origin))
    }

    /// A run that writes nothing.
    pub(crate) fn assembled(
        recipe: Recipe,
        state: TrainingState,
        folder: RunFolder,
        workers: Option<usize>,
        shard: Shard,
    ) -> Result<Self> {
        let level = Level::from_env()?;
        let settings = recipe.run_settings()?;
        let schedule = recipe.schedule()?;
        let config = state.parameters.config();
        if config.postprocess.box_coder_weights != [1.0; 4] {
            let weights = config.postprocess.box_coder_weights;
            return Err(RunError::BoxWeights { weights }.into());
        }
        let source = Arc::new(samples_of(&recipe, config)?);
        let mut load = LoadConfig { shard, ..LoadConfig::default() };
        load.workers = workers.unwrap_or(load.workers);
        // The run looks at its own flag, between steps.
        let loader = SampleLoader::new(source.clone(), &load, Arc::new(AtomicBool::new(false)))?;
        let validation = Validation::open(&recipe, config)?;
        Ok(Self {
            recipe,
            settings,
            schedule,
            folder,
            state,
            source,
            loader,
            validation,
            origin: None,
            reduce: Box::new(Alone),
            record: None,
            best: None,
            level,
        })
    }

    /// Writes the folder's first files, or takes the record up where the state was saved.
    fn open_record(&mut self, text: &str, header: &LogHeader, digests: &Digests) -> Result<()> {
        let step = self.state.step;
        self.folder.create()?;
        let path = self.folder.log();
        let log = match step {
            0 => LogWriter::begin(&path, header)?,
            _ => {
                let log = LogWriter::resume(&path, step)?;
                log.header().check_same(header, &self.folder)?;
                let line = log.last().filter(|line| line.step == step);
                let line = line.ok_or_else(|| RunError::Log {
                    path: path.clone(),
                    reason: format!("it has no line of step {step}, of which there is a state"),
                })?;
                if let Some(part) = digests.difference(line) {
                    return Err(RunError::OtherState { step, part }.into());
                }
                let scores = log.evaluations().iter().filter_map(|line| line.scores.ap);
                self.best = scores.max_by(f64::total_cmp);
                log
            }
        };
        if step == 0 {
            self.folder.write_recipe(text)?;
        }
        self.folder.write_hint(&self.recipe)?;
        self.folder.remove_remains()?;
        let metrics = Metrics::open(&self.folder.metrics(), step)?;
        self.record = Some((log, metrics));
        if step == 0 {
            // A run that is killed before its first state was saved can be continued, too.
            self.save(&mut |_| ControlFlow::Continue(()))?;
        }
        Ok(())
    }
}

/// What to do about a state that cannot be read. Another recipe is no fault of the file.
fn unusable_state(path: &Path, error: Error, before: Option<u64>) -> Error {
    match error {
        Error::State(StateError::OtherRecipe { .. }) => error,
        error => {
            let (path, reason) = (path.to_owned(), error.to_string());
            RunError::BadState { path, reason, before }.into()
        }
    }
}
