//! One category's precision and recall over all images.

use super::matching::{AREAS, Fate, ImageMatches, MAX_DETECTIONS, THRESHOLDS};

/// How many recall levels precision is read at: 0.00, 0.01, .. 1.00.
pub(super) const RECALLS: usize = 101;

/// What a category answers; `None` where it has nothing to be found.
#[derive(Debug)]
pub(super) struct ClassCurves {
    /// Per area, with up to 100 detections an image.
    pub(super) areas: [Option<Curves>; AREAS.len()],
    /// The recall over all areas, with the best detection of an image only.
    pub(super) recall_1: Option<Recall>,
    /// With the best 10.
    pub(super) recall_10: Option<Recall>,
}

/// The greatest recall per IoU threshold.
pub(super) type Recall = [f64; THRESHOLDS];

/// Precision and recall per IoU threshold.
#[derive(Debug)]
pub(super) struct Curves {
    /// `[threshold][recall level]`: the best precision at that recall or above.
    pub(super) precision: Vec<[f64; RECALLS]>,
    /// The greatest recall.
    pub(super) recall: Recall,
}

impl ClassCurves {
    /// `images` in order of their ids.
    pub(super) fn new(images: &[ImageMatches]) -> Self {
        Self {
            areas: std::array::from_fn(|area| Curves::new(images, area, MAX_DETECTIONS)),
            recall_1: Curves::new(images, 0, 1).map(|curves| curves.recall),
            recall_10: Curves::new(images, 0, 10).map(|curves| curves.recall),
        }
    }
}

impl Curves {
    /// Source: pycocotools' `COCOeval.accumulate`.
    fn new(images: &[ImageMatches], area: usize, most: usize) -> Option<Self> {
        let wanted: usize = images.iter().map(|image| image.areas[area].wanted).sum();
        if wanted == 0 {
            return None;
        }
        let mut order: Vec<(f64, usize, usize)> = Vec::new();
        for (index, image) in images.iter().enumerate() {
            let scores = image.scores.iter().take(most).enumerate();
            order.extend(scores.map(|(place, &score)| (score, index, place)));
        }
        // A stable sort: equal scores keep the order of images, and in an image their place.
        order.sort_by(|a, b| b.0.partial_cmp(&a.0).unwrap_or(std::cmp::Ordering::Equal));
        let levels = recall_levels();
        let mut precision = Vec::with_capacity(THRESHOLDS);
        let mut recall = [0.0; THRESHOLDS];
        for (threshold, most_recall) in recall.iter_mut().enumerate() {
            let fates = order
                .iter()
                .map(|&(_, image, place)| images[image].areas[area].fates[threshold][place]);
            let (precisions, recalls) = curve(fates, wanted);
            *most_recall = recalls.last().copied().unwrap_or(0.0);
            precision.push(levels.map(|level| {
                let reached = recalls.partition_point(|&recall| recall < level);
                precisions.get(reached).copied().unwrap_or(0.0)
            }));
        }
        Some(Self { precision, recall })
    }
}

/// Precision, made non-increasing, and recall after each detection.
fn curve(fates: impl ExactSizeIterator<Item = Fate>, wanted: usize) -> (Vec<f64>, Vec<f64>) {
    let mut precisions = Vec::with_capacity(fates.len());
    let mut recalls = Vec::with_capacity(fates.len());
    let (mut right, mut wrong) = (0.0, 0.0);
    for fate in fates {
        if !fate.ignored {
            *(if fate.matched { &mut right } else { &mut wrong }) += 1.0;
        }
        precisions.push(right / (wrong + right + f64::EPSILON));
        recalls.push(right / wanted as f64);
    }
    for place in (1..precisions.len()).rev() {
        if precisions[place] > precisions[place - 1] {
            precisions[place - 1] = precisions[place];
        }
    }
    (precisions, recalls)
}

/// As `numpy.linspace(0, 1, 101)` rounds them.
fn recall_levels() -> [f64; RECALLS] {
    std::array::from_fn(|i| if i == RECALLS - 1 { 1.0 } else { i as f64 * 0.01 })
}
