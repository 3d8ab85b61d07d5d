//! The boxes of many windows as those of one picture.

use std::collections::BTreeMap;

use retinanet_kernels::with_ieee;

use super::boxes::ScoredBox;
use super::nms::overlap;
use crate::bounding_box::BoundingBox;

/// Collects the boxes of a picture's windows, and leaves the best of those that overlap.
#[derive(Debug)]
pub(crate) struct Merger {
    threshold: f64,
    /// Height and width of a window: of cells that a box can only be in a few of.
    window: [usize; 2],
    found: Vec<Found>,
}

/// A box, and what decides between boxes of one score.
#[derive(Debug, Clone, Copy)]
struct Found {
    window: usize,
    /// Its place in the window's own answer.
    rank: usize,
    in_picture: ScoredBox,
}

impl Merger {
    /// For windows of `[height, width]` pixels; boxes of one class that overlap more than `threshold`
    /// are taken for one.
    pub(crate) fn new(threshold: f64, window: [usize; 2]) -> Self {
        Self { threshold, window, found: Vec::new() }
    }

    /// Adds the answer of a window whose upper left corner is at `[x, y]`: each corner of a box is
    /// moved by one f32 addition, or not at all.
    pub(crate) fn add(&mut self, window: usize, [x, y]: [usize; 2], boxes: &[ScoredBox]) {
        with_ieee(|| {
            // Adding nothing could turn -0 into +0.
            let moved = |value: f32, by: usize| if by == 0 { value } else { value + by as f32 };
            for (rank, found) in boxes.iter().enumerate() {
                let BoundingBox { x1, y1, x2, y2 } = found.bounding_box;
                let bounding_box = BoundingBox {
                    x1: moved(x1, x),
                    y1: moved(y1, y),
                    x2: moved(x2, x),
                    y2: moved(y2, y),
                };
                let in_picture = ScoredBox { bounding_box, ..*found };
                self.found.push(Found { window, rank, in_picture });
            }
        });
    }

    /// The boxes that stay, best first: by score, then by the window's number, then by place in the
    /// window's answer. One goes where a better one that stays, of its class and of another window,
    /// overlaps it more than the threshold. Boxes of one window have met already, in their own NMS.
    pub(crate) fn finish(mut self) -> Vec<ScoredBox> {
        self.found.sort_unstable_by(|a, b| {
            let scores = b.in_picture.candidate.score.total_cmp(&a.in_picture.candidate.score);
            scores.then(a.window.cmp(&b.window)).then(a.rank.cmp(&b.rank))
        });
        with_ieee(|| {
            let mut stay: BTreeMap<(usize, usize, usize), Vec<Found>> = BTreeMap::new();
            let mut kept = Vec::new();
            for found in &self.found {
                let label = found.in_picture.label_id;
                let cells = self.cells(found);
                let beaten = cells.iter().any(|&(x, y)| {
                    let rivals = stay.get(&(label, x, y)).map_or(&[][..], Vec::as_slice);
                    rivals.iter().any(|rival| self.suppresses(rival, found))
                });
                if !beaten {
                    for (x, y) in cells {
                        stay.entry((label, x, y)).or_default().push(*found);
                    }
                    kept.push(found.in_picture);
                }
            }
            kept
        })
    }

    fn suppresses(&self, better: &Found, found: &Found) -> bool {
        let [better_box, its_box] =
            [better, found].map(|one| <[f32; 4]>::from(one.in_picture.bounding_box));
        better.window != found.window && f64::from(overlap(better_box, its_box)) > self.threshold
    }

