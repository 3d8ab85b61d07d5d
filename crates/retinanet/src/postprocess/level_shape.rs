//! The checked sizes of one feature level.

use crate::error::PostprocessError;

/// A level's checked sizes, none of them 0.
#[derive(Debug, Clone, Copy)]
pub(crate) struct LevelShape {
    /// Height * width.
    pub(crate) positions: usize,
    pub(crate) width: usize,
    /// Anchors per location.
    pub(crate) anchors: usize,
    pub(crate) classes: usize,
}

impl LevelShape {
    /// Checks how many anchors, and how many values of both outputs ([classification, regression]),
    /// a level has.
    pub(super) fn new(
        level: usize,
        [height, width]: [usize; 2],
        anchors: usize,
        classes: usize,
        lengths: [usize; 2],
    ) -> Result<Self, PostprocessError> {
        let misfit = || PostprocessError::Grid { level, height, width, anchors, classes };

        let positions = height.checked_mul(width).filter(|&n| n > 0).ok_or_else(misfit)?;
        let logits = anchors.checked_mul(classes).filter(|&n| n > 0).ok_or_else(misfit)?;
        let regression = anchors.checked_mul(4).ok_or_else(misfit)?;
        if !anchors.is_multiple_of(positions) {
            return Err(misfit());
        }
        for (what, actual, expected) in [
            ("the classification output", lengths[0], logits),
            ("the regression output", lengths[1], regression),
        ] {
            if actual != expected {
                return Err(PostprocessError::Length {
                    what,
                    level,
                    height,
                    width,
                    anchors,
                    classes,
                    actual,
                    expected,
                });
            }
        }
        Ok(Self { positions, width, anchors: anchors / positions, classes })
    }
}
