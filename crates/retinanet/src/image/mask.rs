//! Filled boxes as masks of the original picture.

use std::path::Path;

use super::ImageError;
use crate::Result;
use crate::bounding_box::BoundingBox;

/// The largest mask that is made: 1 GiB.
const MAX_MASK_PIXELS: usize = 1 << 30;

/// A mask of a picture: `height x width` bytes, rows from the top, 1 inside and 0 outside.
///
/// The masks this crate makes are filled boxes, not segmentations.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mask {
    width: usize,
    height: usize,
    data: Vec<u8>,
}

impl Mask {
    /// The mask of a picture of `width` by `height` pixels that is 1 inside the box.
    ///
    /// [`BoundingBox::pixels`] says which rows and columns those are. A box without area, outside the
    /// picture, or of NaNs fills nothing.
    ///
    /// # Errors
    /// [`ImageError::MaskTooLarge`] for more than 2^30 pixels.
    pub fn filled_box(
        width: usize,
        height: usize,
        in_image: impl Into<BoundingBox>,
    ) -> Result<Self> {
        let size = width.checked_mul(height).filter(|&size| size <= MAX_MASK_PIXELS);
        let size =
            size.ok_or(ImageError::MaskTooLarge { width, height, limit: MAX_MASK_PIXELS })?;
        let mut data = vec![0; size];
        let (rows, columns) = in_image.into().pixels(height, width);
        for y in rows {
            data[y * width..][columns.clone()].fill(1);
        }
        Ok(Self { width, height, data })
    }

    /// The width in pixels.
    pub fn width(&self) -> usize {
        self.width
    }

    /// The height in pixels.
    pub fn height(&self) -> usize {
        self.height
    }

    /// The mask: `height x width` bytes, 0 or 1.
    pub fn as_bytes(&self) -> &[u8] {
        &self.data
    }

    /// How many pixels are inside.
    pub fn area(&self) -> usize {
        self.data.iter().filter(|&&value| value != 0).count()
    }

    /// Writes the mask as an 8-bit grey PNG, 255 inside and 0 outside; the file appears whole or not
    /// at all.
    ///
    /// # Errors
    /// [`Error::Write`](crate::Error::Write), naming the path.
    pub fn save_png(&self, path: impl AsRef<Path>) -> Result<()> {
        let pixels: Vec<u8> = self.data.iter().map(|value| value * 255).collect();
        let size = [self.height, self.width];
        super::encode::save_png(path.as_ref(), size, png::ColorType::Grayscale, &pixels)
    }
}

#[cfg(test)]
mod tests {
    use super::super::Image;
    use super::*;

    #[test]
    fn coordinates_are_truncated_and_the_far_edges_left_out() {
        let mask = Mask::filled_box(5, 4, [1.9, 0.99, 3.999, 2.0]).unwrap();
        #[rustfmt::skip]
        assert_eq!(mask.as_bytes(), [
            0, 1, 1, 0, 0,
            0, 1, 1, 0, 0,
            0, 0, 0, 0, 0,
            0, 0, 0, 0, 0,
        ]);
        assert_eq!((mask.width(), mask.height(), mask.area()), (5, 4, 4));
    }

    #[test]
    fn a_box_is_held_within_the_picture() {
        let mask = Mask::filled_box(3, 2, [-5.0, -0.5, 1e30, f32::INFINITY]).unwrap();
        assert_eq!(mask.area(), 6);
    }

    #[test]
    fn boxes_without_area_fill_nothing() {
        for in_image in
            [[2.0, 0.0, 2.9, 2.0], [2.0, 1.0, 1.0, 2.0], [9.0, 0.0, 12.0, 2.0], [f32::NAN; 4]]
        {
            assert_eq!(Mask::filled_box(3, 2, in_image).unwrap().area(), 0, "{in_image:?}");
        }
        let empty = Mask::filled_box(0, 0, [0.0, 0.0, 9.0, 9.0]).unwrap();
        assert!(empty.as_bytes().is_empty());
    }

    #[test]
    fn the_png_holds_0_and_255() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("mask.png");
        Mask::filled_box(3, 1, [1.0, 0.0, 2.0, 1.0]).unwrap().save_png(&path).unwrap();
        let read = Image::open(&path).unwrap();
        assert_eq!(read.as_rgb8(), [0, 0, 0, 255, 255, 255, 0, 0, 0]);
    }

    #[test]
    fn no_permission_or_folder_is_an_error_naming_the_path() {
        let mask = Mask::filled_box(1, 1, [0.0; 4]).unwrap();
        let message = mask.save_png("no/such/folder/mask.png").unwrap_err().to_string();
        assert!(message.contains("no/such/folder/mask.png"), "{message}");
    }

    #[test]
    fn a_mask_of_absurd_size_is_refused_before_it_is_allocated() {
        for side in [1 << 16, usize::MAX] {
            let error = Mask::filled_box(side, side, [0.0; 4]).unwrap_err().to_string();
            assert!(error.contains(&format!("{side} x {side} pixels")), "{error}");
        }
    }
}
