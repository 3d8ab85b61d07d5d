//! The distance between regressions, v1's box loss.

use crate::box_coder::encode;

/// The four terms `|regression - encoded object|` of one anchor, and their derivatives: the difference's sign, 0 where
/// it is 0, as in PyTorch.
pub(super) fn l1(regression: [f32; 4], anchor: [f32; 4], object: [f32; 4]) -> ([f32; 4], [f32; 4]) {
    let target = encode(object, anchor);
    let (mut terms, mut slopes) = ([0.0; 4], [0.0; 4]);
    for i in 0..4 {
        let off = regression[i] - target[i];
        // A NaN goes through both, so that the loss shows it.
        (terms[i], slopes[i]) = match off {
            off if off > 0.0 => (off, 1.0),
            off if off < 0.0 => (0.0 - off, -1.0),
            off => (off, off),
        };
    }
    (terms, slopes)
}
