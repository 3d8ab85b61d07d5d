//! What a resize is.

use crate::{Error, Result};

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

    pub(super) fn check_lengths(&self, rgb: &[u8], output: &[f32]) -> Result<()> {
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
