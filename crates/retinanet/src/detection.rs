//! What the detector answers.

use std::sync::Arc;

#[cfg(feature = "candle-transformers")]
use candle_transformers::object_detection::Bbox;
use serde::{Deserialize, Serialize, Serializer};

pub use crate::bounding_box::BoundingBox;
use crate::determinism::{Digest, digest_detections};
use crate::error::PostprocessError;
use crate::labels::Categories;
use crate::postprocess::ScoredBox;
use crate::{Error, Result};

/// One object found in an image.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Detection {
    /// The class id: the label's place in the model's categories.
    pub label_id: usize,
    /// The class's name.
    pub label: String,
    /// Between 0 and 1.
    pub score: f32,
    /// Where it is.
    #[serde(rename = "box")]
    pub bounding_box: BoundingBox,
}

#[cfg(feature = "candle-transformers")]
impl From<&Detection> for Bbox<usize> {
    /// The same box and score, with the class id as its data.
    fn from(detection: &Detection) -> Self {
        let BoundingBox { x1, y1, x2, y2 } = detection.bounding_box;
        Bbox {
            xmin: x1,
            ymin: y1,
            xmax: x2,
            ymax: y2,
            confidence: detection.score,
            data: detection.label_id,
        }
    }
}

/// All objects found in one image, best score first.
///
/// In serde's formats it is `{image_size: [height, width], detections: [..], categories: [..]}`; every
/// f32 reads back to the same bits, and what is read is checked as [`new`](Self::new) checks.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Unchecked")]
pub struct Detections {
    image_size: [usize; 2],
    detections: Vec<Detection>,
    #[serde(serialize_with = "inner_categories")]
    categories: Arc<Categories>,
}

