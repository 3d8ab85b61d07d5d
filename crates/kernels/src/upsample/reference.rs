//! Upsampling as the [module](super) defines it: the oracle that every level must equal.

/// [`super::upsample_nearest_add_nchw`], one output after the other.
///
/// # Panics
/// A slice is too short.
pub fn upsample_nearest_add(
    channels: usize,
    [coarse_height, coarse_width]: [usize; 2],
    [height, width]: [usize; 2],
    coarse: &[f32],
    lateral: &[f32],
) -> Vec<f32> {
    let mut output = Vec::with_capacity(lateral.len());
    for c in 0..channels {
        for y in 0..height {
            let from = (c * coarse_height + source(y, coarse_height, height)) * coarse_width;
            for x in 0..width {
                let fine = lateral[(c * height + y) * width + x];
                output.push(fine + coarse[from + source(x, coarse_width, width)]);
            }
        }
    }
    output
}

/// [`super::upsample_nearest_backward`] on slices in (c, y, x) order, one output position after the other.
///
/// # Panics
/// The gradient is too short, or the coarse map is empty.
pub fn upsample_nearest_backward(
    channels: usize,
    [coarse_height, coarse_width]: [usize; 2],
    [height, width]: [usize; 2],
    gradient: &[f32],
) -> Vec<f32> {
    let mut coarse = vec![0.0; channels * coarse_height * coarse_width];
    for c in 0..channels {
        for y in 0..height {
            let from = (c * coarse_height + source(y, coarse_height, height)) * coarse_width;
            for x in 0..width {
                coarse[from + source(x, coarse_width, width)] +=
                    gradient[(c * height + y) * width + x];
            }
        }
    }
    coarse
}

/// The coarse index that a fine one reads.
fn source(i: usize, coarse: usize, fine: usize) -> usize {
    let scale = coarse as f32 / fine as f32;
    ((i as f32 * scale).floor() as usize).min(coarse - 1)
}
