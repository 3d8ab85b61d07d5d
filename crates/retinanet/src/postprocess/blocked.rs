//! Post-processing of maps that are still in the kernels' channel-blocked layout: the same steps and
//! the same answer as [`PostprocessConfig::apply`], without a copy of millions of logits.

use rayon::prelude::*;
use retinanet_kernels::layout::Blocked;
use retinanet_kernels::with_ieee;

use super::threshold::Collector;
use super::top_k::Candidate;
use super::{ImageSizes, LevelShape, PostprocessConfig, PostprocessError, ScoredBox};
use crate::Result;
use crate::model::LevelAnchors;

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
        self.check()?;
        let mut boxes = Vec::new();
        for (level, output) in levels.iter().enumerate() {
            let map = output.logits.shape();
            let shape = LevelShape::new(
                level,
                map.size(),
                output.anchors.len(),
                num_classes,
                [output.logits.shape().values(), output.regression.shape().values()],
            )?;
            let candidates = self.candidates(level, output.logits, shape)?;
            let regression =
                |channel: usize, position: usize| output.regression.value(channel, position);
            let anchor = |index| output.anchors.get(index).unwrap_or_default();
            boxes.extend(with_ieee(|| {
                self.decode(&candidates, shape, regression, anchor, sizes.resized)
            })?);
        }
        Ok(with_ieee(|| self.select(boxes, sizes))?)
    }

    fn candidates(
        &self,
        level: usize,
        logits: Blocked<'_>,
        shape: LevelShape,
    ) -> Result<Vec<Candidate>, PostprocessError> {
        let channels = shape.anchors * shape.classes;
        let new = || {
            with_ieee(|| Collector::new(level, channels, self.score_thresh, self.topk_candidates))
        };
        let runs = shape.positions.div_ceil(PIXELS_PER_TASK);
        (0..logits.shape().blocks() * runs)
            .into_par_iter()
            .fold(new, |mut collector, task| {
                let (block, run) = (task / runs, task % runs);
                let first = run * PIXELS_PER_TASK;
                let pixels = PIXELS_PER_TASK.min(shape.positions - first);
                let values = &logits.plane(block)[first * LANES..][..pixels * LANES];
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
            .finish(shape.width)
    }
}
