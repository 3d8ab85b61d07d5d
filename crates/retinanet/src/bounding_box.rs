//! A box in an image.

use std::ops::Range;

use serde::{Deserialize, Serialize};

/// A box in pixels of the original image: x to the right, y down, (0, 0) the outer corner of the first
/// pixel. In serde's formats it is the list `[x1, y1, x2, y2]`.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(into = "[f32; 4]", from = "[f32; 4]")]
pub struct BoundingBox {
    /// Left edge.
    pub x1: f32,
    /// Top edge.
    pub y1: f32,
    /// Right edge.
    pub x2: f32,
    /// Bottom edge.
    pub y2: f32,
}

impl BoundingBox {
    /// The rows and columns of a `height` x `width` image that the box covers.
    ///
    /// Coordinates are cut to whole numbers toward zero, the end is not part of the range, and what lies
    /// outside the image is left out: the box (1.9, 0.2, 4.7, 2.0) covers columns 1, 2, 3 and rows 0, 1.
    /// A box thinner than that covers nothing. This is the tutorial arithmetic
    /// `mask[int(y1):int(y2), int(x1):int(x2)] = 1`, without its wrap-around for negative numbers.
    pub fn pixels(&self, height: usize, width: usize) -> (Range<usize>, Range<usize>) {
        // A float to integer cast cuts toward zero and sends what is negative, or NaN, to 0.
        let range = |from: f32, to: f32, size: usize| {
            let start = (from as usize).min(size);
            start..(to as usize).clamp(start, size)
        };
        (range(self.y1, self.y2, height), range(self.x1, self.x2, width))
    }
}

impl From<BoundingBox> for [f32; 4] {
    fn from(bounding_box: BoundingBox) -> Self {
        let BoundingBox { x1, y1, x2, y2 } = bounding_box;
        [x1, y1, x2, y2]
    }
}

impl From<[f32; 4]> for BoundingBox {
    fn from([x1, y1, x2, y2]: [f32; 4]) -> Self {
        Self { x1, y1, x2, y2 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pixels_are_cut_toward_zero_and_to_the_image() {
        let pixels = |corners: [f32; 4]| BoundingBox::from(corners).pixels(4, 6);
        assert_eq!(pixels([1.9, 0.2, 4.7, 2.0]), (0..2, 1..4));
        assert_eq!(pixels([-3.0, -0.5, 6.0001, 99.0]), (0..4, 0..6));
        assert_eq!(pixels([1.2, 1.2, 1.9, 3.0]), (1..3, 1..1));
        assert_eq!(pixels([9.0, 9.0, 12.0, 12.0]), (4..4, 6..6));
        assert_eq!(pixels([5.0, 3.0, 2.0, 1.0]), (3..3, 5..5));
        assert_eq!(pixels([f32::NAN, 0.0, f32::INFINITY, 1.0]), (0..1, 0..6));
    }
}
