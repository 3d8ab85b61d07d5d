//! The focal loss as the [module](super) defines it: the oracle that every level must equal.

use super::target::AnchorTarget;
use crate::{exp, log1p};

/// The terms and their gradients (times `scale`), one logit after the other, not yet summed.
///
/// # Panics
/// There are fewer logits than targets x classes.
pub fn focal_terms(
    alpha: f32,
    classes: usize,
    targets: &[AnchorTarget],
    logits: &[f32],
    scale: f32,
) -> (Vec<f32>, Vec<f32>) {
    let term = |i: usize| {
        let right = match targets[i / classes] {
            AnchorTarget::Ignored => return (0.0, 0.0),
            AnchorTarget::Background => false,
            AnchorTarget::Class(class) => class == i % classes,
        };
        let z = if right { 0.0 - logits[i] } else { logits[i] };
        let e = exp(if z < 0.0 { z } else { 0.0 - z });
        let ce = if z < 0.0 { 0.0 } else { z } + log1p(e);
        let (large, small) = (1.0 / (1.0 + e), e / (1.0 + e));
        let (q, r) = if z < 0.0 { (small, large) } else { (large, small) };
        let w = if right { alpha } else { 1.0 - alpha } * (q * q);
        let u = ce * r;
        let dz = w * (q + (u + u));
        (ce * w, if right { 0.0 - dz } else { dz } * scale)
    };
    (0..targets.len() * classes).map(term).unzip()
}
