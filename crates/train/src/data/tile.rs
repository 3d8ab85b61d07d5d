//! One image on its way into the canvas, and its boxes with it.

use retinanet::Image;
use retinanet::determinism::Stream;
use retinanet::image::TransformConfig;
use retinanet_kernels::with_ieee;

use crate::losses::Object;

use super::colour::Curve;
use super::dataset::TrainingImage;

/// What a sample is made of. Sizes and places are [height, width] and [top, left] in pixels.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Layout {
    /// The whole canvas, padding included.
    pub(super) canvas: [usize; 2],
    /// The part of it that is no padding.
    pub(super) content: [usize; 2],
    pub(super) tiles: Vec<Tile>,
    /// Objects of which less than this share of the area is in view are dropped.
    pub(super) min_visible: f32,
}

/// An image, flipped, recoloured, resized, and the part of that which is shown.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Tile {
    /// The image's index in the set.
    pub(super) index: usize,
    pub(super) flip: bool,
    pub(super) curve: Option<Curve>,
    /// What the whole image is resized to.
    pub(super) resized: [usize; 2],
    /// Where in the resized image the part begins.
    pub(super) from: [usize; 2],
    pub(super) size: [usize; 2],
    /// Where in the canvas it begins.
    pub(super) at: [usize; 2],
}

/// The size of an image of `original` [height, width] whose long side fits `side` times a factor, drawn uniformly.
pub(super) fn scaled(
    original: [usize; 2],
    side: usize,
    [least, largest]: [f64; 2],
    stream: &mut Stream,
) -> [usize; 2] {
    let factor = least + (largest - least) * stream.uniform_f64();
    let long = original[0].max(original[1]);
    let ratio = side as f64 / long as f64 * factor;
    original.map(|side| ((side as f64 * ratio).floor() as usize).max(1))
}

/// What is to be found in a sample, in pixels of the canvas: tile by tile, in the annotations' order.
pub(super) fn objects_of(layout: &Layout, images: &[TrainingImage]) -> Vec<Object> {
    let of_tile = |tile: &Tile| {
        let image = &images[tile.index];
        tile.objects(&image.objects, image.size, layout.min_visible)
    };
    layout.tiles.iter().flat_map(of_tile).collect()
}

impl Tile {
    fn shows_all(&self) -> bool {
        self.size == self.resized
    }

    /// The canvas of three planes of `size` [height, width], if the whole of the image is all that it shows.
    ///
    /// That is the transform of a detector.
    pub(super) fn alone(
        &self,
        image: &Image,
        transform: &TransformConfig,
        size: [usize; 2],
    ) -> retinanet::Result<Option<Vec<f32>>> {
        let transform = self.exactly(transform);
        let (_, padded) = transform.output_sizes(image.height(), image.width())?;
        if !self.shows_all() || self.at != [0, 0] || padded != size {
            return Ok(None);
        }
        Ok(Some(transform.apply(self.changed(image)?.as_ref().unwrap_or(image))?.data))
    }

    /// Paints the part into a canvas of three planes of `size` [height, width].
    pub(super) fn paint(
        &self,
        image: &Image,
        transform: &TransformConfig,
        canvas: &mut [f32],
        size: [usize; 2],
    ) -> retinanet::Result<()> {
        let [height, width] = self.resized;
        let transform = TransformConfig { size_divisible: 1, ..self.exactly(transform) };
        let changed = self.changed(image)?;
        let resized = transform.apply(changed.as_ref().unwrap_or(image))?.data;
        for plane in 0..3 {
            for row in 0..self.size[0] {
                let from = (plane * height + self.from[0] + row) * width + self.from[1];
                let to = (plane * size[0] + self.at[0] + row) * size[1] + self.at[1];
                canvas[to..to + self.size[1]].copy_from_slice(&resized[from..from + self.size[1]]);
            }
        }
        Ok(())
    }

    /// The model's transform, to the size drawn.
    fn exactly(&self, transform: &TransformConfig) -> TransformConfig {
        let [height, width] = self.resized;
        TransformConfig { fixed_size: Some([width, height]), ..transform.clone() }
    }

    /// The image flipped and recoloured; `None` if it stays as it is.
    fn changed(&self, image: &Image) -> retinanet::Result<Option<Image>> {
        if !self.flip && self.curve.is_none() {
            return Ok(None);
        }
        let (width, height) = (image.width(), image.height());
        let mut rgb = image.as_rgb8().to_vec();
        if let Some(curve) = &self.curve {
            curve.apply(&mut rgb);
        }
        if self.flip {
            for row in rgb.chunks_exact_mut(width * 3) {
                let (pixels, _) = row.as_chunks_mut::<3>();
                pixels.reverse();
            }
        }
        Image::from_rgb8(width, height, rgb).map(Some)
    }

