//! Group normalisation, with ReLU on top where asked.
//!
//! A group is `channels / groups` neighbouring channels of one image. Its values are shifted by their
//! mean and divided by their standard deviation, then multiplied by the channel's gamma and shifted by
//! its beta.
//!
//! # The order of operations
//!
//! A true reduction cannot be one chain (too slow, too inexact), so its shape is fixed here, over
//! logical positions. *The sum* of some terms of a group is:
//!
//! 1. per channel, the pixels `p = y * width + x` in runs of 256 (the last may be shorter);
//! 2. per run, four partial sums that start at +0: number `j` takes the pixels with `p % 4 = j` in
//!    increasing order;
//! 3. the run's sum is `(s0 + s2) + (s1 + s3)`;
//! 4. a channel's runs are added in increasing order to +0, and so are a group's channels.
//!
//! With `n` the number of values in the group, rounded to f32, each line rounded:
//!
//! ```text
//! mean   = sum(x) / n
//! d      = x - mean
//! rest   = sum(d) / n                       what rounding left over in the mean
//! square = sum(d * d)                       each step fused: s_j = fma(d, d, s_j)
//! var    = (square - sum(d) * rest) / n     biased, as torch's; below 0 it becomes +0
//! scale  = gamma * (1 / sqrt(var + eps))
//! shift  = fma(-rest, scale, beta)
//! y      = fma(d, scale, shift)
//! ```
//!
//! So a mean far from 0 costs no accuracy: `d` is nearly exact, and what the mean lacks is put back
//! (the corrected two-pass algorithm of Chan, Golub and LeVeque, "Algorithms for computing the sample
//! variance", 1983).
//!
//! # The gradient
//!
//! `g` is the output's gradient, +0 where ReLU followed and its output was not above 0; `mean`, `d`, `rest`, `var` and
//! `scale` are the forward pass's, computed again. Per channel, its part of a sum is what step 4 has after its runs:
//!
//! ```text
//! rstd     = 1 / sqrt(var + eps)
//! of beta  = sum of g over the channel
//! of gamma = fma(-rest, of beta, sum of g * d over the channel, each step fused) * rstd
//! all      = the group's channels in increasing order: fma(gamma, of beta, all), from +0
//! products = likewise: fma(gamma, of gamma, products)
//! slope    = -(products / n * rstd * rstd)                 left to right
//! shift    = fma(-rest, slope, -(all / n * rstd))
//! of x     = fma(g, scale, fma(d, slope, shift))
//! ```

mod backward;
#[cfg(feature = "cuda")]
mod cuda;
mod kernel;
pub mod reference;
mod spec;
mod statistics;
#[cfg(test)]
mod tests;

pub use backward::group_norm_backward_in_place;
#[cfg(feature = "cuda")]
pub use cuda::CudaGroupNorm;
pub use spec::GroupNormSpec;

use crate::buffer::Shared;
use crate::layout::{Blocked, BlockedBuffer, BlockedMut, BlockedShape};
use crate::simd::LANES;
use crate::{Error, Level, Result, strips, with_ieee};
use kernel::{Centred, Normalise, Sum};
use spec::WHAT;
use statistics::{Groups, Sums};

/// Normalises one image's activations.
///
/// `gamma` and `beta` have one value per channel; `relu` says whether ReLU follows.
///
/// # Errors
/// The spec's groups or eps make no sense, or a shape or length does not match its channels.
///
/// Mirrors `torch.nn.functional.group_norm`; the [module](self) says in which order it adds.
pub fn group_norm(
    level: Level,
    spec: &GroupNormSpec,
    gamma: &[f32],
    beta: &[f32],
    relu: bool,
    input: Blocked,
    output: &mut BlockedMut,
) -> Result<()> {
    if input.shape() != output.shape() {
        let (input, output) = (input.shape(), output.shape());
        return Err(Error::Shape {
            what: WHAT,
            reason: format!("the output is {output:?}, expected {input:?}"),
        });
    }
    run(level, spec, [gamma, beta], relu, Some(input), output)
}

/// [`group_norm`] in place.
///
/// # Errors
/// As [`group_norm`].
pub fn group_norm_in_place(
    level: Level,
    spec: &GroupNormSpec,
    gamma: &[f32],
    beta: &[f32],
    relu: bool,
    values: &mut BlockedMut,
) -> Result<()> {
    run(level, spec, [gamma, beta], relu, None, values)
}

