//! Non-maximum suppression, class by class.

use std::collections::BTreeMap;

use super::boxes::InputBox;

/// Keeps the best boxes that overlap no better kept box of their class too much, best first, and stops
/// at `limit` of them.
///
/// Like torchvision's CPU kernel, areas are plain products, the overlap is one f32, and it is compared
/// with `threshold` in f64: a greater one suppresses. Two boxes without area have a NaN overlap, which
/// suppresses nothing. Classes never meet (`torchvision.ops.boxes._batched_nms_vanilla`).
pub(crate) fn nms(mut boxes: Vec<InputBox>, threshold: f64, limit: usize) -> Vec<InputBox> {
    boxes.sort_unstable_by(|a, b| a.candidate.rank(&b.candidate));
    let mut kept_of_class: BTreeMap<usize, Vec<[f32; 4]>> = BTreeMap::new();
    let mut kept = Vec::new();
    for found in boxes {
        if kept.len() >= limit {
            break;
        }
        let better = kept_of_class.entry(found.label_id).or_default();
        if !better.iter().any(|&rival| f64::from(overlap(rival, found.in_input)) > threshold) {
            better.push(found.in_input);
            kept.push(found);
        }
    }
    kept
}

/// Intersection over union of two x1, y1, x2, y2 boxes: each operation one f32 rounding, in
/// torchvision's order. NaN when both areas are 0.
pub(crate) fn overlap(a: [f32; 4], b: [f32; 4]) -> f32 {
    let larger = |a: f32, b: f32| if a < b { b } else { a };
    let smaller = |a: f32, b: f32| if b < a { b } else { a };
    let width = larger(0.0, smaller(a[2], b[2]) - larger(a[0], b[0]));
    let height = larger(0.0, smaller(a[3], b[3]) - larger(a[1], b[1]));
    let intersection = width * height;
    intersection / (area(a) + area(b) - intersection)
}

fn area([x1, y1, x2, y2]: [f32; 4]) -> f32 {
    (x2 - x1) * (y2 - y1)
}

#[cfg(test)]
mod tests {
    use super::super::top_k::Candidate;
    use super::*;
    use proptest::prelude::*;

    fn input_box(
        score: f32,
        level: usize,
        index: usize,
        label_id: usize,
        in_input: [f32; 4],
    ) -> InputBox {
        InputBox { candidate: Candidate { score, level, index }, label_id, in_input }
    }

    fn kept_indices(boxes: Vec<InputBox>, threshold: f64, limit: usize) -> Vec<usize> {
        nms(boxes, threshold, limit).iter().map(|kept| kept.candidate.index).collect()
    }

    /// The textbook procedure: class by class, take the best left, strike out what overlaps it.
    fn obvious_nms(boxes: &[InputBox], threshold: f64, limit: usize) -> Vec<InputBox> {
        let mut left: Vec<InputBox> = boxes.to_vec();
        let mut kept = Vec::new();
        while let Some(&best) = left.iter().min_by(|a, b| a.candidate.rank(&b.candidate)) {
            kept.push(best);
            left.retain(|other| {
                let suppressed = other.label_id == best.label_id
                    && f64::from(overlap(best.in_input, other.in_input)) > threshold;
                other != &best && !suppressed
            });
        }
        kept.truncate(limit);
        kept
    }

    /// Small whole numbers, so that scores, boxes and overlaps are often equal.
    fn crowded_boxes() -> impl Strategy<Value = Vec<InputBox>> {
        let place = (0u8..6, 0u8..6, 0u8..5, 0u8..5)
            .prop_map(|(x, y, width, height)| [x, y, x + width, y + height].map(f32::from));
        let one = (0u8..4, 0usize..2, 0usize..3, place);
        prop::collection::vec(one, 0..120).prop_map(|picks| {
            let picks = picks.into_iter().enumerate();
            picks
                .map(|(index, (score, level, label, corners))| {
                    input_box(f32::from(score) / 3.0, level, index, label, corners)
                })
                .collect()
        })
    }

    proptest! {
        #[test]
        fn equals_the_obvious_procedure(
            boxes in crowded_boxes(),
            threshold in prop::sample::select(vec![-1.0, 0.0, 0.25, 1.0 / 3.0, 0.5, 1.0]),
            limit in 0usize..130,
        ) {
            prop_assert_eq!(nms(boxes.clone(), threshold, limit), obvious_nms(&boxes, threshold, limit));
        }
    }

    #[test]
    fn equal_scores_keep_the_lower_level_then_the_lower_index() {
        let same = [0.0, 0.0, 10.0, 10.0];
        let boxes = vec![
            input_box(0.5, 1, 1, 1, same),
            input_box(0.5, 0, 7, 1, same),
            input_box(0.5, 0, 6, 1, same),
        ];
        assert_eq!(kept_indices(boxes, 0.5, 10), [6]);
    }

    #[test]
    fn classes_do_not_suppress_each_other() {
        let same = [0.0, 0.0, 10.0, 10.0];
        let boxes = vec![input_box(0.9, 0, 0, 0, same), input_box(0.8, 0, 1, 1, same)];
        assert_eq!(kept_indices(boxes, 0.5, 10), [0, 1]);
    }

    #[test]
    fn boxes_without_area_suppress_nothing() {
        let flat = [3.0, 3.0, 3.0, 9.0];
        let boxes = vec![input_box(0.9, 0, 0, 1, flat), input_box(0.8, 0, 1, 1, flat)];
        assert_eq!(kept_indices(boxes, -1.0, 10), [0, 1]);
    }

    #[test]
    fn an_overlap_equal_to_the_threshold_is_kept() {
        let boxes = || {
            vec![
                input_box(0.9, 0, 0, 1, [0.0, 0.0, 2.0, 1.0]),
                input_box(0.8, 0, 1, 1, [0.0, 0.0, 1.0, 1.0]),
            ]
        };
        assert_eq!(kept_indices(boxes(), 0.5, 10), [0, 1]);
        assert_eq!(kept_indices(boxes(), 0.499, 10), [0]);
    }

    #[test]
    fn the_overlap_is_compared_in_f64() {
        // 1/10 rounds up to the f32 0.100000001, which is greater than the f64 0.1.
        let boxes = vec![
            input_box(0.9, 0, 0, 1, [0.0, 0.0, 10.0, 1.0]),
            input_box(0.8, 0, 1, 1, [0.0, 0.0, 1.0, 1.0]),
        ];
        assert_eq!(kept_indices(boxes, 0.1, 10), [0]);
    }
}
