//! The one form in which pictures travel: 8-bit RGB.

use std::fmt;
use std::path::Path;

use super::ImageError;
use crate::Result;

/// An 8-bit RGB picture, upright, rows from the top, `height x width x 3` bytes.
///
/// ```no_run
/// let image = retinanet::image::Image::open("photo.jpg")?;
/// println!("{} x {}", image.width(), image.height());
/// # Ok::<(), retinanet::Error>(())
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct Image {
    width: usize,
    height: usize,
    rgb: Vec<u8>,
}

impl Image {
    /// Takes `height x width x 3` bytes of interleaved RGB, rows from the top.
    ///
    /// # Errors
    ///
    /// [`ImageError::ZeroSide`] or [`ImageError::PixelCount`].
    pub fn from_rgb8(width: usize, height: usize, rgb: Vec<u8>) -> Result<Self> {
        if width == 0 || height == 0 {
            let name = "from_rgb8".to_owned();
            let (width, height) = (width as u64, height as u64);
            return Err(ImageError::ZeroSide { name, width, height }.into());
        }
        let expected = width.checked_mul(height).and_then(|pixels| pixels.checked_mul(3));
        if expected != Some(rgb.len()) {
            return Err(ImageError::PixelCount { width, height, actual: rgb.len() }.into());
        }
        Ok(Self { width, height, rgb })
    }

    /// The width in pixels, at least 1.
    pub fn width(&self) -> usize {
        self.width
    }

    /// The height in pixels, at least 1.
    pub fn height(&self) -> usize {
        self.height
    }

    /// The pixels: `height x width x 3` bytes, red, green, blue.
    pub fn as_rgb8(&self) -> &[u8] {
        &self.rgb
    }

    /// Gives the pixels away, as [`as_rgb8`](Self::as_rgb8) shows them.
    pub fn into_rgb8(self) -> Vec<u8> {
        self.rgb
    }

    /// Writes the picture as an 8-bit RGB PNG; the file appears whole or not at all.
    ///
    /// # Errors
    ///
    /// [`Error::Write`](crate::Error::Write), naming the path.
    pub fn save_png(&self, path: impl AsRef<Path>) -> Result<()> {
        super::encode::save_png(
            path.as_ref(),
            [self.height, self.width],
            png::ColorType::Rgb,
            &self.rgb,
        )
    }
}

impl fmt::Debug for Image {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Image({} x {} RGB)", self.width, self.height)
    }
}