    /// The cells that a box touches: two boxes that share any area share one. Below 0, the threshold
    /// is also for boxes that share none, so that there is one cell.
    fn cells(&self, found: &Found) -> Vec<(usize, usize)> {
        if self.threshold < 0.0 {
            return vec![(0, 0)];
        }
        let BoundingBox { x1, y1, x2, y2 } = found.in_picture.bounding_box;
        let [height, width] = self.window;
        let range = |from: f32, to: f32, side: usize| {
            (from / side as f32) as usize..=(to / side as f32) as usize
        };
        let rows = range(y1, y2, height);
        rows.flat_map(|y| range(x1, x2, width).map(move |x| (x, y))).collect()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::top_k::Candidate;
    use super::*;

    fn scored(score: f32, label_id: usize, corners: [f32; 4]) -> ScoredBox {
        let candidate = Candidate { score, level: 0, index: 0 };
        ScoredBox { bounding_box: corners.into(), label_id, candidate }
    }

    /// The textbook procedure over all boxes, without cells.
    fn obvious(threshold: f64, windows: &[([usize; 2], Vec<ScoredBox>)]) -> Vec<ScoredBox> {
        let mut left: Vec<(usize, usize, ScoredBox)> = Vec::new();
        for (window, ([x, y], boxes)) in windows.iter().enumerate() {
            for (rank, found) in boxes.iter().enumerate() {
                let [x1, y1, x2, y2] = <[f32; 4]>::from(found.bounding_box);
                let (x, y) = (*x as f32, *y as f32);
                let bounding_box = [x1 + x, y1 + y, x2 + x, y2 + y].into();
                left.push((window, rank, ScoredBox { bounding_box, ..*found }));
            }
        }
        let mut kept = Vec::new();
        while !left.is_empty() {
            let mut best = 0;
            for (index, one) in left.iter().enumerate() {
                let (score, its) = (one.2.candidate.score, left[best].2.candidate.score);
                if score > its || score == its && (one.0, one.1) < (left[best].0, left[best].1) {
                    best = index;
                }
            }
            let best = left.remove(best);
            left.retain(|other| {
                let both = [best.2, other.2].map(|one| <[f32; 4]>::from(one.bounding_box));
                let same_window = other.0 == best.0;
                same_window
                    || other.2.label_id != best.2.label_id
                    || f64::from(overlap(both[0], both[1])) <= threshold
                    || overlap(both[0], both[1]).is_nan()
            });
            kept.push(best.2);
        }
        kept
    }

    fn merged(
        threshold: f64,
        size: [usize; 2],
        windows: &[([usize; 2], Vec<ScoredBox>)],
    ) -> Vec<ScoredBox> {
        let mut merger = Merger::new(threshold, size);
        for (window, (corner, boxes)) in windows.iter().enumerate() {
            merger.add(window, *corner, boxes);
        }
        merger.finish()
    }

    /// Small whole numbers, so that scores, boxes and overlaps are often equal.
    fn crowded_windows() -> impl Strategy<Value = Vec<([usize; 2], Vec<ScoredBox>)>> {
        let place = (0u8..6, 0u8..6, 0u8..5, 0u8..5)
            .prop_map(|(x, y, width, height)| [x, y, x + width, y + height].map(f32::from));
        let one = (0u8..4, 0usize..2, place);
        let boxes = prop::collection::vec(one, 0..12).prop_map(|picks| {
            let mut boxes: Vec<ScoredBox> = picks
                .into_iter()
                .map(|(score, label, corners)| scored(f32::from(score) / 3.0, label, corners))
                .collect();
            boxes.sort_by(|a, b| b.candidate.score.total_cmp(&a.candidate.score));
            boxes
        });
        let window = ((0usize..8, 0usize..8).prop_map(|(x, y)| [x, y]), boxes);
        prop::collection::vec(window, 1..8)
    }

    proptest! {
        #[test]
        fn equals_the_obvious_procedure(
            windows in crowded_windows(),
            threshold in prop::sample::select(vec![-1.0, 0.0, 0.25, 0.5, 1.0]),
            size in prop::sample::select(vec![[3, 4], [10, 10], [1, 1]]),
        ) {
            prop_assert_eq!(merged(threshold, size, &windows), obvious(threshold, &windows));
        }
    }

    #[test]
    fn equal_scores_keep_the_earlier_window() {
        let low = scored(0.5, 1, [10.0, 0.0, 20.0, 10.0]);
        let high = scored(0.5, 1, [0.0, 0.0, 10.0, 10.0]);
        // The same place in the picture, one pixel apart.
        let windows = [([0, 0], vec![low]), ([11, 0], vec![high])];
        let kept = merged(0.5, [20, 20], &windows);
        assert_eq!(kept, [low]);
        let [mut first, mut second] = windows;
        (first.0, second.0) = ([11, 0], [0, 0]);
        (first.1, second.1) = (vec![high], vec![low]);
        let kept = merged(0.5, [20, 20], &[first, second]);
        assert_eq!(<[f32; 4]>::from(kept[0].bounding_box), [11.0, 0.0, 21.0, 10.0]);
        assert_eq!(kept.len(), 1);
    }

    #[test]
    fn boxes_of_one_window_are_not_compared_again() {
        let corners = [0.0, 0.0, 10.0, 10.0];
        let both = vec![scored(0.9, 1, corners), scored(0.8, 1, corners)];
        assert_eq!(merged(0.5, [20, 20], &[([0, 0], both.clone())]), both);
        let third = vec![scored(0.7, 1, corners)];
        assert_eq!(merged(0.5, [20, 20], &[([0, 0], both.clone()), ([0, 0], third)]), both);
    }

    #[test]
    fn classes_do_not_suppress_each_other() {
        let corners = [0.0, 0.0, 10.0, 10.0];
        let windows =
            [([0, 0], vec![scored(0.9, 1, corners)]), ([0, 0], vec![scored(0.8, 2, corners)])];
        assert_eq!(merged(0.5, [20, 20], &windows).len(), 2);
    }

    #[test]
    fn a_window_in_the_corner_keeps_the_bits_of_its_boxes() {
        let found = scored(0.9, 1, [-0.0, 0.0, 3.25, 4.5]);
        let kept = merged(0.5, [20, 20], &[([0, 0], vec![found])]);
        assert_eq!(kept[0].bounding_box.x1.to_bits(), (-0.0_f32).to_bits());
    }
}
