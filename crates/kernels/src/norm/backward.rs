//! The gradient of group normalisation, sixteen channels at a time.

use super::kernel::{Centred, PARTIALS, RUN, Sum, tree};
use super::spec::{GroupNormSpec, WHAT};
use super::statistics::{Backward, GradientSums, Groups, Sums};
use crate::buffer::Shared;
use crate::layout::{Blocked, BlockedMut};
use crate::simd::{Kernel, LANES, Simd};
use crate::{Error, Level, Result, parallel};

/// The gradient of [`group_norm`](super::group_norm), in place: `gradient` holds that of the output and becomes that of the input.
///
/// `input` is what was normalised. Where ReLU followed, `relu_output` is what it answered; where it was not above 0
/// the gradient is +0. `of_gamma` and `of_beta`, one value per channel, are overwritten.
///
/// # Errors
/// As [`group_norm`](super::group_norm), and where a gradient's shape or length is not its activations'.
///
/// Mirrors `torch.ops.aten.native_group_norm_backward`; the [module](super) says in which order it adds.
#[allow(clippy::too_many_arguments)]
pub fn group_norm_backward_in_place(
    level: Level,
    spec: &GroupNormSpec,
    gamma: &[f32],
    input: Blocked,
    relu_output: Option<Blocked>,
    gradient: &mut BlockedMut,
    of_gamma: &mut [f32],
    of_beta: &mut [f32],
) -> Result<()> {
    let shape = input.shape();
    spec.check(gamma, of_beta, shape.channels)?;
    Error::check_length("group_norm: gradient of gamma", spec.channels, of_gamma.len())?;
    let output = relu_output.map_or(shape, |output| output.shape());
    for (name, actual) in [("gradient", gradient.shape()), ("output of ReLU", output)] {
        if actual != shape {
            let reason = format!("the {name} is {actual:?}, expected {shape:?}");
            return Err(Error::Shape { what: WHAT, reason });
        }
    }
    if shape.is_empty() {
        of_gamma.fill(0.0);
        of_beta.fill(0.0);
        return Ok(());
    }
    let groups = Groups {
        channels: spec.per_group(),
        n: (spec.per_group() * shape.height * shape.width) as f32,
        eps: spec.eps,
    };
    // The fewest blocks that hold whole groups: mostly one, whose plane then stays in cache.
    let blocks = (1..=shape.blocks())
        .find(|blocks| (blocks * LANES).is_multiple_of(groups.channels))
        .unwrap_or(shape.blocks());
    let plane = shape.plane() * LANES;
    let len = shape.height * shape.width * LANES;
    let gradient = Shared::new(gradient.data());
    let (of_gamma, of_beta) = (Shared::new(of_gamma), Shared::new(of_beta));
    parallel::for_each(shape.blocks().div_ceil(blocks), |unit| {
        let first = unit * blocks;
        let blocks = first..(first + blocks).min(shape.blocks());
        let channels = first * LANES..(blocks.end * LANES).min(shape.channels);
        let real = ..channels.len();
        let room = blocks.len() * LANES;
        let own = |block: usize| (block - first) * LANES..(block - first + 1) * LANES;
        let room = || vec![0.0f32; room];

        let (mut sums, mut squares, mut mean) = (room(), room(), room());
        for block in blocks.clone() {
            sums[own(block)].copy_from_slice(&level.run(Sum(input.plane(block))));
        }
        groups.means(&sums[real], &mut mean[real]);
        let (mut plain, mut products) = (room(), room());
        for block in blocks.clone() {
            let (own, input) = (own(block), input.plane(block));
            let [sum, square] = level.run(Centred { plane: input, mean: &mean[own.clone()] });
            sums[own.clone()].copy_from_slice(&sum);
            squares[own.clone()].copy_from_slice(&square);
            // SAFETY: each unit has its own planes, and this part ends with the loop's body.
            let gradient = unsafe { gradient.part(block * plane, len) };
            let output = relu_output.map(|output| output.plane(block));
            let [sum, product] =
                level.run(MaskAndSum { input, output, mean: &mean[own.clone()], gradient });
            plain[own.clone()].copy_from_slice(&sum);
            products[own].copy_from_slice(&product);
        }
        let (mut scale, mut slope, mut shift) = (room(), room(), room());
        // SAFETY: each unit has its own channels.
        let parameters =
            [&of_gamma, &of_beta].map(|all| unsafe { all.part(channels.start, channels.len()) });
        let [of_gamma, of_beta] = parameters;
        let out = Backward {
            gamma: of_gamma,
            beta: of_beta,
            scale: &mut scale[real],
            slope: &mut slope[real],
            shift: &mut shift[real],
        };
        groups.backward(
            Sums { centred: &sums[real], squares: &squares[real] },
            GradientSums { plain: &plain[real], products: &products[real] },
            &gamma[channels.clone()],
            out,
        );
        for block in blocks {
            let own = own(block);
            // SAFETY: each unit has its own planes, and this part ends with the loop's body.
            let gradient = unsafe { gradient.part(block * plane, len) };
            level.run(InputGradient {
                input: input.plane(block),
                mean: &mean[own.clone()],
                scale: &scale[own.clone()],
                slope: &slope[own.clone()],
                shift: &shift[own],
                gradient,
            });
        }
    });
    Ok(())
}

