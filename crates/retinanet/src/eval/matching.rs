//! Which detection answers which annotation, in one image and category.

use super::annotations::Annotation;
use super::detections::CocoDetection;

/// How many IoU thresholds there are: 0.50, 0.55, .. 0.95.
pub(super) const THRESHOLDS: usize = 10;

/// The most detections of an image and category that count.
pub(super) const MAX_DETECTIONS: usize = 100;

/// The areas of objects, in pixels, both ends included: all, small, medium, large.
pub(super) const AREAS: [[f64; 2]; 4] =
    [[0.0, 1e10], [0.0, 1024.0], [1024.0, 9216.0], [9216.0, 1e10]];

/// The IoU thresholds, as `numpy.linspace(0.5, 0.95, 10)` rounds them.
pub(super) fn thresholds() -> [f64; THRESHOLDS] {
    let step = (0.95 - 0.5) / 9.0;
    std::array::from_fn(|i| if i == THRESHOLDS - 1 { 0.95 } else { i as f64 * step + 0.5 })
}

/// An annotation, as far as matching looks at it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Truth {
    bbox: [f64; 4],
    area: f64,
    crowd: bool,
    /// pycocotools marks a match by the annotation's id, so that a match with id 0 reads as none.
    counts_as_match: bool,
}

impl From<&Annotation> for Truth {
    fn from(annotation: &Annotation) -> Self {
        let &Annotation { id, bbox, area, iscrowd, .. } = annotation;
        Self { bbox, area, crowd: iscrowd, counts_as_match: id != 0 }
    }
}

/// What became of one detection at one threshold.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Fate {
    pub(super) matched: bool,
    pub(super) ignored: bool,
}

/// What became of the detections of one area range.
#[derive(Debug)]
pub(super) struct AreaMatches {
    /// How many annotations are to be found: those of this area that are not crowds.
    pub(super) wanted: usize,
    /// Per threshold, each detection's fate.
    pub(super) fates: [Vec<Fate>; THRESHOLDS],
}

/// What became of the detections of one category in one image, best score first.
#[derive(Debug)]
pub(super) struct ImageMatches {
    pub(super) scores: Vec<f64>,
    pub(super) areas: [AreaMatches; AREAS.len()],
}

impl ImageMatches {
    /// Matches greedily, best score first: at each threshold a detection takes the annotation with the
    /// greatest IoU, of equal ones the last; one to be found before one to be ignored; a crowd may be
    /// taken again and again.
    ///
    /// Source: pycocotools' `computeIoU` and `evaluateImg`.
    pub(super) fn new(truths: &[Truth], mut detections: Vec<&CocoDetection>) -> Self {
        // A stable sort: equal scores keep their order.
        detections
            .sort_by(|a, b| b.score.partial_cmp(&a.score).unwrap_or(std::cmp::Ordering::Equal));
        detections.truncate(MAX_DETECTIONS);
        let ious: Vec<Vec<f64>> = detections
            .iter()
            .map(|found| truths.iter().map(|truth| iou(&found.bbox, truth)).collect())
            .collect();
        let areas = AREAS.map(|range| match_area(truths, &detections, &ious, range));
        Self { scores: detections.iter().map(|found| found.score).collect(), areas }
    }
}

fn match_area(
    truths: &[Truth],
    detections: &[&CocoDetection],
    ious: &[Vec<f64>],
    [least, most]: [f64; 2],
) -> AreaMatches {
    let outside = |area: f64| area < least || area > most;
    let ignored: Vec<bool> =
        truths.iter().map(|truth| truth.crowd || outside(truth.area)).collect();
    let mut order: Vec<usize> = (0..truths.len()).collect();
    order.sort_by_key(|&index| ignored[index]);
    let fates = thresholds().map(|threshold| {
        let mut taken = vec![false; truths.len()];
        let fate = |(found, ious): (&&CocoDetection, &Vec<f64>)| {
            let [_, _, width, height] = found.bbox;
            let mut best = None;
            let mut best_iou = threshold;
            for &index in &order {
                if taken[index] && !truths[index].crowd {
                    continue;
                }
                if best.is_some_and(|best: usize| !ignored[best]) && ignored[index] {
                    break;
                }
                if ious[index] < best_iou {
                    continue;
                }
                best_iou = ious[index];
                best = Some(index);
            }
            let mut fate = Fate::default();
            if let Some(best) = best {
                taken[best] = true;
                fate = Fate { matched: truths[best].counts_as_match, ignored: ignored[best] };
            }
            fate.ignored |= !fate.matched && outside(width * height);
            fate
        };
        detections.iter().zip(ious).map(fate).collect()
    });
    AreaMatches { wanted: ignored.iter().filter(|&&ignored| !ignored).count(), fates }
}

/// Intersection over union of two (x, y, width, height); with a crowd, over the detection's own area.
fn iou(found: &[f64; 4], truth: &Truth) -> f64 {
    let side = |axis: usize| {
        let (a, b) = (found[axis], truth.bbox[axis]);
        let (a_end, b_end) = (found[axis + 2] + a, truth.bbox[axis + 2] + b);
        let start = if a < b { b } else { a };
        let end = if a_end < b_end { a_end } else { b_end };
        end - start
    };
    let (width, height) = (side(0), side(1));
    if width <= 0.0 || height <= 0.0 {
        return 0.0;
    }
    let intersection = width * height;
    let area = found[2] * found[3];
    let union =
        if truth.crowd { area } else { area + truth.bbox[2] * truth.bbox[3] - intersection };
    intersection / union
}
