//! Detections as COCO's results files hold them.

use std::collections::HashSet;
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::{EvalError, GroundTruth};
use crate::Result;
use crate::detection::{BoundingBox, Detection};

/// One detection of a COCO results file; the file is a JSON list of these. Other fields are not looked
/// at.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct CocoDetection {
    /// The image it is in.
    pub image_id: i64,
    /// The category's id in the annotations.
    pub category_id: i64,
    /// Left, top, width, height in pixels.
    pub bbox: [f64; 4],
    /// Any finite number.
    pub score: f64,
}

impl CocoDetection {
    /// The detector's detection in COCO's terms.
    ///
    /// Width and height are the corners' differences in f32, as torchvision's reference evaluation takes
    /// them; each number is then widened exactly, so a JSON file of these holds what is scored.
    pub fn new(image_id: i64, category_id: i64, found: &Detection) -> Self {
        let BoundingBox { x1, y1, x2, y2 } = found.bounding_box;
        let bbox = [x1, y1, x2 - x1, y2 - y1].map(f64::from);
        Self { image_id, category_id, bbox, score: found.score.into() }
    }

    /// Reads a COCO results file.
    ///
    /// # Errors
    /// [`EvalError`]: the file cannot be read or is not such a list.
    pub fn read_list(path: impl AsRef<Path>) -> Result<Vec<Self>> {
        let path = path.as_ref();
        let list = serde_json::from_slice(&super::annotations::read(path)?);
        Ok(list.map_err(|error| EvalError::Results {
            path: path.to_owned(),
            reason: error.to_string().escape_debug().to_string(),
        })?)
    }
}

/// Refuses what cannot be scored.
pub(super) fn check(detections: &[CocoDetection], truth: &GroundTruth) -> Result<()> {
    let images: HashSet<i64> = truth.images().iter().map(|image| image.id).collect();
    let categories: HashSet<i64> = truth.categories().iter().map(|category| category.id).collect();
    for (index, found) in detections.iter().enumerate() {
        let refuse = |field, value: String, needs| {
            Err(EvalError::Detection { index, field, value, needs }.into())
        };
        if !images.contains(&found.image_id) {
            let needs = "the annotations list no such image";
            return refuse("image_id", found.image_id.to_string(), needs);
        }
        if !categories.contains(&found.category_id) {
            let needs = "the annotations list no such category";
            return refuse("category_id", found.category_id.to_string(), needs);
        }
        if !found.bbox.iter().all(|side| side.is_finite()) {
            return refuse("bbox", format!("{:?}", found.bbox), "all four must be finite");
        }
        if !found.score.is_finite() {
            return refuse("score", found.score.to_string(), "it must be finite");
        }
    }
    Ok(())
}
