//! The focal loss of Lin et al., "Focal Loss for Dense Object Detection" (2017), with its gradient, gamma = 2.
//!
//! For a logit `x` whose target is `t` (0 or 1), `z = x` where `t = 0` and `z = -x` where `t = 1`: how wrong it
//! is. Each line's operations are rounded one by one, with [`exp`](crate::exp) and [`log1p`](crate::log1p) of this
//! crate:
//!
//! ```text
//! e    = exp(-|z|)
//! ce   = relu(z) + log1p(e)                 the cross entropy
//! q    = z < 0 ? e / (1 + e) : 1 / (1 + e)  the probability of the wrong answer, sigmoid(z)
//! r    = z < 0 ? 1 / (1 + e) : e / (1 + e)  that of the right one
//! w    = a * (q * q)                        a = alpha where t = 1, 1 - alpha where t = 0
//! loss = ce * w
//! u    = ce * r
//! dz   = w * (q + (u + u))
//! dx   = (t = 1 ? -dz : dz) * scale
//! ```
//!
//! So neither 1 - p nor its powers lose digits, and nothing overflows for a finite logit. The terms are summed as
//! [`sum`](mod@crate::sum) says, over positions `anchor * classes + class`; an ignored anchor's terms take part as +0.

mod kernel;
pub mod reference;
mod target;
#[cfg(test)]
mod tests;

pub use target::AnchorTarget;

use crate::buffer::Shared;
use crate::sum::{CHUNK, pairwise};
use crate::{Error, Level, Result, parallel};
use kernel::Terms;

const WHAT: &str = "focal_loss";

/// The sum of the focal loss's terms; writes the gradient of `scale` times that sum with respect to each logit.
///
/// `logits` and `gradient` are `[anchor][class]`; `alpha`, from 0 to 1, is the weight of terms whose target is 1
/// (0.25 in torchvision), and 1 - alpha of the others. `scale` is 1 / max(1, foreground anchors) in RetinaNet; the
/// sum that is answered is not scaled. The gradient of an ignored anchor is +0, whatever its logits.
///
/// # Errors
/// A slice's length is not anchors x classes, `alpha` is not between 0 and 1, or a target names a class that is not
/// there.
///
/// Mirrors `torchvision.ops.sigmoid_focal_loss(gamma=2, reduction="sum")`; the [module](self) says in which order.
///
/// ```
/// use retinanet_kernels::{Level, loss::{AnchorTarget, focal_loss}};
/// let mut gradient = [0.0; 4];
/// let targets = [AnchorTarget::Class(1), AnchorTarget::Ignored];
/// let sum = focal_loss(Level::best(), 0.25, 2, &targets, &[-9.0, 0.0, 3.0, 4.0], 1.0, &mut gradient)?;
/// assert!(sum > 0.0 && gradient[1] < 0.0);
/// assert_eq!(gradient[2..], [0.0, 0.0]);
/// # Ok::<(), retinanet_kernels::Error>(())
/// ```
pub fn focal_loss(
    level: Level,
    alpha: f32,
    classes: usize,
    targets: &[AnchorTarget],
    logits: &[f32],
    scale: f32,
    gradient: &mut [f32],
) -> Result<f32> {
    check(alpha, classes, targets, logits)?;
    Error::check_length("focal_loss: gradient", logits.len(), gradient.len())?;
    let mut sums = vec![0.0; logits.len().div_ceil(CHUNK)];
    let shared = Shared::new(gradient);
    parallel::for_each_value(&mut sums, |i, sum| {
        let start = i * CHUNK;
        let len = (logits.len() - start).min(CHUNK);
        // SAFETY: chunks do not overlap.
        let gradient = unsafe { shared.part(start, len) };
        let logits = &logits[start..start + len];
        *sum = level.run(Terms { alpha, classes, targets, start, logits, scale, gradient });
    });
    Ok(pairwise(&mut sums))
}

fn check(alpha: f32, classes: usize, targets: &[AnchorTarget], logits: &[f32]) -> Result<()> {
    let refuse = |reason| Err(Error::Shape { what: WHAT, reason });
    if !(0.0..=1.0).contains(&alpha) {
        return refuse(format!("alpha is {alpha}, expected 0 to 1"));
    }
    let wrong = |target: &&AnchorTarget| matches!(target, AnchorTarget::Class(c) if *c >= classes);
    if let Some(AnchorTarget::Class(class)) = targets.iter().find(wrong) {
        return refuse(format!("a target is class {class}, and there are {classes} classes"));
    }
    let Some(expected) = targets.len().checked_mul(classes) else {
        return refuse(format!("{} anchors of {classes} classes are too many", targets.len()));
    };
    Error::check_length("focal_loss: logits", expected, logits.len())
}
