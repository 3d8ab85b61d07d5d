//! How to decode, what it may cost, and what every decoder answers.

use ::image::metadata::Orientation;

use crate::error::ImageError;

/// How to decode.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DecodeOptions {
    /// What an image may cost.
    pub limits: DecodeLimits,
    /// Turn the picture upright as its EXIF (or TIFF) orientation says. Default: yes.
    pub apply_exif_orientation: bool,
    /// Decode what is left of a damaged JPEG, grey where data is missing, as most viewers do.
    /// Default: no, a damaged file is an error.
    pub accept_damaged_jpeg: bool,
}

impl Default for DecodeOptions {
    fn default() -> Self {
        Self {
            limits: DecodeLimits::default(),
            apply_exif_orientation: true,
            accept_damaged_jpeg: false,
        }
    }
}

/// The most an image may cost; checked against its header, before its pixels are decoded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DecodeLimits {
    /// The largest encoded file. Default: 256 MiB.
    pub max_file_bytes: u64,
    /// The most pixels, width times height. Default: 100 million (10,000 x 10,000).
    pub max_pixels: u64,
    /// The most memory, estimated from the header, that decoding may take. Default: 2 GiB.
    pub max_memory_bytes: u64,
}

impl Default for DecodeLimits {
    fn default() -> Self {
        Self { max_file_bytes: 256 << 20, max_pixels: 100_000_000, max_memory_bytes: 2 << 30 }
    }
}

/// Pixels as stored, and how to turn them upright.
pub(super) struct Decoded {
    pub(super) width: usize,
    pub(super) height: usize,
    pub(super) rgb: Vec<u8>,
    pub(super) orientation: Orientation,
}

/// The limits, with the name to blame.
pub(super) struct Checks<'a> {
    pub(super) name: &'a str,
    pub(super) limits: &'a DecodeLimits,
}

impl Checks<'_> {
    /// Holds a header's sides, and what a pixel costs in memory, against the limits.
    pub(super) fn check(
        &self,
        width: usize,
        height: usize,
        bytes_per_pixel: u64,
    ) -> Result<(), ImageError> {
        self.check_sides(width, height)?;
        let pixels = (width as u64).saturating_mul(height as u64);
        self.check_memory(pixels.saturating_mul(bytes_per_pixel))
    }

    /// Holds a header's sides against the limits.
    pub(super) fn check_sides(&self, width: usize, height: usize) -> Result<(), ImageError> {
        let name = self.name.to_owned();
        let (width, height) = (width as u64, height as u64);
        let pixels = width.saturating_mul(height);
        let limit = self.limits.max_pixels;
        if pixels == 0 {
            Err(ImageError::ZeroSide { name, width, height })
        } else if pixels > limit {
            Err(ImageError::TooManyPixels { name, width, height, limit })
        } else {
            Ok(())
        }
    }

    /// Holds what decoding takes in memory against the limits.
    pub(super) fn check_memory(&self, bytes: u64) -> Result<(), ImageError> {
        let limit = self.limits.max_memory_bytes;
        if bytes > limit {
            return Err(ImageError::TooMuchMemory { name: self.name.to_owned(), limit });
        }
        Ok(())
    }
}
