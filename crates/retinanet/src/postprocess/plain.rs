//! Post-processing of maps in (channel, y, x) order, as candle and PyTorch have them.

use rayon::prelude::*;
use retinanet_kernels::with_ieee;

use super::apply::LevelMaps;
use super::boxes::{ImageSizes, ScoredBox};
use super::config::PostprocessConfig;
use super::level_shape::LevelShape;
use super::threshold::Collector;
use crate::Result;
use crate::error::PostprocessError;

/// Fewest values worth a task of their own.
const VALUES_PER_TASK: usize = 1 << 18;

/// What the network says about one feature level of one image.
#[derive(Debug, Clone, Copy)]
pub struct LevelOutput<'a> {
    /// Height and width of the feature map.
    pub grid: [usize; 2],
    /// Shape (anchors * classes, height, width); channel = anchor * classes + class.
    pub logits: &'a [f32],
    /// Shape (anchors * 4, height, width); channel = anchor * 4 + (dx, dy, dw, dh).
    pub regression: &'a [f32],
    /// x1, y1, x2, y2 in pixels of the resized image, row by row, then anchor by anchor.
    pub anchors: &'a [[f32; 4]],
}

impl PostprocessConfig {
    /// Turns one image's network outputs, the finest level first, into scored boxes in the original
    /// image's pixels, best first.
    ///
    /// Scores are sigmoids of logits; boxes are x1, y1, x2, y2 within the image. Equal scores keep the
    /// order of (level, flattened index), so the answer is one list, whatever the thread count. Time is
    /// linear in the logits; NMS compares each of at most `levels * topk_candidates` boxes with the
    /// kept ones of its class.
    ///
    /// # Errors
    /// [`PostprocessError`] for settings out of range, outputs that do not fit their grids, any logit
    /// that is not finite, and any regression among those used that is not.
    ///
    /// Mirrors torchvision's `RetinaNet.postprocess_detections` and
    /// `GeneralizedRCNNTransform.postprocess`, with NMS truly per class.
    pub fn apply(
        &self,
        levels: &[LevelOutput<'_>],
        num_classes: usize,
        sizes: ImageSizes,
    ) -> Result<Vec<ScoredBox>> {
        Ok(self.all_levels(levels, num_classes, sizes)?)
    }
}

impl LevelMaps for LevelOutput<'_> {
    fn shape(&self, level: usize, classes: usize) -> Result<LevelShape, PostprocessError> {
        let lengths = [self.logits.len(), self.regression.len()];
        LevelShape::new(level, self.grid, self.anchors.len(), classes, lengths)
    }

    fn collect(&self, shape: LevelShape, new: impl Fn() -> Collector + Sync) -> Collector {
        let new = || with_ieee(&new);
        self.logits
            .par_chunks(shape.positions)
            .enumerate()
            .with_min_len(VALUES_PER_TASK.div_ceil(shape.positions))
            .fold(new, |mut collector, (channel, plane)| {
                with_ieee(|| collector.read(plane, |position| (channel, position)));
                collector
            })
            .reduce(new, Collector::merge)
    }

    fn regression(&self, shape: LevelShape, channel: usize, position: usize) -> f32 {
        self.regression[channel * shape.positions + position]
    }

    fn anchor(&self, index: usize) -> [f32; 4] {
        self.anchors[index]
    }
}
