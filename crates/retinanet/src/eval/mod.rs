//! COCO box AP and AR, the same doubles that pycocotools computes.
//!
//! Written here, not taken from the crate `hotcoco`: its 1.3.1 has pycocotools' bits too, except where an annotation
//! has the id 0, which pycocotools reads as no match and `hotcoco` on purpose does not. It also scores much of what
//! is refused here (boxes that are not finite, annotations of unlisted images), so that only matching and averaging
//! could go, for three more crates in the build.
//!
//! ```
//! use retinanet::eval::{CocoDetection, GroundTruth};
//!
//! let truth = GroundTruth::from_json(
//!     br#"{"images": [{"id": 7, "file_name": "street.jpg"}],
//!          "categories": [{"id": 1, "name": "person"}],
//!          "annotations": [{"id": 1, "image_id": 7, "category_id": 1, "bbox": [0, 0, 40, 80], "area": 3200}]}"#,
//!     "instances.json",
//! )?;
//! let found = CocoDetection { image_id: 7, category_id: 1, bbox: [0.0, 0.0, 40.0, 72.0], score: 0.9 };
//! let evaluation = truth.evaluate(&[found])?;
//! // The IoU is 0.9. A perfect precision is 1 / (1 + 2^-52), as in pycocotools.
//! assert!(evaluation.overall.ap50.is_some_and(|ap| ap > 0.999_999));
//! # Ok::<(), retinanet::Error>(())
//! ```
//!
//! A detector's own settings take part in the result: what scores at or below
//! [`score_thresh`](crate::postprocess::PostprocessConfig::score_thresh) (0.05 by default) or comes
//! after the best [`detections_per_img`](crate::postprocess::PostprocessConfig::detections_per_img) of
//! an image never gets here. The published AP of torchvision's checkpoints is measured with those same
//! defaults; a higher threshold cuts the tail of the precision-recall curve and lowers AP and AR.
//! Of what gets here, the best 100 per image and category count.

mod accumulate;
mod annotations;
mod categories;
mod curves;
mod detections;
mod files;
mod folder;
mod matching;
mod scores;
#[cfg(feature = "voc")]
mod voc;
mod yolo;

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, HashMap};

pub use crate::error::{EvalError, VocProblem, YoloProblem};
pub use annotations::{Annotation, CocoCategory, CocoImage, GroundTruth};
pub(crate) use annotations::{decode_as_annotated, read as read_annotations};
pub use categories::CategoryMap;
pub use curves::PrecisionRecall;
pub use detections::CocoDetection;
pub use scores::{ClassScores, CocoScores, Evaluation};
#[cfg(feature = "voc")]
pub use voc::VocOrigin;
pub use yolo::{SizedImage, read_yolo_classes, yolo_files_without_image};

use crate::Result;
use accumulate::ClassCurves;
use matching::{ImageMatches, Truth};

impl GroundTruth {
    /// Scores detections against these annotations.
    ///
    /// Every image counts, also one without detections or without annotations; so does every
    /// category, also one that nothing was found of. [`GroundTruth::only_images`] and
    /// [`GroundTruth::only_categories`] narrow both. Detections of equal score keep their given order.
    ///
    /// # Errors
    /// [`EvalError`] for a detection of an image or category that the annotations do not list, or with
    /// a number that is not finite.
    ///
    /// Source: pycocotools' `COCOeval` with `iouType="bbox"` and its default parameters.
    pub fn evaluate(&self, detections: &[CocoDetection]) -> Result<Evaluation> {
        Ok(self.evaluate_with_curves(detections)?.0)
    }

    /// [`evaluate`](Self::evaluate), with the curves whose means the APs are: of each category that has something to
    /// be found, in order of id.
    ///
    /// # Errors
    /// As [`evaluate`](Self::evaluate).
    pub fn evaluate_with_curves(
        &self,
        detections: &[CocoDetection],
    ) -> Result<(Evaluation, Vec<PrecisionRecall>)> {
        detections::check(detections, self)?;
        let mut cells = self.cells(detections);
        let mut classes = Vec::with_capacity(self.categories().len());
        let mut curves = Vec::with_capacity(self.categories().len());
        for category in self.categories() {
            let images = cells.remove(&category.id).unwrap_or_default();
            let truths = images.values().map(|cell| cell.truths.len()).sum();
            let found = images.values().map(|cell| cell.detections.len()).sum();
            let matches: Vec<ImageMatches> = images
                .into_values()
                .map(|cell| ImageMatches::new(&cell.truths, cell.detections))
                .collect();
            let class = ClassCurves::new(&matches);
            classes.push(ClassScores {
                category_id: category.id,
                name: category.name.clone(),
                annotations: truths,
                detections: found,
                scores: CocoScores::of(std::slice::from_ref(&class)),
            });
            curves.push(class);
        }
        let drawn = classes.iter().zip(&curves).filter_map(|(scores, class)| {
            let ClassScores { category_id, name, annotations, .. } = scores;
            let curves = class.areas[0].as_ref()?;
            Some(PrecisionRecall::new(*category_id, name, *annotations, curves))
        });
        let drawn = drawn.collect();
        let evaluation = Evaluation {
            images: self.images().len(),
            annotations: self.annotations().len(),
            zero_id_annotations: self.annotations().iter().filter(|one| one.id == 0).count(),
            detections: detections.len(),
            overall: CocoScores::of(&curves),
            classes,
        };
        Ok((evaluation, drawn))
    }

    /// What belongs together: per category, and in it per image in order of id.
    fn cells<'a>(&self, detections: &'a [CocoDetection]) -> HashMap<i64, BTreeMap<i64, Cell<'a>>> {
        let mut cells: HashMap<i64, BTreeMap<i64, Cell<'a>>> = HashMap::new();
        let mut cell = |category: i64, image: i64, fill: &mut dyn FnMut(&mut Cell<'a>)| {
            fill(cells.entry(category).or_default().entry(image).or_default());
        };
        for annotation in self.annotations() {
            cell(annotation.category_id, annotation.image_id, &mut |cell| {
                cell.truths.push(Truth::from(annotation));
            });
        }
        for found in detections {
            cell(found.category_id, found.image_id, &mut |cell| cell.detections.push(found));
        }
        cells
    }
}

/// The annotations and detections of one category in one image, in the order given.
#[derive(Default)]
struct Cell<'a> {
    truths: Vec<Truth>,
    detections: Vec<&'a CocoDetection>,
}
