//! Precision over recall: what AP averages.

use serde::Serialize;

use super::accumulate::{Curves, RECALLS};
use super::matching::{THRESHOLDS, thresholds};

/// A category's precision at 101 levels of recall and ten IoU thresholds.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct PrecisionRecall {
    /// The category's id in the annotations.
    pub category_id: i64,
    /// Its name there.
    pub name: String,
    /// How many annotations are of it, crowds included.
    pub annotations: usize,
    /// `[threshold][level]`: the best precision at a recall of level/100 or above, 0 where that recall is not
    /// reached. Objects of all areas, the best 100 detections of an image. AP is the mean of all these numbers.
    pub precision: Vec<Vec<f64>>,
}

impl PrecisionRecall {
    /// The IoU thresholds: 0.50, 0.55, .. 0.95.
    pub fn iou_thresholds() -> [f64; THRESHOLDS] {
        thresholds()
    }

    /// How many levels of recall there are: 0.00, 0.01, .. 1.00.
    pub const LEVELS: usize = RECALLS;

    pub(super) fn new(category_id: i64, name: &str, annotations: usize, curves: &Curves) -> Self {
        let precision = curves.precision.iter().map(|levels| levels.to_vec()).collect();
        Self { category_id, name: name.to_owned(), annotations, precision }
    }
}