    /// Those of the image's objects that are in view.
    pub(super) fn objects(
        &self,
        objects: &[Object],
        original: [usize; 2],
        min_visible: f32,
    ) -> Vec<Object> {
        objects.iter().filter_map(|one| self.object(*one, original, min_visible)).collect()
    }

    /// An object of the image, of `original` [height, width], in pixels of the canvas; `None` if too little of it is
    /// in view.
    ///
    /// Each step is one f32 rounding: flipped, x becomes width - x; times resized / original of its axis, as in
    /// torchvision's `resize_boxes`; of a part, moved by a whole number and cut to the tile. The share in view is
    /// the area of what is left by the area before.
    fn object(&self, object: Object, original: [usize; 2], min_visible: f32) -> Option<Object> {
        with_ieee(|| {
            let [x1, y1, x2, y2] = object.corners;
            let width = original[1] as f32;
            let (x1, x2) = if self.flip { (width - x2, width - x1) } else { (x1, x2) };
            let [down, across] =
                [0, 1].map(|axis| self.resized[axis] as f32 / original[axis] as f32);
            let mut corners = [x1 * across, y1 * down, x2 * across, y2 * down];
            if !(self.shows_all() && self.at == [0, 0]) {
                let mut seen = corners;
                for (i, value) in seen.iter_mut().enumerate() {
                    let axis = 1 - i % 2;
                    let (first, end) = (self.at[axis], self.at[axis] + self.size[axis]);
                    *value += first as f32 - self.from[axis] as f32;
                    *value = within(*value, first as f32, end as f32);
                }
                if !has_area(seen) || area(seen) / area(corners) < min_visible {
                    return None;
                }
                corners = seen;
            }
            // Rounding can take the last of a box far thinner than a pixel.
            has_area(corners).then_some(Object { corners, class: object.class })
        })
    }
}

/// The value, or the nearer of the two bounds.
pub(super) fn within(value: f32, least: f32, largest: f32) -> f32 {
    if value < least {
        least
    } else if value > largest {
        largest
    } else {
        value
    }
}

fn has_area([x1, y1, x2, y2]: [f32; 4]) -> bool {
    x1 < x2 && y1 < y2
}

fn area([x1, y1, x2, y2]: [f32; 4]) -> f32 {
    (x2 - x1) * (y2 - y1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tile(
        flip: bool,
        resized: [usize; 2],
        from: [usize; 2],
        size: [usize; 2],
        at: [usize; 2],
    ) -> Tile {
        Tile { index: 0, flip, curve: None, resized, from, size, at }
    }

    fn moved(tile: &Tile, corners: [f32; 4], min_visible: f32) -> Option<[f32; 4]> {
        let object = Object { corners, class: 3 };
        let moved = tile.object(object, [50, 100], min_visible)?;
        assert_eq!(moved.class, 3);
        Some(moved.corners)
    }

    #[test]
    fn boxes_are_flipped_scaled_moved_and_cut() {
        let whole = tile(false, [50, 100], [0, 0], [50, 100], [0, 0]);
        assert_eq!(moved(&whole, [10.0, 5.0, 30.0, 45.0], 1.0), Some([10.0, 5.0, 30.0, 45.0]));
        let flipped = Tile { flip: true, ..whole };
        assert_eq!(moved(&flipped, [10.0, 5.0, 30.0, 45.0], 1.0), Some([70.0, 5.0, 90.0, 45.0]));
        let twice = tile(true, [100, 200], [0, 0], [100, 200], [0, 0]);
        assert_eq!(moved(&twice, [10.0, 5.0, 30.0, 45.0], 1.0), Some([140.0, 10.0, 180.0, 90.0]));
        // Rows 40 to 90 and columns 150 to 200, shown from (7, 9).
        let part = tile(true, [100, 200], [40, 150], [50, 50], [7, 9]);
        assert_eq!(moved(&part, [10.0, 5.0, 30.0, 45.0], 0.3), Some([9.0, 7.0, 39.0, 57.0]));
    }

    #[test]
    fn objects_that_are_hardly_in_view_are_dropped() {
        // The right half of the picture.
        let part = tile(false, [50, 100], [0, 50], [50, 50], [0, 0]);
        let three_quarters_out = [20.0, 0.0, 60.0, 10.0];
        assert_eq!(moved(&part, three_quarters_out, 0.25), Some([0.0, 0.0, 10.0, 10.0]));
        assert_eq!(moved(&part, three_quarters_out, 0.26), None);
        assert_eq!(moved(&part, [20.0, 0.0, 50.0, 10.0], 0.0), None);
    }

    #[test]
    fn a_box_that_rounding_makes_empty_is_dropped() {
        let flipped = tile(true, [50, 100], [0, 0], [50, 100], [0, 0]);
        assert_eq!(moved(&flipped, [0.0, 0.0, 1e-7, 9.0], 0.0), None);
    }
}
