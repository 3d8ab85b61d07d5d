//! Filled boxes as masks of the original picture.

use std::path::Path;

use crate::Result;

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
    /// `in_image` is `[x1, y1, x2, y2]` in the picture's pixels. Each coordinate is truncated to an
    /// integer and held within the picture; rows `y1..y2` and columns `x1..x2` are filled, the ends
    /// left out. A box without area, outside the picture, or of NaNs fills nothing.
    ///
    /// # Panics
    ///
    /// When `width * height` overflows; a decoded picture's cannot.
    pub fn filled_box(width: usize, height: usize, in_image: [f32; 4]) -> Self {
        let size = width.checked_mul(height).expect("a mask's size fits the address space");
        let mut data = vec![0; size];
        // `as` truncates, saturates, and takes NaN and everything below 0 to 0.
        let [x1, x2] = [in_image[0], in_image[2]].map(|x| (x as usize).min(width));
        let [y1, y2] = [in_image[1], in_image[3]].map(|y| (y as usize).min(height));
        if x1 < x2 && y1 < y2 {
            for row in data[y1 * width..y2 * width].chunks_exact_mut(width) {
                row[x1..x2].fill(1);
            }
        }
        Self { width, height, data }
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
    ///
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
        let mask = Mask::filled_box(5, 4, [1.9, 0.99, 3.999, 2.0]);
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
        assert_eq!(Mask::filled_box(3, 2, [-5.0, -0.5, 1e30, f32::INFINITY]).area(), 6);
    }

    #[test]
    fn boxes_without_area_fill_nothing() {
        for in_image in
            [[2.0, 0.0, 2.9, 2.0], [2.0, 1.0, 1.0, 2.0], [9.0, 0.0, 12.0, 2.0], [f32::NAN; 4]]
        {
            assert_eq!(Mask::filled_box(3, 2, in_image).area(), 0, "{in_image:?}");
        }
        assert!(Mask::filled_box(0, 0, [0.0, 0.0, 9.0, 9.0]).as_bytes().is_empty());
    }

    #[test]
    fn the_png_holds_0_and_255() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("mask.png");
        Mask::filled_box(3, 1, [1.0, 0.0, 2.0, 1.0]).save_png(&path).unwrap();
        let read = Image::open(&path).unwrap();
        assert_eq!(read.as_rgb8(), [0, 0, 0, 255, 255, 255, 0, 0, 0]);
    }

    #[test]
    fn no_permission_or_folder_is_an_error_naming_the_path() {
        let error = Mask::filled_box(1, 1, [0.0; 4]).save_png("no/such/folder/mask.png");
        let message = error.unwrap_err().to_string();
        assert!(message.contains("no/such/folder/mask.png"), "{message}");
    }
}
