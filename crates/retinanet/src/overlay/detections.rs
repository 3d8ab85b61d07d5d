//! What was found, as masks and drawn onto its picture.

use super::draw::{self, OverlayBox, OverlayStyle};
use crate::Result;
use crate::detection::Detections;
use crate::error::ImageError;
use crate::image::{Image, Mask};

impl Detections {
    /// One mask for each detection of a category, best first, in the order of
    /// [`of`](Self::of): `height x width` bytes of the original image, 1 inside the box and 0 outside.
    ///
    /// They are filled boxes, not segmentations.
    ///
    /// # Errors
    /// [`LabelError`](crate::labels::LabelError) if the model has no such category, or several.
    ///
    /// ```
    /// # use retinanet::{Detections, labels::Categories};
    /// # let found = Detections::new([480, 640], Categories::coco_v1().into(), &[])?;
    /// for (index, mask) in found.masks("person")?.iter().enumerate() {
    ///     mask.save_png(format!("person_{index}.png"))?;
    /// }
    /// # Ok::<(), retinanet::Error>(())
    /// ```
    pub fn masks(&self, label: &str) -> Result<Vec<Mask>> {
        let [height, width] = self.image_size();
        let found = self.of(label)?;
        found.iter().map(|found| Mask::filled_box(width, height, found.bounding_box)).collect()
    }

    /// A copy of the picture with all boxes, labels and scores drawn onto it: [`overlay::draw`](crate::overlay::draw).
    ///
    /// # Errors
    /// [`ImageError::OtherImage`] if `image` is of another size than the one they were found in.
    pub fn overlay(&self, image: &Image, style: &OverlayStyle) -> Result<Image> {
        let [height, width] = self.image_size();
        let [other_height, other_width] = [image.height(), image.width()];
        if [height, width] != [other_height, other_width] {
            let other = ImageError::OtherImage { width, height, other_width, other_height };
            return Err(other.into());
        }
        let boxes: Vec<OverlayBox<'_>> = self.iter().map(OverlayBox::from).collect();
        Ok(draw::draw(image, &boxes, style))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::labels::Categories;
    use crate::postprocess::{Candidate, ScoredBox};

    /// A dog between two people.
    fn found() -> Detections {
        let found = |score, label_id, corners: [f32; 4]| ScoredBox {
            bounding_box: corners.into(),
            label_id,
            candidate: Candidate { score, level: 0, index: 0 },
        };
        let boxes = [
            found(0.9, 1, [1.9, 0.5, 3.0, 2.0]),
            found(0.8, 18, [0.0, 0.0, 9.0, 9.0]),
            found(0.7, 1, [3.0, 1.0, 99.0, 99.0]),
        ];
        Detections::new([3, 5], Arc::new(Categories::coco_v1()), &boxes).unwrap()
    }

    #[test]
    fn masks_are_those_of_the_label_best_first_in_the_images_own_size() {
        let masks = found().masks("person").unwrap();
        let bytes: Vec<&[u8]> = masks.iter().map(Mask::as_bytes).collect();
        #[rustfmt::skip]
        assert_eq!(bytes, [
            [0, 1, 1, 0, 0,
             0, 1, 1, 0, 0,
             0, 0, 0, 0, 0],
            [0, 0, 0, 0, 0,
             0, 0, 0, 1, 1,
             0, 0, 0, 1, 1],
        ]);
        assert!(found().masks("zebra").unwrap().is_empty());
        let error = found().masks("persn").unwrap_err().to_string();
        assert!(error.contains("person"), "{error}");
    }

    #[test]
    fn the_overlay_draws_every_detection() {
        let image = Image::from_rgb8(5, 3, vec![9; 45]).unwrap();
        let style = OverlayStyle { without_captions: true, ..Default::default() };
        let drawn = found().overlay(&image, &style).unwrap();
        let found = found();
        for (found, left_edge) in found.iter().zip([1, 0, 3]) {
            let middle = 3 * (5 + left_edge);
            assert_ne!(drawn.as_rgb8()[middle..middle + 3], [9; 3], "{found:?}");
        }
    }

    #[test]
    fn another_images_detections_are_not_drawn() {
        let image = Image::from_rgb8(3, 5, vec![9; 45]).unwrap();
        let error = found().overlay(&image, &OverlayStyle::default()).unwrap_err().to_string();
        assert!(error.contains("of an image of 5 x 3 pixels") && error.contains("has 3 x 5"));
    }
}