fn inner_categories<S: Serializer>(
    shared: &Arc<Categories>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    shared.as_ref().serialize(serializer)
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Unchecked {
    image_size: [usize; 2],
    detections: Vec<Detection>,
    categories: Categories,
}

impl TryFrom<Unchecked> for Detections {
    type Error = Error;

    fn try_from(read: Unchecked) -> Result<Self> {
        Self::checked(read.image_size, Arc::new(read.categories), read.detections)
    }
}

impl Detections {
    /// Names the boxes found in an image of `image_size` (height, width), which come best first.
    ///
    /// # Errors
    /// [`LabelError`](crate::labels::LabelError) for a class id without a name; [`PostprocessError::Detection`] for a box or score
    /// that is not finite, or a score above the one before it.
    pub fn new(
        image_size: [usize; 2],
        categories: Arc<Categories>,
        boxes: &[ScoredBox],
    ) -> Result<Self> {
        let named = |found: &ScoredBox| {
            Ok(Detection {
                label_id: found.label_id,
                label: categories.name(found.label_id)?.to_owned(),
                score: found.candidate.score,
                bounding_box: found.bounding_box,
            })
        };
        let detections = boxes.iter().map(named).collect::<Result<_>>()?;
        Self::checked(image_size, categories, detections)
    }

    fn checked(
        image_size: [usize; 2],
        categories: Arc<Categories>,
        detections: Vec<Detection>,
    ) -> Result<Self> {
        let mut previous = f32::INFINITY;
        for (index, found) in detections.iter().enumerate() {
            let refuse =
                |name, value, needs| PostprocessError::Detection { index, name, value, needs };
            if categories.name(found.label_id)? != found.label {
                let value = format!("{:?} with id {}", found.label, found.label_id);
                return Err(refuse("label", value, "it must be the category of that id").into());
            }
            let corners = <[f32; 4]>::from(found.bounding_box);
            if !corners.iter().all(|corner| corner.is_finite()) {
                return Err(refuse("box", format!("{corners:?}"), "all four must be finite").into());
            }
            if !found.score.is_finite() || found.score > previous {
                let value = found.score.to_string();
                return Err(refuse("score", value, "scores must be finite and never rise").into());
            }
            previous = found.score;
        }
        Ok(Self { image_size, detections, categories })
    }

    /// Height and width of the image the boxes are in.
    pub fn image_size(&self) -> [usize; 2] {
        self.image_size
    }

    /// The categories that the class ids count in.
    pub fn categories(&self) -> &Categories {
        &self.categories
    }

    /// All detections, best score first.
    pub fn as_slice(&self) -> &[Detection] {
        &self.detections
    }

    /// All detections, best score first.
    pub fn iter(&self) -> std::slice::Iter<'_, Detection> {
        self.detections.iter()
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.detections.len()
    }

    /// Whether nothing was found.
    pub fn is_empty(&self) -> bool {
        self.detections.is_empty()
    }

    /// The detections of one category, best first: empty if the image shows none.
    ///
    /// # Errors
    /// [`LabelError`](crate::labels::LabelError) if the model has no such category, or several.
    ///
    /// ```
    /// # use retinanet::{detection::Detections, labels::Categories};
    /// let nothing = Detections::new([480, 640], Categories::coco_v1().into(), &[])?;
    /// assert!(nothing.of("person")?.is_empty());
    /// assert!(nothing.of("persn").is_err());
    /// # Ok::<(), retinanet::Error>(())
    /// ```
    pub fn of(&self, label: &str) -> Result<Vec<&Detection>> {
        let id = self.categories.id_of(label)?;
        Ok(self.iter().filter(|found| found.label_id == id).collect())
    }

    /// Only the detections of these categories, still best first.
    ///
    /// # Errors
    /// As [`of`](Self::of), for the first label at fault.
    pub fn only<S: AsRef<str>>(&self, labels: &[S]) -> Result<Self> {
        let ids = labels.iter().map(|label| self.categories.id_of(label.as_ref()));
        let ids = ids.collect::<Result<Vec<usize>>>()?;
        let kept = self.iter().filter(|found| ids.contains(&found.label_id));
        Ok(Self {
            image_size: self.image_size,
            detections: kept.cloned().collect(),
            categories: Arc::clone(&self.categories),
        })
    }

    /// Only the detections whose score is greater than `score`.
    #[must_use]
    pub fn above(&self, score: f32) -> Self {
        let kept = self.iter().filter(|found| found.score > score);
        Self {
            image_size: self.image_size,
            detections: kept.cloned().collect(),
            categories: Arc::clone(&self.categories),
        }
    }

    /// The same boxes and scores for candle_transformers' functions, with class ids as data.
    #[cfg(feature = "candle-transformers")]
    pub fn to_bboxes(&self) -> Vec<Bbox<usize>> {
        self.iter().map(Bbox::from).collect()
    }

    /// SHA-256 over the exact bits of image size, boxes, scores, labels and their order: equal on
    /// every machine, or something differs. [`determinism`](crate::determinism) has the byte layout.
    ///
    /// # Errors
    /// Never for what a detector answers: a NaN in a box or score, which cannot be digested, is
    /// refused before.
    pub fn digest(&self) -> Result<Digest> {
        let fields = self.as_slice().iter().map(|found| {
            (
                found.label_id,
                found.label.as_str(),
                found.score,
                <[f32; 4]>::from(found.bounding_box),
            )
        });
        digest_detections(self.image_size(), fields)
    }
}

impl<'a> IntoIterator for &'a Detections {
    type Item = &'a Detection;
    type IntoIter = std::slice::Iter<'a, Detection>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::labels::LabelError;
    use crate::postprocess::Candidate;
    use proptest::prelude::*;

    fn found(score: f32, label_id: usize, corners: [f32; 4]) -> ScoredBox {
        let candidate = Candidate { score, level: 0, index: 0 };
        ScoredBox { bounding_box: corners.into(), label_id, candidate }
    }

    fn coco(boxes: &[ScoredBox]) -> Result<Detections> {
        Detections::new([480, 640], Arc::new(Categories::coco_v1()), boxes)
    }

    fn street() -> Detections {
        coco(&[
            found(0.9, 1, [1.0, 2.0, 30.0, 40.5]),
            found(0.8, 3, [0.0, 0.0, 5.0, 5.0]),
            found(0.5, 1, [100.0, 2.0, 130.0, 40.5]),
        ])
        .unwrap()
    }

    #[test]
    fn of_picks_the_label_in_score_order() {
        let street = street();
        let people: Vec<f32> =
            street.of("person").unwrap().iter().map(|found| found.score).collect();
        assert_eq!(people, [0.9, 0.5]);
    }

