//! From interleaved 8-bit RGB to the network's input: normalised, resized bilinearly, zero-padded.
//!
//! The order of operations is fixed here and is the same on every machine and thread count. For
//! every output value, in f32, each step rounded and nothing fused:
//!
//! 1. normalise the four source pixels: `v = (u / 255 - mean) / std` ([`Normalisation`]);
//! 2. per axis, `scale = source / resized` and `src = (dst + 0.5) * scale - 0.5`, raised to `+0`
//!    where it is below; `i0 = floor(src)`, `i1 = i0 + 1` (the last index at the edge),
//!    `w1 = src - i0` kept within `0..=1`, `w0 = 1 - w1` (`Axis`);
//! 3. horizontally in both source rows: `h = v[x0] * w0 + v[x1] * w1`;
//! 4. vertically: `h[y0] * w0 + h[y1] * w1`.
//!
//! This mirrors torchvision's `GeneralizedRCNNTransform` and torch's CPU `upsample_bilinear2d`
//! (`align_corners=False`, no antialiasing), which interpolates horizontally first as well. Torch's
//! compiler fuses the products on some CPUs (`fma(a, w0, round(b * w1))`), so its bits depend on the
//! build; ours do not, and differ from it by a few units in the last place.

mod axis;
mod bilinear;
#[cfg(feature = "cuda")]
mod cuda;
mod normalisation;
pub mod reference;
mod spec;
#[cfg(test)]
mod tests;

use crate::Result;

#[cfg(feature = "cuda")]
pub use cuda::resize_normalised_cuda;
pub use normalisation::Normalisation;
pub use spec::ResizeSpec;

/// Normalises and resizes an interleaved RGB image into the top left of a zeroed planar canvas.
///
/// `rgb` holds `source_height x source_width x 3` bytes; `output` receives
/// `3 x padded_height x padded_width` values, all of them written. Rows of the output are shared out
/// over rayon's ambient pool; the bits do not depend on its size and equal
/// [`reference::resize_normalised`].
///
/// # Errors
///
/// [`Error::Length`](crate::Error::Length) when a slice's length does not match the spec.
///
/// Source: torchvision `GeneralizedRCNNTransform` (`normalize`, `resize`, `batch_images`).
///
/// ```
/// use retinanet_kernels::resize::{Normalisation, ResizeSpec, resize_normalised};
///
/// let spec = ResizeSpec::new([1, 1], [2, 3], [4, 4])?;
/// let normalisation = Normalisation::new([0.5; 3], [0.5; 3])?;
/// let mut output = vec![f32::NAN; spec.output_len()];
/// resize_normalised(&spec, &normalisation, &[255, 0, 255], &mut output)?;
/// assert_eq!(output[..8], [1.0, 1.0, 1.0, 0.0, 1.0, 1.0, 1.0, 0.0]);
/// # Ok::<(), retinanet_kernels::Error>(())
/// ```
pub fn resize_normalised(
    spec: &ResizeSpec,
    normalisation: &Normalisation,
    rgb: &[u8],
    output: &mut [f32],
) -> Result<()> {
    spec.check_lengths(rgb, output)?;
    bilinear::resize(spec, normalisation, rgb, output);
    Ok(())
}
