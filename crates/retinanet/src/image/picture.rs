//! The one form in which pictures travel: 8-bit RGB.

use std::fmt;
use std::path::Path;

use super::ImageError;
use crate::Result;
use crate::bounding_box::BoundingBox;

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

    /// The part of the picture that a box touches: whole pixels, outward, cut to the picture, and at least one.
    ///
    /// The box (1.9, 0.2, 4.7, 2.0) touches columns 1 to 4 and rows 0 and 1. A NaN counts as 0.
    #[must_use]
    pub fn crop(&self, in_image: impl Into<BoundingBox>) -> Self {
        // A float to integer cast cuts toward zero and sends what is negative, or NaN, to 0.
        let range = |from: f32, to: f32, size: usize| {
            let start = (from.floor() as usize).min(size - 1);
            start..(to.ceil() as usize).clamp(start + 1, size)
        };
        let BoundingBox { x1, y1, x2, y2 } = in_image.into();
        let (rows, columns) = (range(y1, y2, self.height), range(x1, x2, self.width));
        let mut rgb = Vec::with_capacity(rows.len() * columns.len() * 3);
        for row in rows.clone() {
            let start = row * self.width;
            rgb.extend_from_slice(
                &self.rgb[(start + columns.start) * 3..(start + columns.end) * 3],
            );
        }
        Self { width: columns.len(), height: rows.len(), rgb }
    }

    /// The picture as an 8-bit RGB PNG file's bytes.
    ///
    /// # Errors
    ///
    /// [`Error::Write`](crate::Error::Write) for sides that a PNG cannot have; `name` is for that message.
    pub fn to_png(&self, name: &Path) -> Result<Vec<u8>> {
        super::encode::to_png(name, [self.height, self.width], png::ColorType::Rgb, &self.rgb)
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_crop_is_every_pixel_that_the_box_touches() {
        let rgb = (0..4 * 3 * 3).collect();
        let image = Image::from_rgb8(4, 3, rgb).unwrap();
        let crop = |corners: [f32; 4]| {
            let crop = image.crop(corners);
            (crop.width(), crop.height(), crop.as_rgb8()[0])
        };
        assert_eq!(crop([1.9, 0.2, 2.1, 2.0]), (2, 2, 3));
        assert_eq!(crop([-5.0, -5.0, 99.0, 99.0]), (4, 3, 0));
        assert_eq!(crop([1.0, 1.0, 1.0, 1.0]), (1, 1, 15));
        assert_eq!(crop([9.0, 9.0, 12.0, 12.0]), (1, 1, 33));
        assert_eq!(crop([3.0, 2.0, 1.0, 1.0]), (1, 1, 33));
        assert_eq!(crop([f32::NAN, f32::NAN, f32::INFINITY, f32::INFINITY]), (4, 3, 0));
    }
}