    #[test]
    fn an_unknown_label_is_an_error_and_an_absent_one_is_empty() {
        assert!(street().of("zebra").unwrap().is_empty());
        let error = street().of("persn").unwrap_err();
        assert!(matches!(error, Error::Label(LabelError::Unknown { .. })), "{error}");
    }

    #[test]
    fn only_keeps_several_labels_in_score_order() {
        let ids = |labels: &[&str]| -> Vec<usize> {
            street().only(labels).unwrap().iter().map(|found| found.label_id).collect()
        };
        assert_eq!(ids(&["car", "person"]), [1, 3, 1]);
        assert_eq!(ids(&["car"]), [3]);
        assert!(ids(&[]).is_empty());
        assert!(street().only(&["person", "cra"]).is_err());
    }

    #[test]
    fn above_is_strict() {
        assert_eq!(street().above(0.5).len(), 2);
        assert_eq!(street().above(0.95).len(), 0);
    }

    #[test]
    fn a_class_without_a_name_is_an_error() {
        let error = coco(&[found(0.5, 91, [0.0; 4])]).unwrap_err().to_string();
        assert!(error.contains("class id 91 has no name"), "{error}");
    }

    #[test]
    fn broken_numbers_and_orders_are_refused() {
        for (boxes, part) in [
            (vec![found(f32::NAN, 1, [0.0; 4])], "detection 0: score is NaN"),
            (
                vec![found(0.5, 1, [0.0, 0.0, f32::INFINITY, 0.0])],
                "detection 0: box is [0.0, 0.0, inf, 0.0]",
            ),
            (vec![found(0.5, 1, [0.0; 4]), found(0.6, 1, [0.0; 4])], "detection 1: score is 0.6"),
        ] {
            let error = coco(&boxes).unwrap_err().to_string();
            assert!(error.contains(part), "{error}");
        }
    }

    #[test]
    fn json_has_the_documented_form() {
        let one = Detections::new(
            [4, 6],
            Arc::new(Categories::new(["__background__", "person"]).unwrap()),
            &[found(0.25, 1, [0.0, 1.5, 2.0, 3.0])],
        );
        assert_eq!(
            serde_json::to_string(&one.unwrap()).unwrap(),
            r#"{"image_size":[4,6],"detections":[{"label_id":1,"label":"person","score":0.25,"box":[0.0,1.5,2.0,3.0]}],"categories":["__background__","person"]}"#
        );
    }

    #[test]
    fn json_that_contradicts_itself_is_refused() {
        let json = serde_json::to_string(&street()).unwrap();
        let renamed = json.replacen("\"person\"", "\"pedestrian\"", 1);
        let error = serde_json::from_str::<Detections>(&renamed).unwrap_err().to_string();
        assert!(error.contains("label is \"pedestrian\" with id 1"), "{error}");
    }

    proptest! {
        #[test]
        fn json_reads_back_to_the_same_bits(bits in prop::collection::vec(any::<[u32; 5]>(), 0..20)) {
            let mut boxes: Vec<ScoredBox> = bits
                .iter()
                .map(|bits| bits.map(f32::from_bits))
                .filter(|values| values.iter().all(|value| value.is_finite()))
                .map(|[score, corners @ ..]| found(score, 7, corners))
                .collect();
            boxes.sort_by(|a, b| b.candidate.score.total_cmp(&a.candidate.score));
            let detections = coco(&boxes).unwrap();

            let json = serde_json::to_string(&detections).unwrap();
            let read: Detections = serde_json::from_str(&json).unwrap();

            let to_bits = |detections: &Detections| -> Vec<[u32; 5]> {
                let one = |d: &Detection| {
                    let BoundingBox { x1, y1, x2, y2 } = d.bounding_box;
                    [d.score, x1, y1, x2, y2].map(f32::to_bits)
                };
                detections.iter().map(one).collect()
            };
            prop_assert_eq!(to_bits(&detections), to_bits(&read));
            prop_assert_eq!(detections, read);
        }
    }

    #[cfg(feature = "candle-transformers")]
    #[test]
    fn bboxes_keep_corners_score_and_class() {
        let bboxes = street().to_bboxes();
        let Bbox { xmin, ymin, xmax, ymax, confidence, data } = bboxes[0];
        assert_eq!(([xmin, ymin, xmax, ymax], confidence, data), ([1.0, 2.0, 30.0, 40.5], 0.9, 1));
    }
}
