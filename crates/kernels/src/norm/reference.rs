//! Group normalisation as the [module](super) defines it: the oracle that every level must equal.

use super::spec::GroupNormSpec;
use crate::fma;

/// [`super::group_norm_nchw`], one value after the other, `pixels` values per channel.
///
/// # Panics
/// A length does not match the spec.
pub fn group_norm(
    spec: &GroupNormSpec,
    gamma: &[f32],
    beta: &[f32],
    pixels: usize,
    relu: bool,
    input: &[f32],
) -> Vec<f32> {
    let mut output = Vec::with_capacity(input.len());
    let per_group = spec.channels / spec.groups;
    for group in 0..spec.groups {
        let first = group * per_group;
        let x = &input[first * pixels..][..per_group * pixels];
        let [mean, rest, rstd] = statistics(x, pixels, spec.eps);
        for (i, x) in x.iter().enumerate() {
            let c = first + i / pixels;
            let scale = gamma[c] * rstd;
            let shift = fma(-rest, scale, beta[c]);
            let y = fma(x - mean, scale, shift);
            output.push(if relu && y < 0.0 { 0.0 } else { y });
        }
    }
    output
}

/// The gradient, one value after the other: of the input, of gamma, of beta. `output` is what ReLU answered, if any.
///
/// # Panics
/// A length does not match the spec.
pub fn group_norm_backward(
    spec: &GroupNormSpec,
    gamma: &[f32],
    pixels: usize,
    input: &[f32],
    output: Option<&[f32]>,
    gradient: &[f32],
) -> [Vec<f32>; 3] {
    let [mut of_input, mut of_gamma, mut of_beta] = [(); 3].map(|()| Vec::new());
    let masked = |i: usize| match output {
        Some(output) if output[i] <= 0.0 => 0.0,
        _ => gradient[i],
    };
    let masked: Vec<f32> = (0..gradient.len()).map(masked).collect();
    let per_group = spec.channels / spec.groups;
    for first in (0..spec.channels).step_by(per_group.max(1)) {
        let values = first * pixels..(first + per_group) * pixels;
        let (x, g) = (&input[values.clone()], &masked[values]);
        let n = x.len() as f32;
        let [mean, rest, rstd] = statistics(x, pixels, spec.eps);
        let (mut all, mut products) = (0.0, 0.0);
        for c in 0..per_group {
            let own = c * pixels..(c + 1) * pixels;
            let pairs: Vec<(f32, f32)> =
                g[own.clone()].iter().copied().zip(x[own].iter().copied()).collect();
            let beta = channel_sum(&pairs, |s, (g, _)| s + g);
            let product = channel_sum(&pairs, |s, (g, x)| fma(g, x - mean, s));
            let of_channel = fma(-rest, beta, product) * rstd;
            all = fma(gamma[first + c], beta, all);
            products = fma(gamma[first + c], of_channel, products);
            of_gamma.push(of_channel);
            of_beta.push(beta);
        }
        let slope = -(products / n * rstd * rstd);
        let shift = fma(-rest, slope, -(all / n * rstd));
        for (i, (g, x)) in g.iter().zip(x).enumerate() {
            let scale = gamma[first + i / pixels] * rstd;
            of_input.push(fma(*g, scale, fma(x - mean, slope, shift)));
        }
    }
    [of_input, of_gamma, of_beta]
}

/// A group's mean, what rounding left over in it, and one over its standard deviation.
fn statistics(x: &[f32], pixels: usize, eps: f32) -> [f32; 3] {
    let n = x.len() as f32;
    let mean = sum(x, pixels, |s, x| s + x) / n;
    let centred = sum(x, pixels, |s, x| s + (x - mean));
    let rest = centred / n;
    let square = sum(x, pixels, |s, x| fma(x - mean, x - mean, s));
    let variance = (square - centred * rest) / n;
    let variance = if variance < 0.0 { 0.0 } else { variance };
    [mean, rest, 1.0 / (variance + eps).sqrt()]
}

/// The sum over a group; `step` takes a term into a partial sum.
fn sum(x: &[f32], pixels: usize, step: impl Fn(f32, f32) -> f32) -> f32 {
    x.chunks(pixels.max(1)).fold(0.0, |total, channel| total + channel_sum(channel, &step))
}

/// The sum over a channel.
fn channel_sum<T: Copy>(values: &[T], step: impl Fn(f32, T) -> f32) -> f32 {
    let mut sum = 0.0;
    for run in values.chunks(256) {
        let mut s = [0.0; 4];
        for (i, value) in run.iter().enumerate() {
            s[i % 4] = step(s[i % 4], *value);
        }
        sum += (s[0] + s[2]) + (s[1] + s[3]);
    }
    sum
}
