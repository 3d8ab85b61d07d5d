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
#[cfg(test)]
mod tests;

use crate::{Error, Result};

#[cfg(feature = "cuda")]
pub use cuda::resize_normalised_cuda;
pub use normalisation::Normalisation;

/// A checked resize: the sizes of source, resized image and padded canvas, all `[height, width]`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ResizeSpec {
    source: [usize; 2],
    resized: [usize; 2],
    padded: [usize; 2],
}

impl ResizeSpec {
    /// Checks three sizes, all `[height, width]` in pixels, against each other.
    ///
    /// # Errors
    ///
    /// [`Error::Shape`] when a side is zero or above 2^23 (where pixel centres stop being exact in
    /// f32), when the canvas is smaller than the resized image, or when a buffer's size would
    /// overflow.
    pub fn new(source: [usize; 2], resized: [usize; 2], padded: [usize; 2]) -> Result<Self> {
        let refuse = |reason: String| Err(Error::Shape { what: "resize", reason });
        for (what, [height, width]) in
            [("source", source), ("resized image", resized), ("padded canvas", padded)]
        {
            if height == 0 || width == 0 || height > LARGEST_SIDE || width > LARGEST_SIDE {
                return refuse(format!(
                    "the {what} is {height}x{width} (height x width); sides must be 1..={LARGEST_SIDE}"
                ));
            }
            let bytes = height.checked_mul(width).and_then(|n| n.checked_mul(3 * size_of::<f32>()));
            if bytes.is_none_or(|bytes| bytes > isize::MAX as usize) {
                return refuse(format!("the {what} of {height}x{width} does not fit in memory"));
            }
        }
        if padded[0] < resized[0] || padded[1] < resized[1] {
            return refuse(format!(
                "the padded canvas {padded:?} is smaller than the resized image {resized:?} ([height, width])"
            ));
        }
        Ok(Self { source, resized, padded })
    }

    /// The source's `[height, width]`.
    pub fn source(&self) -> [usize; 2] {
        self.source
    }

    /// The resized image's `[height, width]`.
    pub fn resized(&self) -> [usize; 2] {
        self.resized
    }

    /// The padded canvas' `[height, width]`.
    pub fn padded(&self) -> [usize; 2] {
        self.padded
    }

    /// How many bytes the interleaved RGB source has.
    pub fn source_len(&self) -> usize {
        self.source[0] * self.source[1] * 3
    }

    /// How many values the planar output has: `3 * padded_height * padded_width`.
    pub fn output_len(&self) -> usize {
        self.padded[0] * self.padded[1] * 3
    }

    fn check_lengths(&self, rgb: &[u8], output: &[f32]) -> Result<()> {
        for (what, expected, actual) in [
            ("resize source", self.source_len(), rgb.len()),
            ("resize output", self.output_len(), output.len()),
        ] {
            if expected != actual {
                return Err(Error::Length { what, expected, actual });
            }
        }
        Ok(())
    }
}

/// Up to here every integer, and with it every pixel centre, is told apart in f32.
const LARGEST_SIDE: usize = 1 << 23;

/// Normalises and resizes an interleaved RGB image into the top left of a zeroed planar canvas.
///
/// `rgb` holds `source_height x source_width x 3` bytes; `output` receives
/// `3 x padded_height x padded_width` values, all of them written. Rows of the output are shared out
/// over rayon's ambient pool; the bits do not depend on its size and equal
/// [`reference::resize_normalised`].
///
/// # Errors
///
/// [`Error::Length`] when a slice's length does not match the spec.
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
