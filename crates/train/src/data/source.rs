//! The sample of a position of the run.

use std::sync::Arc;

use retinanet::Image;
use retinanet::image::{DecodeOptions, TransformConfig};
use serde::{Deserialize, Serialize};

use crate::Result;
use crate::error::DataError;
use crate::losses::Object;

use super::augment::{AugmentConfig, Choices};
use super::cache::Cache;
use super::dataset::{TrainingImage, TrainingSet};
use super::order::{Order, Place};
use super::paste::{ObjectIndex, all_objects};

/// An input of the network, and what is to be found in it.
#[derive(Debug, Clone, PartialEq)]
pub struct Sample {
    /// The image that stands at this position; of a mosaic, the one at the top left.
    pub image_id: i64,
    /// Which pass over the images, from 0.
    pub epoch: u64,
    /// The position in the run, over all epochs.
    pub position: u64,
    /// `3 x height x width` values: red, green and blue plane, normalised, and 0 where no image is.
    pub canvas: Vec<f32>,
    /// Height and width of the canvas.
    pub size: [usize; 2],
    /// Height and width of the part that is not padding, from the top left.
    pub content: [usize; 2],
    /// What is to be found, in pixels of the canvas: image by image, in the annotations' order.
    pub objects: Vec<Object>,
    /// The images that are shown: one, or a mosaic's four, then those whose objects are laid over it.
    pub shown: Vec<i64>,
}

/// What of a run decides its samples, besides images and augmentation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RunShape {
    /// The seed of the order and of all random choices.
    pub seed: u64,
    /// Samples a step.
    pub batch: usize,
    /// Steps of the whole run: mosaics end at a share of them.
    pub steps: u64,
}

/// Makes the sample of any position, from any thread.
#[derive(Debug)]
pub struct SampleSource {
    set: TrainingSet,
    objects: Vec<ObjectIndex>,
    order: Order,
    augment: AugmentConfig,
    transform: TransformConfig,
    decode: DecodeOptions,
    run: RunShape,
    mosaics_until: u64,
    cache: Cache,
}

impl SampleSource {
    /// The samples of a run. `transform` is the model's; decoded images are kept up to `cache_bytes`, 3 bytes a pixel.
    ///
    /// # Errors
    /// [`Error::Setting`](crate::Error::Setting) for a configuration that makes no sense, a batch of 0, no steps, or
    /// more samples than 2^63; [`DataError::Transform`], also for an image that cannot be resized so.
    pub fn new(
        set: TrainingSet,
        transform: TransformConfig,
        augment: AugmentConfig,
        run: RunShape,
        cache_bytes: usize,
    ) -> Result<Self> {
        augment.validate()?;
        let unusable = |error: retinanet::Error| DataError::Transform { reason: error.to_string() };
        transform.validate().map_err(unusable)?;
        for image in set.images() {
            augment.check_size(&transform, image.size).map_err(|error| {
                let TrainingImage { image, .. } = image;
                let (id, name) = (image.id, &image.file_name);
                DataError::Transform { reason: format!("image {id} ({name:?}): {error}") }
            })?;
        }
        let ids = set.images().iter().map(|image| image.image.id).collect();
        let order = Order::new(run.seed, ids, run.batch)?;
        let samples = run.steps.checked_mul(run.batch as u64);
        if run.steps == 0 || samples.is_none_or(|samples| samples > i64::MAX as u64) {
            let (value, expected) =
                (run.steps.to_string(), "at least 1, and fewer than 2^63 samples");
            return Err(crate::Error::Setting { setting: "steps", value, expected });
        }
        let mosaics_until = augment.mosaics_until(run.steps);
        let (decode, cache) = (DecodeOptions::default(), Cache::new(cache_bytes));
        let objects = all_objects(set.images());
        Ok(Self { set, objects, order, augment, transform, decode, run, mosaics_until, cache })
    }

    /// The images.
    pub fn set(&self) -> &TrainingSet {
        &self.set
    }

    /// The order they come in.
    pub fn order(&self) -> &Order {
        &self.order
    }

    /// The model's transform.
    pub fn transform(&self) -> &TransformConfig {
        &self.transform
    }

    /// Seed, batch and steps.
    pub fn run(&self) -> RunShape {
        self.run
    }

    /// How many samples the run has: steps times batch.
    pub fn positions(&self) -> u64 {
        self.run.steps * self.run.batch as u64
    }

    /// The sample of a position.
    ///
    /// # Errors
    /// [`DataError::Position`]; [`DataError::Sample`], naming image and file: it is gone, does not decode, has another
    /// size than was annotated, or would become a canvas that is too large or has no height.
    pub fn sample(&self, position: u64) -> Result<Sample, DataError> {
        self.sample_unless(position, || false)
    }

    /// [`sample`](Self::sample), given up with [`DataError::Stopped`] when `stopped` says so: before each image.
    pub(super) fn sample_unless(
        &self,
        position: u64,
        stopped: impl Fn() -> bool,
    ) -> Result<Sample, DataError> {
        let positions = self.positions();
        if position >= positions {
            return Err(DataError::Position { position, positions });
        }
        if stopped() {
            return Err(DataError::Stopped);
        }
        let Place { epoch, index, image_id, .. } = self.order.place(position);
        let images = self.set.images();
        let choices = Choices {
            config: &self.augment,
            transform: &self.transform,
            seed: self.run.seed,
            epoch,
            image_id,
            images,
            objects: &self.objects,
        };
        let mosaics = self.order.step_of(position) < self.mosaics_until;
        let (layout, objects) =
            choices.layout(index, mosaics).map_err(|error| self.error(index, position, &error))?;

        let mut canvas = Vec::new();
        for tile in &layout.tiles {
            if stopped() {
                return Err(DataError::Stopped);
            }
            let image = self.image(tile.index, position)?;
            let refuse = |error| self.error(tile.index, position, &error);
            // A mosaic's first tile may have the size of the canvas and yet not be all of it.
            if let [tile] = &layout.tiles[..]
                && let Some(whole) =
                    tile.alone(&image, &self.transform, layout.canvas).map_err(refuse)?
            {
                canvas = whole;
            } else {
                canvas.resize(3 * layout.canvas[0] * layout.canvas[1], 0.0);
                tile.paint(&image, &self.transform, &mut canvas, layout.canvas).map_err(refuse)?;
            }
        }
        let shown = layout.tiles.iter().map(|tile| images[tile.index].image.id).collect();
        let (size, content) = (layout.canvas, layout.content);
        Ok(Sample { image_id, epoch, position, canvas, size, content, objects, shown })
    }

    /// The decoded image `index`, in the frame of its annotations.
    fn image(&self, index: usize, position: u64) -> Result<Arc<Image>, DataError> {
        let entry = &self.set.images()[index].image;
        self.cache
            .get(index, || entry.open(self.set.folder(), &self.decode))
            .map_err(|error| self.error(index, position, &error))
    }

    fn error(&self, index: usize, position: u64, error: &retinanet::Error) -> DataError {
        let image = &self.set.images()[index].image;
        DataError::Sample {
            image_id: image.id,
            file_name: image.file_name.clone(),
            position,
            reason: error.to_string(),
        }
    }
}
