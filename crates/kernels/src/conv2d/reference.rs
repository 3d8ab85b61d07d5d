//! The slow, obvious convolution that the kernels must equal bit for bit.

use super::spec::{Algorithm, Conv2dSpec};
use super::winograd::{CANONICAL, input_2d, output_2d, weight_2d};
use crate::fma;
use crate::simd::Scalar;

/// Convolves one image in (c, y, x), in the form [`Algorithm::of`] says, one output at a time.
///
/// # Panics
/// A length does not match `spec`.
pub fn conv2d(
    spec: &Conv2dSpec,
    weight: &[f32],
    bias: Option<&[f32]>,
    input: &[f32],
    size: [usize; 2],
    residual: Option<&[f32]>,
    relu: bool,
) -> Vec<f32> {
    let [oh, ow] = spec.output_size(size).expect("a valid spec");
    let mut output = match Algorithm::of(spec) {
        Algorithm::Direct => direct(spec, weight, input, size, [oh, ow]),
        Algorithm::Winograd => winograd(spec, weight, input, size, [oh, ow]),
    };
    for (i, value) in output.iter_mut().enumerate() {
        if let Some(bias) = bias {
            *value += bias[i / (oh * ow)];
        }
        if let Some(residual) = residual {
            *value += residual[i];
        }
        if relu && *value < 0.0 {
            *value = 0.0;
        }
    }
    output
}

/// The input at (channel, y, x) of the padded image, +0 outside.
fn padded(input: &[f32], [h, w]: [usize; 2], c: usize, y: isize, x: isize) -> f32 {
    let inside = y >= 0 && x >= 0 && (y as usize) < h && (x as usize) < w;
    if inside { input[(c * h + y as usize) * w + x as usize] } else { 0.0 }
}

fn direct(
    spec: &Conv2dSpec,
    weight: &[f32],
    input: &[f32],
    size: [usize; 2],
    [oh, ow]: [usize; 2],
) -> Vec<f32> {
    let [kh, kw] = spec.kernel;
    let mut output = Vec::with_capacity(spec.out_channels * oh * ow);
    for co in 0..spec.out_channels {
        for oy in 0..oh {
            for ox in 0..ow {
                let mut acc = 0.0;
                for ci in 0..spec.in_channels {
                    for ky in 0..kh {
                        for kx in 0..kw {
                            let y = (oy * spec.stride[0] + ky) as isize - spec.padding[0] as isize;
                            let x = (ox * spec.stride[1] + kx) as isize - spec.padding[1] as isize;
                            let w = weight[((co * spec.in_channels + ci) * kh + ky) * kw + kx];
                            acc = fma(padded(input, size, ci, y, x), w, acc);
                        }
                    }
                }
                output.push(acc);
            }
        }
    }
    output
}

fn winograd(
    spec: &Conv2dSpec,
    weight: &[f32],
    input: &[f32],
    size: [usize; 2],
    [oh, ow]: [usize; 2],
) -> Vec<f32> {
    let transformed: Vec<_> =
        weight.chunks_exact(9).map(|kernel| weight_2d(&CANONICAL, kernel)).collect();
    let mut output = vec![0.0; spec.out_channels * oh * ow];
    for ty in 0..oh.div_ceil(4) {
        for tx in 0..ow.div_ceil(4) {
            let patches: Vec<[[f32; 6]; 6]> = (0..spec.in_channels)
                .map(|ci| {
                    let value = |i: usize, j: usize| {
                        let y = (4 * ty + i) as isize - spec.padding[0] as isize;
                        let x = (4 * tx + j) as isize - spec.padding[1] as isize;
                        padded(input, size, ci, y, x)
                    };
                    let row = |i| std::array::from_fn(|j| value(i, j));
                    input_2d(Scalar, std::array::from_fn(row))
                })
                .collect();
            for co in 0..spec.out_channels {
                let mut sums = [[0.0; 6]; 6];
                for (ci, patch) in patches.iter().enumerate() {
                    for i in 0..6 {
                        for j in 0..6 {
                            sums[i][j] = fma(
                                patch[i][j],
                                transformed[co * spec.in_channels + ci][6 * i + j],
                                sums[i][j],
                            );
                        }
                    }
                }
                let rows = output_2d(Scalar, sums);
                for (i, row) in rows.into_iter().enumerate() {
                    for (j, value) in row.into_iter().enumerate() {
                        let (y, x) = (4 * ty + i, 4 * tx + j);
                        if y < oh && x < ow {
                            output[(co * oh + y) * ow + x] = value;
                        }
                    }
                }
            }
        }
    }
    output
}
