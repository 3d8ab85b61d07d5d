//! The numbers of an evaluation.

use serde::{Deserialize, Serialize};

use super::accumulate::{ClassCurves, Curves, RECALLS, Recall};
use super::matching::THRESHOLDS;

/// COCO's twelve numbers, between 0 and 1; `None` (pycocotools: -1) where nothing was to be found.
///
/// AP is precision averaged over 101 recall levels, IoU thresholds 0.50 to 0.95 and categories; AR the
/// greatest recall averaged over thresholds and categories.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CocoScores {
    /// AP over all thresholds.
    #[serde(rename = "AP")]
    pub ap: Option<f64>,
    /// AP at IoU 0.50.
    #[serde(rename = "AP50")]
    pub ap50: Option<f64>,
    /// AP at IoU 0.75.
    #[serde(rename = "AP75")]
    pub ap75: Option<f64>,
    /// AP of objects of up to 32 x 32 pixels.
    #[serde(rename = "AP_small")]
    pub ap_small: Option<f64>,
    /// AP of objects between those.
    #[serde(rename = "AP_medium")]
    pub ap_medium: Option<f64>,
    /// AP of objects from 96 x 96 pixels.
    #[serde(rename = "AP_large")]
    pub ap_large: Option<f64>,
    /// AR with the best detection of each image and category.
    #[serde(rename = "AR_1")]
    pub ar_1: Option<f64>,
    /// AR with the best 10.
    #[serde(rename = "AR_10")]
    pub ar_10: Option<f64>,
    /// AR with the best 100.
    #[serde(rename = "AR_100")]
    pub ar_100: Option<f64>,
    /// AR of small objects, with the best 100.
    #[serde(rename = "AR_small")]
    pub ar_small: Option<f64>,
    /// AR of medium objects.
    #[serde(rename = "AR_medium")]
    pub ar_medium: Option<f64>,
    /// AR of large objects.
    #[serde(rename = "AR_large")]
    pub ar_large: Option<f64>,
}

/// What the detections of a data set are worth.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Evaluation {
    /// How many images were looked at.
    pub images: usize,
    /// How many annotations they have, crowds included.
    pub annotations: usize,
    /// How many of them have the id 0. pycocotools takes a detection that matches one for unmatched, and
    /// so does this, to have the same scores: number annotations from 1.
    pub zero_id_annotations: usize,
    /// How many detections were scored.
    pub detections: usize,
    /// Over all categories.
    pub overall: CocoScores,
    /// Each category, in order of id.
    pub classes: Vec<ClassScores>,
}

/// What the detections of one category are worth.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ClassScores {
    /// The category's id in the annotations.
    pub category_id: i64,
    /// Its name there.
    pub name: String,
    /// How many annotations are of it, crowds included.
    pub annotations: usize,
    /// How many detections are of it.
    pub detections: usize,
    /// Its scores.
    pub scores: CocoScores,
}

impl CocoScores {
    /// What each number is called, in [`to_array`](Self::to_array)'s order, as serde calls it.
    pub const NAMES: [&str; 12] = [
        "AP",
        "AP50",
        "AP75",
        "AP_small",
        "AP_medium",
        "AP_large",
        "AR_1",
        "AR_10",
        "AR_100",
        "AR_small",
        "AR_medium",
        "AR_large",
    ];

    /// The twelve numbers in pycocotools' order.
    pub fn to_array(&self) -> [Option<f64>; 12] {
        [
            self.ap,
            self.ap50,
            self.ap75,
            self.ap_small,
            self.ap_medium,
            self.ap_large,
            self.ar_1,
            self.ar_10,
            self.ar_100,
            self.ar_small,
            self.ar_medium,
            self.ar_large,
        ]
    }

    /// Averages over the categories that have something to be found.
    pub(super) fn of(classes: &[ClassCurves]) -> Self {
        let area = |area: usize| classes.iter().filter_map(move |class| class.areas[area].as_ref());
        let ap = |index: usize| {
            let curves: Vec<&Curves> = area(index).collect();
            mean_precision(&curves, 0..THRESHOLDS)
        };
        let ap_at = |threshold: usize| {
            let curves: Vec<&Curves> = area(0).collect();
            mean_precision(&curves, threshold..threshold + 1)
        };
        let ar = |index: usize| mean_recall(area(index).map(|curves| &curves.recall));
        Self {
            ap: ap(0),
            ap50: ap_at(0),
            ap75: ap_at(5),
            ap_small: ap(1),
            ap_medium: ap(2),
            ap_large: ap(3),
            ar_1: mean_recall(classes.iter().filter_map(|class| class.recall_1.as_ref())),
            ar_10: mean_recall(classes.iter().filter_map(|class| class.recall_10.as_ref())),
            ar_100: ar(0),
            ar_small: ar(1),
            ar_medium: ar(2),
            ar_large: ar(3),
        }
    }
}

/// Summed in the order threshold, recall level, category.
fn mean_precision(classes: &[&Curves], thresholds: std::ops::Range<usize>) -> Option<f64> {
    let mut all = Vec::with_capacity(thresholds.len() * RECALLS * classes.len());
    for threshold in thresholds {
        for level in 0..RECALLS {
            all.extend(classes.iter().map(|class| class.precision[threshold][level]));
        }
    }
    mean(&all)
}

/// Summed in the order threshold, category.
fn mean_recall<'a>(classes: impl Iterator<Item = &'a Recall>) -> Option<f64> {
    let classes: Vec<&Recall> = classes.collect();
    let mut all = Vec::with_capacity(THRESHOLDS * classes.len());
    for threshold in 0..THRESHOLDS {
        all.extend(classes.iter().map(|recall| recall[threshold]));
    }
    mean(&all)
}

fn mean(values: &[f64]) -> Option<f64> {
    (!values.is_empty()).then(|| pairwise_sum(values) / values.len() as f64)
}

/// Sums in numpy's order: halves down to at most 128 values, those in eight interleaved lanes.
fn pairwise_sum(values: &[f64]) -> f64 {
    if values.len() < 8 {
        return values.iter().fold(0.0, |sum, value| sum + value);
    }
    if values.len() <= 128 {
        let (eights, rest) = values.as_chunks::<8>();
        let mut lanes = eights[0];
        for eight in &eights[1..] {
            for (lane, value) in lanes.iter_mut().zip(eight) {
                *lane += value;
            }
        }
        let [a, b, c, d, e, f, g, h] = lanes;
        let sum = ((a + b) + (c + d)) + ((e + f) + (g + h));
        return rest.iter().fold(sum, |sum, value| sum + value);
    }
    let half = values.len() / 2;
    let (left, right) = values.split_at(half - half % 8);
    pairwise_sum(left) + pairwise_sum(right)
}
