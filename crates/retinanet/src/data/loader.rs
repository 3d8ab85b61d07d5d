//! Any number of workers, one order, one random stream a sample.

use std::fmt;
use std::iter::FusedIterator;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::thread::JoinHandle;

use super::queue::{Claim, Queue};
use super::{DataError, Shard};
use crate::Result;
use crate::determinism::{DEFAULT_SEED, Purpose, Stream};

/// More threads than any machine can use well; a typing error more likely.
const MAX_WORKERS: usize = 4096;

/// Samples that are made by index, from any thread.
pub trait Dataset: Send + Sync + 'static {
    /// What a sample is.
    type Sample: Send + 'static;
    /// Why there is none.
    type Error: Send + 'static;

    /// How many there are.
    fn len(&self) -> usize;

    /// Whether there are none.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Makes sample `index`. Whatever is random in it is to be drawn from `random`: then it depends on
    /// the seed, the epoch and the index only.
    ///
    /// # Errors
    /// Whatever keeps this sample, and only this one, from being made.
    fn get(&self, index: usize, random: &mut Stream) -> Result<Self::Sample, Self::Error>;

    /// About how much memory a sample holds, for [`LoaderConfig::max_bytes`].
    fn size_in_bytes(&self, sample: &Self::Sample) -> usize {
        size_of_val(sample)
    }
}

/// How samples are loaded. Only `shuffle`, `seed`, `name` and `shard` decide which samples come, in which order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LoaderConfig {
    /// Threads that load; 0 loads in the thread that iterates. Default: one per core, at most 4.
    pub workers: usize,
    /// The most samples that are being loaded or wait to be taken. Default: 16.
    pub ahead: usize,
    /// While the samples that wait hold this many bytes, only the one that is to be taken next is begun; at
    /// most one sample a worker goes beyond it. Default: 256 MiB.
    pub max_bytes: usize,
    /// A new random order every epoch; otherwise, and by default, the data set's own.
    pub shuffle: bool,
    /// The seed of orders and samples. Default: [`DEFAULT_SEED`].
    pub seed: u64,
    /// The data set's name: data sets of different names draw different numbers. Default: `data`.
    pub name: String,
    /// Only this share of each epoch's order. Default: all.
    pub shard: Shard,
}

impl Default for LoaderConfig {
    fn default() -> Self {
        let cores = std::thread::available_parallelism().map_or(1, |cores| cores.get());
        Self {
            workers: cores.min(4),
            ahead: 16,
            max_bytes: 256 << 20,
            shuffle: false,
            seed: DEFAULT_SEED,
            name: "data".to_owned(),
            shard: Shard::default(),
        }
    }
}

/// One sample, or why there is none.
#[derive(Debug)]
pub struct Sample<T, E> {
    /// Its place in the epoch, of all shards: 0, 1, 2, .. for the whole.
    pub place: usize,
    /// Its index in the data set.
    pub index: usize,
    /// The sample.
    pub result: Result<T, LoadError<E>>,
}

/// Why there is no sample.
#[derive(Debug)]
pub enum LoadError<E> {
    /// What the data set says.
    Failed(E),
    /// The data set panicked.
    Panicked {
        /// The sample's index.
        index: usize,
        /// What the panic said.
        message: String,
    },
}

impl<E: fmt::Display> fmt::Display for LoadError<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Failed(error) => error.fmt(f),
            Self::Panicked { index, message } => {
                DataError::Panicked { index: *index, message: message.clone() }.fmt(f)
            }
        }
    }
}

impl<E: std::error::Error> std::error::Error for LoadError<E> {}

impl From<LoadError<crate::Error>> for crate::Error {
    fn from(error: LoadError<crate::Error>) -> Self {
        match error {
            LoadError::Failed(error) => error,
            LoadError::Panicked { index, message } => DataError::Panicked { index, message }.into(),
        }
    }
}

/// Loads a data set epoch by epoch with parallel workers.
///
/// The samples of an epoch, their order and their random numbers are a function of the data set and of
/// seed, name and epoch: not of the workers, nor of what was loaded before.
///
/// - The order of a shuffled epoch: [`Stream::shuffle`] of 0, 1, 2, .. with the stream ([`Purpose::Shuffle`],
///   name, epoch). A [`Shard`] is a share of that order.
/// - The stream of a sample: ([`Purpose::Augmentation`], `NAME/epoch/EPOCH`, index).
#[derive(Debug)]
pub struct Loader<D> {
    dataset: Arc<D>,
    config: LoaderConfig,
}

impl<D: Dataset> Loader<D> {
    /// A loader of `dataset`.
    ///
    /// # Errors
    /// [`DataError::Setting`] for more than 4096 workers, or an `ahead` of 0.
    pub fn new(dataset: impl Into<Arc<D>>, config: LoaderConfig) -> Result<Self> {
        let refuse = |setting, value, needs| DataError::Setting { setting, value, needs };
        if config.workers > MAX_WORKERS {
            return Err(refuse("workers", config.workers, "expected 0 to 4096").into());
        }
        if config.ahead == 0 {
            return Err(refuse("ahead", 0, "expected at least 1").into());
        }
        Ok(Self { dataset: dataset.into(), config })
    }

    /// The data set.
    pub fn dataset(&self) -> &D {
        &self.dataset
    }

    /// How it loads.
    pub fn config(&self) -> &LoaderConfig {
        &self.config
    }

    /// The samples of an epoch. Workers run until all are loaded or the iterator is dropped.
    ///
    /// # Errors
    /// [`DataError::Workers`] if the threads cannot be started.
    pub fn epoch(&self, epoch: u64) -> Result<Epoch<D>> {
        self.epoch_from(epoch, 0)
    }

