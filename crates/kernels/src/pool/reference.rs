//! Max-pooling as its definition says it: the oracle that every level must equal.

use super::spec::MaxPool2dSpec;
use crate::Result;

/// [`super::max_pool2d_nchw`], one output after the other.
///
/// # Errors
/// As [`MaxPool2dSpec::output_size`].
///
/// # Panics
/// The input is too short.
pub fn max_pool2d(
    spec: &MaxPool2dSpec,
    channels: usize,
    [height, width]: [usize; 2],
    input: &[f32],
) -> Result<Vec<f32>> {
    let [out_height, out_width] = spec.output_size([height, width])?;
    let mut output = Vec::with_capacity(channels * out_height * out_width);
    for c in 0..channels {
        for oy in 0..out_height {
            for ox in 0..out_width {
                let mut best = f32::NEG_INFINITY;
                for ky in 0..spec.kernel[0] {
                    for kx in 0..spec.kernel[1] {
                        let y = (oy * spec.stride[0] + ky).wrapping_sub(spec.padding[0]);
                        let x = (ox * spec.stride[1] + kx).wrapping_sub(spec.padding[1]);
                        if y < height && x < width {
                            let value = input[(c * height + y) * width + x];
                            if value > best || value.is_nan() {
                                best = value;
                            }
                        }
                    }
                }
                output.push(best);
            }
        }
    }
    Ok(output)
}

/// [`super::max_pool2d_backward`] on slices in (c, y, x) order, one window after the other.
///
/// # Errors
/// As [`MaxPool2dSpec::output_size`].
///
/// # Panics
/// A slice is too short.
pub fn max_pool2d_backward(
    spec: &MaxPool2dSpec,
    channels: usize,
    [height, width]: [usize; 2],
    input: &[f32],
    gradient: &[f32],
) -> Result<Vec<f32>> {
    let [out_height, out_width] = spec.output_size([height, width])?;
    let mut output = vec![0.0; channels * height * width];
    for c in 0..channels {
        for oy in 0..out_height {
            for ox in 0..out_width {
                let (mut best, mut kept) = (f32::NEG_INFINITY, None);
                for ky in 0..spec.kernel[0] {
                    for kx in 0..spec.kernel[1] {
                        let y = (oy * spec.stride[0] + ky).wrapping_sub(spec.padding[0]);
                        let x = (ox * spec.stride[1] + kx).wrapping_sub(spec.padding[1]);
                        if y < height && x < width {
                            let at = (c * height + y) * width + x;
                            let value = input[at];
                            if kept.is_none() || value > best || value.is_nan() {
                                (best, kept) = (value, Some(at));
                            }
                        }
                    }
                }
                if let Some(at) = kept {
                    output[at] += gradient[(c * out_height + oy) * out_width + ox];
                }
            }
        }
    }
    Ok(output)
}
