//! Post-processing of logits that were selected before: the same steps and the same answer as
//! [`PostprocessConfig::apply`], from the few logits that can matter.

use retinanet_kernels::with_ieee;

use super::apply::LevelMaps;
use super::boxes::{ImageSizes, ScoredBox};
use super::config::PostprocessConfig;
use super::level_shape::LevelShape;
use super::threshold::{Collector, logit_bound};
use crate::Result;
use crate::anchors::LevelAnchors;
use crate::error::PostprocessError;

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
        Ok(self.all_levels(levels, num_classes, sizes)?)
    }
}

impl LevelMaps for SelectedLevel<'_> {
    fn shape(&self, level: usize, classes: usize) -> Result<LevelShape, PostprocessError> {
        let lengths = [self.logits, self.regression.len()];
        LevelShape::new(level, self.grid, self.anchors.len(), classes, lengths)
    }

    fn collect(&self, shape: LevelShape, new: impl Fn() -> Collector + Sync) -> Collector {
        let mut collector = new();
        collector.read(self.values, |i| {
            let index = self.indices[i] as usize;
            (index / shape.positions, index % shape.positions)
        });
        collector
    }

    fn regression(&self, shape: LevelShape, channel: usize, position: usize) -> f32 {
        self.regression[channel * shape.positions + position]
    }

    fn anchor(&self, index: usize) -> [f32; 4] {
        self.anchors.get(index).unwrap_or_default()
    }
}
