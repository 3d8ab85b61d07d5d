//! Which image stands at which position of the run.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use retinanet::determinism::{Purpose, Stream};

use crate::{Error, Result};

/// Epochs whose order is remembered: workers that load ahead cross from one into the next.
const REMEMBERED: usize = 3;
/// More images a step than any machine can hold.
const MAX_BATCH: usize = 1 << 20;

/// A position of the run, and what stands there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    /// Counted from 0 over all epochs: step times batch, plus the place in the batch.
    pub position: u64,
    /// Which pass over the images, from 0.
    pub epoch: u64,
    /// The image's index in the set.
    pub index: usize,
    /// The image's id.
    pub image_id: i64,
}

/// The order of a run, a pure function of the seed and the images' ids.
///
/// Each epoch visits every image once, in the order of (key, id), where an image's key is the first
/// [`next_u64`](Stream::next_u64) of the stream (seed, [`Purpose::Shuffle`], `train/epoch/EPOCH`, id). So in which order
/// two images come does not depend on which others there are.
///
/// The epochs follow each other without a gap, and a step is the next `batch` of them. So every step has a full
/// batch; one that lies across the end of an epoch may hold an image twice, and so does any if there are fewer images
/// than `batch`.
///
/// ```
/// use retinanet_train::data::Order;
/// let order = Order::new(3407, vec![9, 25, 30], 2)?;
/// let ids: Vec<i64> = (0..3).flat_map(|step| order.step(step)).map(|place| place.image_id).collect();
/// let mut first_epoch = ids[..3].to_vec();
/// first_epoch.sort_unstable();
/// assert_eq!(first_epoch, [9, 25, 30]);
/// # Ok::<(), retinanet_train::Error>(())
/// ```
#[derive(Debug)]
pub struct Order {
    seed: u64,
    /// By index in the set.
    ids: Vec<i64>,
    batch: usize,
    remembered: Mutex<VecDeque<(u64, Arc<[usize]>)>>,
}

impl Order {
    /// The order of images with these ids, which must differ, in steps of `batch`.
    ///
    /// # Errors
    /// [`Error::Setting`] for no images, or a batch that is not 1 to 2^20.
    pub fn new(seed: u64, ids: Vec<i64>, batch: usize) -> Result<Self> {
        if ids.is_empty() {
            let (value, expected) = ("0".to_owned(), "at least one image");
            return Err(Error::Setting { setting: "images", value, expected });
        }
        if !(1..=MAX_BATCH).contains(&batch) {
            let (value, expected) = (batch.to_string(), "1 to 1048576 images");
            return Err(Error::Setting { setting: "batch", value, expected });
        }
        Ok(Self { seed, ids, batch, remembered: Mutex::default() })
    }

    /// Images a step.
    pub fn batch(&self) -> usize {
        self.batch
    }

    /// Images an epoch.
    pub fn images(&self) -> usize {
        self.ids.len()
    }

    /// The indices of the images in the order of an epoch.
    pub fn epoch(&self, epoch: u64) -> Arc<[usize]> {
        // Nothing panics while it is held but for want of memory, and then it is still whole.
        let mut remembered = self.remembered.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, order)) = remembered.iter().find(|one| one.0 == epoch) {
            return Arc::clone(order);
        }
        let name = format!("train/epoch/{epoch}");
        let key = |id: i64| {
            Stream::new(self.seed, Purpose::Shuffle, &name, id.cast_unsigned()).next_u64()
        };
        let mut keyed: Vec<(u64, i64, usize)> =
            self.ids.iter().enumerate().map(|(index, id)| (key(*id), *id, index)).collect();
        keyed.sort_unstable();
        let order: Arc<[usize]> = keyed.into_iter().map(|(_, _, index)| index).collect();
        if remembered.len() == REMEMBERED {
            remembered.pop_front();
        }
        remembered.push_back((epoch, Arc::clone(&order)));
        order
    }

    /// What stands at a position.
    pub fn place(&self, position: u64) -> Place {
        let images = self.ids.len() as u64;
        let epoch = position / images;
        let index = self.epoch(epoch)[(position % images) as usize];
        Place { position, epoch, index, image_id: self.ids[index] }
    }

    /// The step that a position belongs to.
    pub fn step_of(&self, position: u64) -> u64 {
        position / self.batch as u64
    }

    /// What stands in a step, in order.
    ///
    /// # Panics
    /// If the step's positions do not fit 64 bits.
    pub fn step(&self, step: u64) -> Vec<Place> {
        let batch = self.batch as u64;
        let first = step.checked_mul(batch).filter(|first| first.checked_add(batch).is_some());
        let first = first.expect("a position of 64 bits");
        (first..first + batch).map(|position| self.place(position)).collect()
    }
}