    /// The samples of an epoch without its first `skip` (of this shard), which are not loaded.
    ///
    /// # Errors
    /// As [`epoch`](Self::epoch).
    pub fn epoch_from(&self, epoch: u64, skip: usize) -> Result<Epoch<D>> {
        let plan = Plan {
            dataset: Arc::clone(&self.dataset),
            order: self.order(epoch),
            seed: self.config.seed,
            stream: format!("{}/epoch/{epoch}", self.config.name),
            shard: self.config.shard,
        };
        let total = self.config.shard.share_of(self.dataset.len());
        let rest = total.saturating_sub(skip);
        let queue = Queue::new(skip..skip + rest, self.config.ahead, self.config.max_bytes);
        let mut epoch =
            Epoch { plan: Arc::new(plan), queue: Arc::new(queue), workers: Vec::new(), rest };
        for _ in 0..self.config.workers.min(rest) {
            let (plan, queue) = (Arc::clone(&epoch.plan), Arc::clone(&epoch.queue));
            let spawned = std::thread::Builder::new()
                .name("retinanet-loader".to_owned())
                .spawn(move || work(&plan, &queue));
            match spawned {
                Ok(worker) => epoch.workers.push(worker),
                Err(error) => {
                    let (workers, reason) = (self.config.workers, error.to_string());
                    return Err(DataError::Workers { workers, reason }.into());
                }
            }
        }
        Ok(epoch)
    }

    fn order(&self, epoch: u64) -> Option<Vec<usize>> {
        self.config.shuffle.then(|| {
            let mut order: Vec<usize> = (0..self.dataset.len()).collect();
            let LoaderConfig { seed, name, .. } = &self.config;
            Stream::new(*seed, Purpose::Shuffle, name, epoch).shuffle(&mut order);
            order
        })
    }
}

/// What an epoch's samples are a function of.
#[derive(Debug)]
struct Plan<D> {
    dataset: Arc<D>,
    /// `None`: 0, 1, 2, ..
    order: Option<Vec<usize>>,
    seed: u64,
    stream: String,
    shard: Shard,
}

/// A sample, or why there is none.
type Loaded<D> = Result<<D as Dataset>::Sample, LoadError<<D as Dataset>::Error>>;

impl<D: Dataset> Plan<D> {
    /// Place in the whole epoch, and index, of this shard's sample number `position`.
    fn locate(&self, position: usize) -> (usize, usize) {
        let place = self.shard.place(position);
        (place, self.order.as_ref().map_or(place, |order| order[place]))
    }

    fn load(&self, position: usize) -> (Loaded<D>, usize) {
        let (_, index) = self.locate(position);
        let mut random = Stream::new(self.seed, Purpose::Augmentation, &self.stream, index as u64);
        // Whatever the data set left half done is its own; the loader's state is not touched inside.
        let loaded = catch_unwind(AssertUnwindSafe(|| {
            let sample = self.dataset.get(index, &mut random).map_err(LoadError::Failed)?;
            let bytes = self.dataset.size_in_bytes(&sample);
            Ok((sample, bytes))
        }));
        match loaded {
            Ok(Ok((sample, bytes))) => (Ok(sample), bytes),
            Ok(Err(error)) => (Err(error), 0),
            Err(panic) => {
                let message = panic
                    .downcast_ref::<&str>()
                    .map(|text| (*text).to_owned())
                    .or_else(|| panic.downcast_ref::<String>().cloned())
                    .unwrap_or_else(|| "no message".to_owned());
                (Err(LoadError::Panicked { index, message }), 0)
            }
        }
    }
}

fn work<D: Dataset>(plan: &Plan<D>, queue: &Queue<Loaded<D>>) {
    while let Claim::Load(position) = queue.claim() {
        let (loaded, bytes) = plan.load(position);
        queue.put(position, loaded, bytes);
    }
}

/// The samples of one epoch, in order.
///
/// Dropping it stops the workers: each finishes the sample it is at, and the drop waits for that.
pub struct Epoch<D: Dataset> {
    plan: Arc<Plan<D>>,
    queue: Arc<Queue<Loaded<D>>>,
    /// None: load when asked.
    workers: Vec<JoinHandle<()>>,
    rest: usize,
}

impl<D: Dataset> fmt::Debug for Epoch<D> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let workers = self.workers.len();
        f.debug_struct("Epoch").field("rest", &self.rest).field("workers", &workers).finish()
    }
}

impl<D: Dataset> Iterator for Epoch<D> {
    type Item = Sample<D::Sample, D::Error>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.rest == 0 {
            return None;
        }
        if self.workers.is_empty()
            && let Claim::Load(position) = self.queue.claim()
        {
            let (loaded, bytes) = self.plan.load(position);
            self.queue.put(position, loaded, bytes);
        }
        let (position, result) = self.queue.take();
        self.rest -= 1;
        let (place, index) = self.plan.locate(position);
        Some(Sample { place, index, result })
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.rest, Some(self.rest))
    }
}

impl<D: Dataset> ExactSizeIterator for Epoch<D> {}
impl<D: Dataset> FusedIterator for Epoch<D> {}

impl<D: Dataset> Drop for Epoch<D> {
    fn drop(&mut self) {
        self.queue.close();
        for worker in self.workers.drain(..) {
            // A worker catches the data set's panics; one from a sample's own drop is not ours to repeat.
            worker.join().ok();
        }
    }
}
