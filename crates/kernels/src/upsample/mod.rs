//! Nearest-neighbour upsampling to an exact size, added to a finer map: the top-down step of an FPN.
//!
//! Output (c, y, x) is `lateral(c, y, x) + coarse(c, source(y), source(x))`, rounded once, where per
//! axis `source(i) = min(floor(i * scale), coarse_len - 1)` and `scale = coarse_len / fine_len`, both in
//! f32 and rounded, as PyTorch's `nearest` mode does it.
//!
//! The gradient of the lateral map is the output's. That of coarse (c, y, x) is one chain of additions from +0 over the
//! output positions that read it, row by row, left to right.

mod backward;
#[cfg(feature = "cuda")]
mod cuda;
mod kernel;
pub mod reference;
#[cfg(test)]
mod tests;

#[cfg(feature = "cuda")]
pub use cuda::upsample_nearest_add_cuda;

use crate::layout::{Blocked, BlockedBuffer, BlockedMut, BlockedShape};
use crate::{Error, Level, Result, strips, with_ieee};
use backward::CoarseRows;
use kernel::Rows;

const WHAT: &str = "upsample_nearest_add";

/// `output = lateral + coarse`, upsampled to the size of `lateral`. Sizes may also shrink.
///
/// # Errors
/// The shapes have different channels, `output` is not shaped as `lateral`, or `coarse` is empty.
///
/// Mirrors `torch.nn.functional.interpolate(mode="nearest", size=...)` and the addition in
/// `torchvision.ops.FeaturePyramidNetwork`.
pub fn upsample_nearest_add(
    level: Level,
    coarse: Blocked,
    lateral: Blocked,
    output: &mut BlockedMut,
) -> Result<()> {
    if lateral.shape() != output.shape() {
        let (lateral, output) = (lateral.shape(), output.shape());
        return refuse(format!("the output is {output:?}, expected {lateral:?}"));
    }
    run(level, coarse, Some(lateral), output)
}

/// [`upsample_nearest_add`] where the output already holds the lateral map.
///
/// # Errors
/// As [`upsample_nearest_add`].
pub fn upsample_nearest_add_in_place(
    level: Level,
    coarse: Blocked,
    output: &mut BlockedMut,
) -> Result<()> {
    run(level, coarse, None, output)
}

/// [`upsample_nearest_add`] on slices in (c, y, x) order; sizes are height and width.
///
/// # Errors
/// As [`upsample_nearest_add`], and where a slice's length does not match its shape.
///
/// ```
/// use retinanet_kernels::{Level, upsample::upsample_nearest_add_nchw};
/// let mut output = [0.0; 3];
/// upsample_nearest_add_nchw(Level::best(), 1, [1, 2], [1, 3], &[1.0, 2.0], &[10.0; 3], &mut output)?;
/// assert_eq!(output, [11.0, 11.0, 12.0]);
/// # Ok::<(), retinanet_kernels::Error>(())
/// ```
pub fn upsample_nearest_add_nchw(
    level: Level,
    channels: usize,
    coarse_size: [usize; 2],
    fine_size: [usize; 2],
    coarse: &[f32],
    lateral: &[f32],
    output: &mut [f32],
) -> Result<()> {
    let coarse = BlockedBuffer::from_chw(BlockedShape::new(channels, coarse_size), coarse)?;
    let mut fine = BlockedBuffer::from_chw(BlockedShape::new(channels, fine_size), lateral)?;
    upsample_nearest_add_in_place(level, coarse.as_ref(), &mut fine.as_mut())?;
    fine.as_ref().to_chw(output)
}

/// The gradient of [`upsample_nearest_add`] with respect to the coarse map, from that of its output.
///
/// # Errors
/// The shapes have different channels.
///
/// Mirrors `torch.ops.aten.upsample_nearest2d_backward`; the [module](self) says in which order it adds.
pub fn upsample_nearest_backward(
    level: Level,
    output_gradient: Blocked,
    coarse_gradient: &mut BlockedMut,
) -> Result<()> {
    let (from, to) = (coarse_gradient.shape(), output_gradient.shape());
    if from.channels != to.channels {
        return refuse(format!(
            "the coarse map's gradient has {} channels, expected {}",
            from.channels, to.channels
        ));
    }
    if from.is_empty() {
        return Ok(());
    }
    let rows = with_ieee(|| readers(&sources(from.height, to.height), from.height));
    let columns = with_ieee(|| readers(&sources(from.width, to.width), from.width));
    strips::for_each(coarse_gradient, |strip| {
        level.run(CoarseRows { gradient: output_gradient, rows: &rows, columns: &columns, strip });
    });
    Ok(())
}

/// The fine indices that read each coarse one: neighbours, since `sources` never falls.
fn readers(sources: &[usize], coarse: usize) -> Vec<std::ops::Range<usize>> {
    let first = |index: usize| sources.partition_point(|source| *source < index);
    (0..coarse).map(|index| first(index)..first(index + 1)).collect()
}

fn run(
    level: Level,
    coarse: Blocked,
    lateral: Option<Blocked>,
    output: &mut BlockedMut,
) -> Result<()> {
    let (from, to) = (coarse.shape(), output.shape());
    if from.channels != to.channels {
        return refuse(format!(
            "the coarse map has {} channels, expected {}",
            from.channels, to.channels
        ));
    }
    if to.is_empty() {
        return Ok(());
    }
    if from.is_empty() {
        return refuse(format!("the coarse map is empty: {from:?}"));
    }
    let rows = with_ieee(|| sources(from.height, to.height));
    let columns = with_ieee(|| sources(from.width, to.width));
    strips::for_each(output, |strip| {
        level.run(Rows { coarse, lateral, rows: &rows, columns: &columns, strip });
    });
    Ok(())
}

/// The coarse index that each fine one reads.
// Never inlined, so that no step can be moved out of the IEEE environment that the caller set up.
#[inline(never)]
fn sources(coarse: usize, fine: usize) -> Vec<usize> {
    let scale = coarse as f32 / fine as f32;
    // A cast rounds towards zero, which is `floor` for what is not negative.
    (0..fine).map(|i| ((i as f32 * scale) as usize).min(coarse - 1)).collect()
}

fn refuse<T>(reason: String) -> Result<T> {
    Err(Error::Shape { what: WHAT, reason })
}
