//! A large picture as overlapping windows, each small enough for the network.

use serde::{Deserialize, Serialize};

use crate::Result;
use crate::error::ImageError;

/// The most windows of one picture: more would be days of work, asked for by mistake.
pub const MAX_TILES: usize = 100_000;

/// How a large picture is cut into windows.
///
/// The windows are SAHI's (`sahi.slicing.get_slice_bboxes`, version 0.12.8): squares of `size`
/// pixels from the upper left corner on, each `size - floor(size * overlap)` pixels after the one
/// before; the last of a row or column is moved back so that it ends at the picture's border. Of a
/// picture that is smaller than a tile, the window has the picture's own side. Windows are counted
/// row by row, from the left.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tiling {
    /// A window's width and height in pixels of the picture.
    pub size: usize,
    /// The part of a window that the next one shows again: from 0, and less than 1. SAHI's default: 0.2.
    pub overlap: f64,
}

impl Tiling {
    /// Tiles of `size` pixels that overlap by a fifth, SAHI's default.
    pub fn new(size: usize) -> Self {
        Self { size, overlap: 0.2 }
    }

    /// Checks that the fields make sense by themselves.
    ///
    /// # Errors
    /// [`ImageError::Tiles`], naming the field and its value.
    pub fn validate(&self) -> Result<()> {
        self.step()?;
        Ok(())
    }

    /// The windows of a picture of `[height, width]` pixels.
    ///
    /// # Errors
    /// [`ImageError::Tiles`] for fields that make no sense, and for more than [`MAX_TILES`] windows.
    ///
    /// ```
    /// use retinanet::image::Tiling;
    ///
    /// let windows = Tiling { size: 800, overlap: 0.25 }.windows([1000, 2000])?;
    /// assert_eq!(windows.left(), [0, 600, 1200]);
    /// assert_eq!(windows.top(), [0, 200]);
    /// # Ok::<(), retinanet::Error>(())
    /// ```
    pub fn windows(&self, [height, width]: [usize; 2]) -> Result<TileWindows> {
        let step = self.step()?;
        let along = |length: usize| 1 + length.saturating_sub(self.size).div_ceil(step);
        let count = along(height).saturating_mul(along(width));
        if count > MAX_TILES {
            let (field, value) = ("size", format!("{} and `overlap` {}", self.size, self.overlap));
            let expected = format!(
                "a picture of {width} x {height} pixels would have {count} windows, more than {MAX_TILES}: use larger tiles or less overlap"
            );
            return Err(ImageError::Tiles { field, value, expected }.into());
        }
        let starts = |length: usize| {
            let last = length.saturating_sub(self.size);
            (0..along(length)).map(|index| last.min(index * step)).collect()
        };
        let size = [height, width].map(|side| side.min(self.size));
        Ok(TileWindows { top: starts(height), left: starts(width), size })
    }

    /// How far apart neighbours are, if the fields make sense.
    fn step(&self) -> Result<usize> {
        let Self { size, overlap } = *self;
        let refuse = |field, value: String, expected: &str| {
            Err(ImageError::Tiles { field, value, expected: expected.to_owned() }.into())
        };
        if size == 0 {
            return refuse("size", size.to_string(), "a tile's side must be at least 1 pixel");
        }
        // Also false for NaN.
        if !(0.0..1.0).contains(&overlap) {
            let expected = "it must be at least 0 and less than 1, the part of a tile that its neighbour shows again";
            return refuse("overlap", overlap.to_string(), expected);
        }
        let shared = (size as f64 * overlap) as usize;
        // Sides beyond 2^53 are rounded in the product.
        Ok(size.saturating_sub(shared).max(1))
    }
}

/// The windows of one picture: all of one size, in rows and columns.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TileWindows {
    top: Vec<usize>,
    left: Vec<usize>,
    size: [usize; 2],
}

impl TileWindows {
    /// The y of each row of windows, increasing.
    pub fn top(&self) -> &[usize] {
        &self.top
    }

    /// The x of each column of windows, increasing.
    pub fn left(&self) -> &[usize] {
        &self.left
    }

    /// The height and width of every window.
    pub fn size(&self) -> [usize; 2] {
        self.size
    }

    /// How many there are, at least 1.
    pub fn count(&self) -> usize {
        self.top.len() * self.left.len()
    }

    /// The `[x, y]` of each window's upper left corner, in the windows' order.
    pub fn corners(&self) -> impl Iterator<Item = [usize; 2]> {
        self.top.iter().flat_map(|&y| self.left.iter().map(move |&x| [x, y]))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_picture_no_larger_than_a_tile_is_one_window_of_its_own_size() {
        for size in [[800, 800], [1, 1], [37, 800]] {
            let windows = Tiling::new(800).windows(size).unwrap();
            assert_eq!((windows.count(), windows.size()), (1, size));
            assert_eq!(windows.corners().collect::<Vec<_>>(), [[0, 0]]);
        }
    }

    #[test]
    fn windows_go_row_by_row_and_the_last_end_at_the_border() {
        let windows = Tiling { size: 10, overlap: 0.5 }.windows([12, 21]).unwrap();
        let corners: Vec<_> = windows.corners().collect();
        assert_eq!(corners, [[0, 0], [5, 0], [10, 0], [11, 0], [0, 2], [5, 2], [10, 2], [11, 2]]);
    }

    #[test]
    fn overlaps_that_make_no_sense_are_refused() {
        for overlap in [1.0, 1.5, -0.1, f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
            let error = Tiling { size: 800, overlap }.windows([2000, 2000]).unwrap_err();
            let told = error.to_string();
            assert!(told.contains("`overlap` is") && told.contains("less than 1"), "{told}");
        }
        assert!(Tiling { size: 800, overlap: 0.999 }.validate().is_ok());
    }

    #[test]
    fn a_tile_without_pixels_is_refused() {
        let told = Tiling::new(0).windows([5, 5]).unwrap_err().to_string();
        assert!(told.contains("`size` is 0"), "{told}");
    }

    #[test]
    fn too_many_windows_are_refused_before_they_are_laid_out() {
        let told = Tiling { size: 800, overlap: 0.999 }.windows([20_000, 20_000]);
        let told = told.unwrap_err().to_string();
        assert!(told.contains("would have 368678401 windows"), "{told}");
        let told = Tiling { size: 1, overlap: 0.0 }.windows([usize::MAX, usize::MAX]);
        assert!(told.unwrap_err().to_string().contains("more than 100000"));
        assert!(Tiling::new(usize::MAX).windows([usize::MAX, usize::MAX]).is_ok());
    }
}
