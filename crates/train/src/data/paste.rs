//! Objects of other images, laid over a sample ("copy-paste", arXiv:2012.07177, here with boxes instead of outlines).

use retinanet::determinism::Stream;
use serde::{Deserialize, Serialize};

use crate::losses::Object;

use super::dataset::TrainingImage;
use super::tile::{Tile, scaled, within};

/// How many places are tried for an object before it is given up.
const TRIES: usize = 8;
/// The most of a present object's box that a pasted rectangle may cover.
const MAX_COVERED: f32 = 0.25;

/// Objects of other images, cut out along their boxes with a margin, and laid over a sample in a square. Each is scaled as its
/// image would be, and lies where it covers at most a quarter of any object that is there; it is left out where eight random
/// places do not do.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct PasteConfig {
    /// The number of objects is drawn from 0 to this, uniformly; at most 64. Default: 2.
    pub most: usize,
    /// What is cut out around an object, as a share of its box's width and height on each side; at most 1. Default: 0.1.
    pub margin: f64,
    /// The least and the largest factor by which its image is scaled, uniformly drawn; 1 fits the long side to the square.
    /// Default: 0.5 to 1.5.
    pub scale: [f64; 2],
}

impl Default for PasteConfig {
    fn default() -> Self {
        Self { most: 2, margin: 0.1, scale: [0.5, 1.5] }
    }
}

/// An object of a set: its image's index, and its own in the image.
pub(super) type ObjectIndex = (usize, usize);

/// All objects of a set, in order.
pub(super) fn all_objects(images: &[TrainingImage]) -> Vec<ObjectIndex> {
    let of_image = |(image, one): (usize, &TrainingImage)| {
        (0..one.objects.len()).map(move |object| (image, object))
    };
    images.iter().enumerate().flat_map(of_image).collect()
}

/// What a paste is drawn from.
pub(super) struct Paste<'a> {
    pub(super) config: &'a PasteConfig,
    pub(super) images: &'a [TrainingImage],
    pub(super) objects: &'a [ObjectIndex],
    /// Pixels of a side of the square.
    pub(super) side: usize,
}

impl Paste<'_> {
    /// Draws one object and its place in the square's first rows and columns, `content`; `None` if there is no place for it
    /// beside the objects `present`. Its colours are still the image's.
    pub(super) fn place(
        &self,
        flip: bool,
        content: [usize; 2],
        present: &[Object],
        stream: &mut Stream,
    ) -> retinanet::Result<Option<Tile>> {
        // All that is drawn for an object is drawn, whether it is used or not.
        let (index, object) = self.objects[stream.range(self.objects.len() as u64)? as usize];
        let image = &self.images[index];
        let resized = scaled(image.size, self.side, self.config.scale, stream);
        let [x1, y1, x2, y2] = image.objects[object].corners.map(f64::from);
        let width = image.size[1] as f64;
        let (x1, x2) = if flip { (width - x2, width - x1) } else { (x1, x2) };
        // In the resized image: the box and its margin, whole pixels outwards, cut to the image (no cast goes below 0).
        let cut = |axis: usize, first: f64, end: f64| {
            let scale = resized[axis] as f64 / image.size[axis] as f64;
            let margin = (end - first) * self.config.margin;
            let from = ((first - margin) * scale).floor() as usize;
            let to = (((end + margin) * scale).ceil() as usize).min(resized[axis]);
            (from, to.saturating_sub(from))
        };
        let ((top, height), (left, width)) = (cut(0, y1, y2), cut(1, x1, x2));
        let size = [height, width];
        let fits = |axis: usize| (1..=content[axis]).contains(&size[axis]);
        if !(fits(0) && fits(1)) {
            return Ok(None);
        }
        for _ in 0..TRIES {
            let mut at = [0; 2];
            for axis in 0..2 {
                at[axis] = stream.range((content[axis] - size[axis]) as u64 + 1)? as usize;
            }
            if present.iter().all(|object| covered(object, at, size) <= MAX_COVERED) {
                let from = [top, left];
                return Ok(Some(Tile { index, flip, curve: None, resized, from, size, at }));
            }
        }
        Ok(None)
    }
}

/// The share of an object's box under the rectangle of `size` at `at`, both [down, across].
fn covered(object: &Object, at: [usize; 2], size: [usize; 2]) -> f32 {
    let [x1, y1, x2, y2] = object.corners;
    let overlap = |axis: usize, first: f32, end: f32| {
        let (from, to) = (at[axis] as f32, (at[axis] + size[axis]) as f32);
        within(end, from, to) - within(first, from, to)
    };
    overlap(0, y1, y2) * overlap(1, x1, x2) / ((x2 - x1) * (y2 - y1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_covered_share_of_a_box() {
        let object = Object { corners: [10.0, 20.0, 30.0, 60.0], class: 1 };
        for (at, size, share) in [
            ([0, 0], [20, 100], 0.0),
            ([0, 0], [100, 100], 1.0),
            ([20, 20], [40, 10], 0.5),
            ([50, 25], [50, 50], 0.0625),
            ([60, 30], [5, 5], 0.0),
        ] {
            assert_eq!(covered(&object, at, size), share, "{at:?} {size:?}");
        }
    }
}
