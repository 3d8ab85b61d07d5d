//! The order of detections, and the best K of many under it.

use std::cmp::Ordering;

/// One (location, anchor, class) of a feature level and its score.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Candidate {
    /// Sigmoid of the logit.
    pub score: f32,
    /// Which feature level, 0 being the finest.
    pub level: usize,
    /// `((y * width + x) * anchors + anchor) * classes + class`, torchvision's flattened order.
    pub index: usize,
}

impl Candidate {
    /// `Less` if `self` comes before `other`: by score, the highest first (`total_cmp`), then by level,
    /// then by index, the lowest first.
    ///
    /// This is the only order of detections in the crate: top-k, NMS and the answer use it. No two
    /// candidates of an image are equal under it.
    pub fn rank(&self, other: &Self) -> Ordering {
        other
            .score
            .total_cmp(&self.score)
            .then(self.level.cmp(&other.level))
            .then(self.index.cmp(&other.index))
    }
}

/// Collects the best `limit` of any number of candidates in bounded memory.
///
/// What it keeps is a set defined by a total order, so neither the order of arrival nor how the work
/// was split and merged can change it.
#[derive(Debug)]
pub(crate) struct TopK {
    limit: usize,
    best: Vec<Candidate>,
    /// The worst kept candidate once `limit` were seen: what does not come before it is out.
    floor: Option<Candidate>,
}

impl TopK {
    pub(crate) fn new(limit: usize) -> Self {
        Self { limit, best: Vec::new(), floor: None }
    }

    /// Offers a candidate and says whether the floor has risen.
    pub(crate) fn push(&mut self, candidate: Candidate) -> bool {
        if self.limit == 0 || self.floor.is_some_and(|floor| candidate.rank(&floor).is_ge()) {
            return false;
        }
        self.best.push(candidate);
        // Twice the limit makes the cost of shrinking constant per candidate.
        if self.best.len() < self.limit.saturating_mul(2) {
            return false;
        }
        self.shrink();
        true
    }

    /// A score below which no candidate can be among the best any more.
    pub(crate) fn floor(&self) -> Option<f32> {
        self.floor.map(|floor| floor.score)
    }

    /// The best of both.
    pub(crate) fn merge(mut self, other: Self) -> Self {
        for candidate in other.best {
            self.push(candidate);
        }
        self
    }

    /// The best, in order.
    pub(crate) fn into_sorted(mut self) -> Vec<Candidate> {
        self.shrink();
        self.best.sort_unstable_by(Candidate::rank);
        self.best
    }

    fn shrink(&mut self) {
        if self.limit == 0 || self.best.len() < self.limit {
            return;
        }
        if self.best.len() > self.limit {
            self.best.select_nth_unstable_by(self.limit - 1, Candidate::rank);
            self.best.truncate(self.limit);
        }
        self.floor = self.best.iter().copied().max_by(Candidate::rank);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Few distinct scores, so that most candidates are tied.
    fn tied_candidates() -> impl Strategy<Value = Vec<Candidate>> {
        prop::collection::vec((0u8..5, 0usize..3), 0..200).prop_map(|picks| {
            picks
                .into_iter()
                .enumerate()
                .map(|(index, (score, level))| Candidate {
                    score: f32::from(score) / 4.0,
                    level,
                    index,
                })
                .collect()
        })
    }

    proptest! {
        #[test]
        fn equals_sorting_everything_however_split_and_shuffled(
            all in tied_candidates(),
            limit in 0usize..60,
            cut in 0usize..200,
            shuffled in any::<bool>(),
        ) {
            let mut expected = all.clone();
            expected.sort_by(|a, b| {
                b.score.partial_cmp(&a.score).unwrap().then((a.level, a.index).cmp(&(b.level, b.index)))
            });
            expected.truncate(limit);

            let mut offered = all;
            if shuffled {
                offered.reverse();
            }
            let (left, right) = offered.split_at(cut.clamp(0, offered.len()));
            let collect = |part: &[Candidate]| {
                let mut top = TopK::new(limit);
                for &candidate in part {
                    top.push(candidate);
                }
                top
            };
            prop_assert_eq!(collect(left).merge(collect(right)).into_sorted(), expected);
        }
    }

    #[test]
    fn ties_keep_the_lower_level_then_the_lower_index() {
        let at = |level, index| Candidate { score: 0.5, level, index };
        let mut top = TopK::new(3);
        for candidate in [at(1, 0), at(0, 9), at(1, 7), at(0, 8), at(0, 2)] {
            top.push(candidate);
        }
        assert_eq!(top.into_sorted(), [at(0, 2), at(0, 8), at(0, 9)]);
    }

    #[test]
    fn memory_stays_bounded_by_twice_the_limit() {
        let mut top = TopK::new(10);
        for index in 0..100_000 {
            top.push(Candidate { score: index as f32, level: 0, index });
            assert!(top.best.len() < 20);
        }
        assert_eq!(top.into_sorted()[9].index, 99_990);
    }
}