/// Sets the gradient to +0 where ReLU's output is not above 0; then each channel's sum of it, and of its products
/// with `x - mean`.
struct MaskAndSum<'a> {
    input: &'a [f32],
    output: Option<&'a [f32]>,
    mean: &'a [f32],
    gradient: &'a mut [f32],
}

impl Kernel for MaskAndSum<'_> {
    type Output = [[f32; LANES]; 2];

    #[inline(always)]
    fn run<S: Simd>(self, s: S) -> [[f32; LANES]; 2] {
        let mean = s.read(self.mean, 0);
        let (zero, smallest) = (s.splat(0.0), s.splat(f32::from_bits(1)));
        let mut totals = [zero; 2];
        for start in (0..self.gradient.len()).step_by(RUN * LANES) {
            let mut sums = [zero; PARTIALS];
            let mut products = [zero; PARTIALS];
            let end = self.gradient.len().min(start + RUN * LANES);
            for four in (start..end).step_by(PARTIALS * LANES) {
                for j in 0..PARTIALS {
                    let at = four + j * LANES;
                    if at >= end {
                        break;
                    }
                    let mut gradient = s.read(self.gradient, at);
                    if let Some(output) = self.output {
                        // Nothing is between 0 and the smallest number.
                        gradient = s.select_lt(s.read(output, at), smallest, zero, gradient);
                        s.write(self.gradient, at, gradient);
                    }
                    let d = s.sub(s.read(self.input, at), mean);
                    sums[j] = s.add(sums[j], gradient);
                    products[j] = s.fma(gradient, d, products[j]);
                }
            }
            totals[0] = s.add(totals[0], tree(s, sums));
            totals[1] = s.add(totals[1], tree(s, products));
        }
        let mut out = [[0.0; LANES]; 2];
        for (out, total) in out.iter_mut().zip(totals) {
            s.write(out, 0, total);
        }
        out
    }
}

/// `gradient = fma(gradient, scale, fma(x - mean, slope, shift))`
struct InputGradient<'a> {
    input: &'a [f32],
    mean: &'a [f32],
    scale: &'a [f32],
    slope: &'a [f32],
    shift: &'a [f32],
    gradient: &'a mut [f32],
}

impl Kernel for InputGradient<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let [mean, scale, slope, shift] =
            [self.mean, self.scale, self.slope, self.shift].map(|values| s.read(values, 0));
        for at in (0..self.gradient.len()).step_by(LANES) {
            let d = s.sub(s.read(self.input, at), mean);
            let centre = s.fma(d, slope, shift);
            s.write(self.gradient, at, s.fma(s.read(self.gradient, at), scale, centre));
        }
    }
}
