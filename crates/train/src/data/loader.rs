//! Samples made ahead by workers, handed out in order.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use rayon::{ThreadPool, ThreadPoolBuilder};
use retinanet::data::{Dataset, Epoch, LoadError, Loader, LoaderConfig, Shard};
use retinanet::determinism::Stream;

use crate::error::DataError;
use crate::{Error, Result};

use super::source::{Sample, SampleSource};

/// How samples are loaded. Nothing but `shard` decides which samples come, in which order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LoadConfig {
    /// Threads that make samples; 0 makes them in the thread that asks. Default: one per core, at most 2.
    pub workers: usize,
    /// The most samples that are being made or wait. Default: 16.
    pub ahead: usize,
    /// While those that wait hold this many bytes, only the next one is begun; at most one sample a worker goes beyond
    /// it. Default: 512 MiB.
    pub max_bytes: usize,
    /// Only these positions: share i of n has the positions i, i + n, i + 2n, .. Default: all.
    pub shard: Shard,
}

impl Default for LoadConfig {
    fn default() -> Self {
        let cores = std::thread::available_parallelism().map_or(1, |cores| cores.get());
        Self { workers: cores.min(2), ahead: 16, max_bytes: 512 << 20, shard: Shard::default() }
    }
}

/// Loads the samples of a run with parallel workers, from any step on.
///
/// Workers have a pool of threads of their own, so that they wait for no kernel of a training step, and no step for
/// them.
pub struct SampleLoader {
    loader: Loader<Positions>,
}

impl SampleLoader {
    /// A loader of a source's samples. Once `stop` is true, whoever waits for a sample gets [`DataError::Stopped`], as
    /// soon as the images that are being decoded are done.
    ///
    /// # Errors
    /// [`Error::Setting`] for more than 4096 workers, an `ahead` of 0, or a run of more samples than this machine's
    /// numbers can count; [`DataError::Threads`] if the threads cannot be started.
    pub fn new(
        source: Arc<SampleSource>,
        config: &LoadConfig,
        stop: Arc<AtomicBool>,
    ) -> Result<Self> {
        let refuse = |setting, value: String, expected| Error::Setting { setting, value, expected };
        let LoadConfig { workers, ahead, max_bytes, shard } = *config;
        if workers > 4096 {
            return Err(refuse("workers", workers.to_string(), "0 to 4096"));
        }
        if ahead == 0 {
            return Err(refuse("ahead", "0".to_owned(), "at least 1"));
        }
        let positions = usize::try_from(source.positions()).map_err(|_| {
            refuse("steps", source.run().steps.to_string(), "fewer samples on this machine")
        })?;
        let pool = match workers {
            0 => None,
            _ => Some(
                ThreadPoolBuilder::new()
                    .num_threads(workers)
                    .thread_name(|number| format!("retinanet-samples-{number}"))
                    .build()
                    .map_err(|error| DataError::Threads { workers, reason: error.to_string() })?,
            ),
        };
        let config = LoaderConfig { workers, ahead, max_bytes, shard, ..LoaderConfig::default() };
        let dataset = Positions { source, positions, pool, stop };
        let loader = Loader::new(dataset, config).map_err(|error| threads(workers, &error))?;
        Ok(Self { loader })
    }

    /// The samples from a step on, to the end of the run: of each step those in this loader's share, in order.
    ///
    /// # Errors
    /// [`DataError::Threads`] if the threads cannot be started.
    pub fn from_step(&self, step: u64) -> Result<Samples> {
        let dataset = self.loader.dataset();
        let batch = dataset.source.run().batch as u64;
        let before = usize::try_from(step.saturating_mul(batch)).unwrap_or(usize::MAX);
        let skip = self.loader.config().shard.share_of(before.min(dataset.positions));
        let epoch = self.loader.epoch_from(0, skip);
        let epoch = epoch.map_err(|error| threads(self.loader.config().workers, &error))?;
        Ok(Samples { epoch: Some(epoch), source: Arc::clone(&dataset.source) })
    }
}

fn threads(workers: usize, error: &retinanet::Error) -> DataError {
    DataError::Threads { workers, reason: error.to_string() }
}

/// A run's positions as a data set, whose indices are positions.
struct Positions {
    source: Arc<SampleSource>,
    positions: usize,
    pool: Option<ThreadPool>,
    stop: Arc<AtomicBool>,
}

impl Dataset for Positions {
    type Sample = Sample;
    type Error = DataError;

    fn len(&self) -> usize {
        self.positions
    }

    /// The stream belongs to an index; a sample's own streams belong to its epoch and image.
    fn get(&self, index: usize, _: &mut Stream) -> Result<Sample, DataError> {
        let stopped = || self.stop.load(Ordering::Relaxed);
        let make = || self.source.sample_unless(index as u64, stopped);
        match &self.pool {
            Some(pool) => pool.install(make),
            None => make(),
        }
    }

    fn size_in_bytes(&self, sample: &Sample) -> usize {
        size_of_val(&sample.canvas[..])
    }
}

/// The samples of a run, in order; ends after the first error. Dropping it stops the workers: each finishes the
/// sample that it is at.
pub struct Samples {
    /// None after an error.
    epoch: Option<Epoch<Positions>>,
    source: Arc<SampleSource>,
}

impl Iterator for Samples {
    type Item = Result<Sample, DataError>;

    fn next(&mut self) -> Option<Self::Item> {
        let loaded = self.epoch.as_mut()?.next()?;
        let result = loaded.result.map_err(|error| match error {
            LoadError::Failed(error) => error,
            LoadError::Panicked { message, .. } => {
                let place = self.source.order().place(loaded.index as u64);
                let image = &self.source.set().images()[place.index].image;
                DataError::Sample {
                    image_id: image.id,
                    file_name: image.file_name.clone(),
                    position: place.position,
                    reason: format!("the worker that made the sample panicked: {message:?}"),
                }
            }
        });
        if result.is_err() {
            self.epoch = None;
        }
        Some(result)
    }
}

impl fmt::Debug for SampleLoader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SampleLoader").field("config", self.loader.config()).finish_non_exhaustive()
    }
}

impl fmt::Debug for Samples {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Samples").field("epoch", &self.epoch).finish_non_exhaustive()
    }
}
