//! Post-processing of logits that were selected before: the same steps and the same answer as
//! [`PostprocessConfig::apply`], from the few logits that can matter.

use retinanet_kernels::with_ieee;

use super::threshold::{Collector, logit_bound};
use super::{ImageSizes, LevelShape, PostprocessConfig, ScoredBox};
use crate::Result;
use crate::model::LevelAnchors;

/// What the network says about one feature level of one image: of the logits, all that are not below
/// [`PostprocessConfig::logit_bound`] or not finite.
#[derive(Debug, Clone, Copy)]
pub(crate) struct SelectedLevel<'a> {
    /// Height and width.
    pub(crate) grid: [usize; 2],
    /// How many logits there are.
    pub(crate) logits: usize,
    /// `channel * positions + position` of those selected, where channel = anchor * classes + class.
    pub(crate) indices: &'a [i32],
    /// Their values.
    pub(crate) values: &'a [f32],
    /// Channel = anchor * 4 + (dx, dy, dw, dh), then positions.
    pub(crate) regression: &'a [f32],
    /// In pixels of the resized image.
    pub(crate) anchors: &'a LevelAnchors,
}

impl PostprocessConfig {
    /// No finite logit below it is a candidate.
    pub(crate) fn logit_bound(&self) -> f32 {
        with_ieee(|| logit_bound(self.score_thresh as f32))
    }

    /// As [`PostprocessConfig::apply`].
    ///
    /// # Errors
    /// As [`PostprocessConfig::apply`].
    pub(crate) fn apply_selected(
        &self,
        levels: &[SelectedLevel<'_>],
        num_classes: usize,
        sizes: ImageSizes,
    ) -> Result<Vec<ScoredBox>> {
        self.check()?;
        let mut boxes = Vec::new();
        for (level, output) in levels.iter().enumerate() {
            let lengths = [output.logits, output.regression.len()];
            let anchors = output.anchors.len();
            let shape = LevelShape::new(level, output.grid, anchors, num_classes, lengths)?;
            let channels = shape.anchors * shape.classes;
            let regression = |channel: usize, position: usize| {
                output.regression[channel * shape.positions + position]
            };
            let anchor = |index| output.anchors.get(index).unwrap_or_default();
            boxes.extend(with_ieee(|| {
                let mut collector =
                    Collector::new(level, channels, self.score_thresh, self.topk_candidates);
                collector.read(output.values, |i| {
                    let index = output.indices[i] as usize;
                    (index / shape.positions, index % shape.positions)
                });
                let candidates = collector.finish(shape.width)?;
                self.decode(&candidates, shape, regression, anchor, sizes.resized)
            })?);
        }
        Ok(with_ieee(|| self.select(boxes, sizes))?)
    }
}
