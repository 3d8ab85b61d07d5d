//! Post-processing of maps that are still in the kernels' channel-blocked layout: the same steps and
//! the same answer as [`PostprocessConfig::apply`], without a copy of millions of logits.

use rayon::prelude::*;
use retinanet_kernels::layout::Blocked;
use retinanet_kernels::with_ieee;

use super::apply::LevelMaps;
use super::boxes::{ImageSizes, ScoredBox};
use super::config::PostprocessConfig;
use super::level_shape::LevelShape;
use super::threshold::Collector;
use crate::Result;
use crate::anchors::LevelAnchors;
use crate::error::PostprocessError;

/// What the network says about one feature level of one image.
#[derive(Debug, Clone, Copy)]
#[doc(hidden)]
pub struct BlockedLevel<'a> {
    /// Channel = anchor * classes + class.
    pub logits: Blocked<'a>,
    /// Channel = anchor * 4 + (dx, dy, dw, dh).
    pub regression: Blocked<'a>,
    /// In pixels of the resized image.
    pub anchors: &'a LevelAnchors,
}

/// Channels of a block.
const LANES: usize = 16;
/// Pixels of a block that make a task.
const PIXELS_PER_TASK: usize = 1 << 12;

impl PostprocessConfig {
    /// As [`PostprocessConfig::apply`].
    ///
    /// # Errors
    /// As [`PostprocessConfig::apply`].
    #[doc(hidden)]
    pub fn apply_blocked(
        &self,
        levels: &[BlockedLevel<'_>],
        num_classes: usize,
        sizes: ImageSizes,
    ) -> Result<Vec<ScoredBox>> {
        Ok(self.all_levels(levels, num_classes, sizes)?)
    }
}

impl LevelMaps for BlockedLevel<'_> {
    fn shape(&self, level: usize, classes: usize) -> Result<LevelShape, PostprocessError> {
        let (logits, regression) = (self.logits.shape(), self.regression.shape());
        let lengths = [logits.values(), regression.values()];
        LevelShape::new(level, logits.size(), self.anchors.len(), classes, lengths)
    }

    fn collect(&self, shape: LevelShape, new: impl Fn() -> Collector + Sync) -> Collector {
        let new = || with_ieee(&new);
        let channels = shape.anchors * shape.classes;
        let runs = shape.positions.div_ceil(PIXELS_PER_TASK);
        (0..self.logits.shape().blocks() * runs)
            .into_par_iter()
            .fold(new, |mut collector, task| {
                let (block, run) = (task / runs, task % runs);
                let first = run * PIXELS_PER_TASK;
                let pixels = PIXELS_PER_TASK.min(shape.positions - first);
                let values = &self.logits.plane(block)[first * LANES..][..pixels * LANES];
                let channel = block * LANES;
                with_ieee(|| {
                    if channel + LANES <= channels {
                        collector.read(values, |i| (channel + i % LANES, first + i / LANES));
                    } else {
                        // What fills up the last block is nobody's logit.
                        for (pixel, lanes) in values.chunks_exact(LANES).enumerate() {
                            collector.read(&lanes[..channels - channel], |i| {
                                (channel + i, first + pixel)
                            });
                        }
                    }
                });
                collector
            })
            .reduce(new, Collector::merge)
    }

    fn regression(&self, _: LevelShape, channel: usize, position: usize) -> f32 {
        self.regression.value(channel, position)
    }

    fn anchor(&self, index: usize) -> [f32; 4] {
        self.anchors.get(index).unwrap_or_default()
    }
}