/// [`group_norm`] on slices in (c, y, x) order; `size` is height and width.
///
/// # Errors
/// As [`group_norm`].
///
/// ```
/// use retinanet_kernels::{Level, norm::{GroupNormSpec, group_norm_nchw}};
/// let spec = GroupNormSpec { channels: 2, groups: 1, eps: 0.0 };
/// let mut output = [0.0; 4];
/// let (gamma, beta, input) = ([1.0, 2.0], [0.0, 0.0], [1.0, 3.0, 3.0, 1.0]);
/// group_norm_nchw(Level::best(), &spec, &gamma, &beta, [1, 2], true, &input, &mut output)?;
/// assert_eq!(output, [0.0, 1.0, 2.0, 0.0]);
/// # Ok::<(), retinanet_kernels::Error>(())
/// ```
#[allow(clippy::too_many_arguments)]
pub fn group_norm_nchw(
    level: Level,
    spec: &GroupNormSpec,
    gamma: &[f32],
    beta: &[f32],
    size: [usize; 2],
    relu: bool,
    input: &[f32],
    output: &mut [f32],
) -> Result<()> {
    let shape = BlockedShape::new(spec.channels, size);
    let mut blocked = BlockedBuffer::from_chw(shape, input)?;
    group_norm_in_place(level, spec, gamma, beta, relu, &mut blocked.as_mut())?;
    blocked.as_ref().to_chw(output)
}

fn run(
    level: Level,
    spec: &GroupNormSpec,
    [gamma, beta]: [&[f32]; 2],
    relu: bool,
    input: Option<Blocked>,
    output: &mut BlockedMut,
) -> Result<()> {
    let shape = output.shape();
    spec.check(gamma, beta, shape.channels)?;
    if shape.is_empty() {
        return Ok(());
    }
    let groups = Groups {
        channels: spec.per_group(),
        n: (spec.per_group() * shape.height * shape.width) as f32,
        eps: spec.eps,
    };
    let source = |block: usize, len: usize| -> Option<&[f32]> {
        input.map(|input| &input.data()[block * shape.plane() * LANES..][..len])
    };
    let normalise = |block: usize, plane: &mut [f32], affine: [&[f32]; 3]| {
        let [mean, scale, shift] = affine;
        let input = source(block, plane.len());
        let output = plane;
        level.run(Normalise { input, output, mean, scale, shift, relu });
    };

    if LANES.is_multiple_of(groups.channels) {
        // No group leaves its block: all steps on one plane, while it is in the second-level cache.
        strips::for_each_plane(output, |block, plane| {
            let own = block * LANES..shape.channels.min((block + 1) * LANES);
            let real = ..own.len();
            let [mut mean, mut scale, mut shift] = [[0.0; LANES]; 3];

            let input = source(block, plane.len()).unwrap_or(plane);
            let sums = level.run(Sum(input));
            groups.means(&sums[real], &mut mean);
            let [sums, squares] = level.run(Centred { plane: input, mean: &mean });
            let sums = Sums { centred: &sums[real], squares: &squares[real] };
            groups.finish(sums, &gamma[own.clone()], &beta[own], &mut scale, &mut shift);
            normalise(block, plane, [&mean, &scale, &shift]);
        });
        return Ok(());
    }

    // Groups span blocks: every pass over all planes before the next.
    let channels = shape.channels;
    let [mut sums, mut squares] = [(); 2].map(|()| vec![0.0; shape.blocks() * LANES]);
    let [mut mean, mut scale, mut shift] = [(); 3].map(|()| vec![0.0; shape.blocks() * LANES]);

    let shared = Shared::new(&mut sums);
    strips::for_each_plane(output, |block, plane| {
        let input = source(block, plane.len()).unwrap_or(plane);
        // SAFETY: each block has its own sixteen sums.
        let sums = unsafe { shared.part(block * LANES, LANES) };
        sums.copy_from_slice(&level.run(Sum(input)));
    });
    with_ieee(|| groups.means(&sums[..channels], &mut mean));

    let shared = [&mut sums, &mut squares].map(|values| Shared::new(values));
    strips::for_each_plane(output, |block, plane| {
        let input = source(block, plane.len()).unwrap_or(plane);
        let mean = &mean[block * LANES..][..LANES];
        let totals = level.run(Centred { plane: input, mean });
        for (shared, totals) in shared.iter().zip(totals) {
            // SAFETY: each block has its own sixteen sums.
            let sums = unsafe { shared.part(block * LANES, LANES) };
            sums.copy_from_slice(&totals);
        }
    });
    let totals = Sums { centred: &sums[..channels], squares: &squares[..channels] };
    with_ieee(|| groups.finish(totals, gamma, beta, &mut scale, &mut shift));

    strips::for_each_plane(output, |block, plane| {
        let own = block * LANES..(block + 1) * LANES;
        let affine = [&mean[own.clone()], &scale[own.clone()], &shift[own]];
        normalise(block, plane, affine);
    });
    Ok(())
}
