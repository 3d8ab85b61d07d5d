//! Pixels that can be painted on, never outside of them.

use crate::bounding_box::BoundingBox;
use crate::image::Image;

/// A picture being painted.
pub(super) struct Canvas {
    pub(super) width: usize,
    pub(super) height: usize,
    rgb: Vec<u8>,
}

/// Columns `left..right` and rows `top..bottom`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Rect {
    pub(super) left: usize,
    pub(super) top: usize,
    pub(super) right: usize,
    pub(super) bottom: usize,
}

impl Rect {
    pub(super) fn overlaps(&self, other: &Self) -> bool {
        self.left < other.right
            && other.left < self.right
            && self.top < other.bottom
            && other.top < self.bottom
    }
}

impl Canvas {
    pub(super) fn new(image: &Image) -> Self {
        let rgb = image.as_rgb8().to_vec();
        Self { width: image.width(), height: image.height(), rgb }
    }

    pub(super) fn into_image(self) -> Image {
        Image::from_rgb8(self.width, self.height, self.rgb).expect("the size has not changed")
    }

    /// The pixels a box covers, as in a mask, but at least one.
    pub(super) fn rect_of(&self, in_image: &BoundingBox) -> Rect {
        let (rows, columns) = in_image.pixels(self.height, self.width);
        let left = columns.start.min(self.width - 1);
        let top = rows.start.min(self.height - 1);
        Rect { left, top, right: columns.end.max(left + 1), bottom: rows.end.max(top + 1) }
    }

    /// Paints the frame just inside `rect`, `line` pixels wide.
    pub(super) fn outline(&mut self, rect: Rect, line: usize, color: [u8; 3]) {
        let Rect { left, top, right, bottom } = rect;
        let inner_left = (left + line).min(right);
        let inner_top = (top + line).min(bottom);
        let inner_right = right.saturating_sub(line).max(inner_left);
        let inner_bottom = bottom.saturating_sub(line).max(inner_top);
        for (left, top, right, bottom) in [
            (left, top, right, inner_top),
            (left, inner_bottom, right, bottom),
            (left, inner_top, inner_left, inner_bottom),
            (inner_right, inner_top, right, inner_bottom),
        ] {
            self.fill(Rect { left, top, right, bottom }, color);
        }
    }

    /// Paints every pixel of `rect`.
    pub(super) fn fill(&mut self, rect: Rect, color: [u8; 3]) {
        let (right, bottom) = (rect.right.min(self.width), rect.bottom.min(self.height));
        for y in rect.top..bottom {
            for x in rect.left..right {
                let start = (y * self.width + x) * 3;
                self.rgb[start..start + 3].copy_from_slice(&color);
            }
        }
    }

    /// Mixes `color` into one pixel by `coverage` of 0..=255; nothing outside the picture.
    pub(super) fn blend(&mut self, x: usize, y: usize, coverage: u8, color: [u8; 3]) {
        if x >= self.width || y >= self.height {
            return;
        }
        let start = (y * self.width + x) * 3;
        for (value, color) in self.rgb[start..start + 3].iter_mut().zip(color) {
            let mixed = u32::from(*value) * u32::from(255 - coverage)
                + u32::from(color) * u32::from(coverage);
            *value = ((mixed + 127) / 255) as u8;
        }
    }
}
