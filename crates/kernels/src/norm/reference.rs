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
        let n = x.len() as f32;
        let mean = sum(x, pixels, |s, x| s + x) / n;
        let centred = sum(x, pixels, |s, x| s + (x - mean));
        let rest = centred / n;
        let square = sum(x, pixels, |s, x| fma(x - mean, x - mean, s));
        let variance = (square - centred * rest) / n;
        let variance = if variance < 0.0 { 0.0 } else { variance };
        let rstd = 1.0 / (variance + spec.eps).sqrt();
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

/// The sum over a group; `step` takes a term into a partial sum.
fn sum(x: &[f32], pixels: usize, step: impl Fn(f32, f32) -> f32) -> f32 {
    let mut total = 0.0;
    for channel in x.chunks(pixels.max(1)) {
        let mut sum = 0.0;
        for run in channel.chunks(256) {
            let mut s = [0.0; 4];
            for (i, x) in run.iter().enumerate() {
                s[i % 4] = step(s[i % 4], *x);
            }
            sum += (s[0] + s[2]) + (s[1] + s[3]);
        }
        total += sum;
    }
    total
}
