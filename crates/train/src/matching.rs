//! Which anchor should find which object: `torchvision.models.detection._utils.Matcher` on intersections over union.

use rayon::prelude::*;
use retinanet_kernels::with_ieee;

use crate::overlap::{area, iou};
use crate::{Error, Result};

/// Anchors that one task handles.
const PIECE: usize = 4096;
/// Beyond this, f32 no longer counts single pixels, and areas may overflow.
const MAX_PIXELS: f32 = 16_777_216.0;

/// What an anchor should find.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Match {
    /// Nothing: the anchor's best intersection over union is below the low threshold.
    Background,
    /// The object with this index.
    Object(usize),
    /// Neither: it takes no part in any loss.
    Ignored,
}

/// Where the lines are drawn.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct MatcherConfig {
    /// From this intersection over union on, an anchor belongs to its best object. 0.5 in torchvision's RetinaNet.
    pub high: f32,
    /// Below this, it is background. 0.4 in torchvision's RetinaNet.
    pub low: f32,
    /// Whether an object's best anchors are matched even below `high`. True in torchvision's RetinaNet.
    pub allow_low_quality: bool,
}

impl Default for MatcherConfig {
    /// torchvision's RetinaNet.
    fn default() -> Self {
        Self { high: 0.5, low: 0.4, allow_low_quality: true }
    }
}

impl MatcherConfig {
    /// Matches every anchor. Boxes are x1, y1, x2, y2 in pixels of the input.
    ///
    /// 1. An anchor's best object is the one of largest intersection over union, computed in f32 as torchvision
    ///    does; of equal ones the first.
    /// 2. Below `low` it is [`Match::Background`], from there to below `high` [`Match::Ignored`], else its
    ///    best object's.
    /// 3. With `allow_low_quality`, each anchor that is some object's best (all of them, where several are equal)
    ///    gets *its own* best object, which may be another one. An object that overlaps no anchor has the best
    ///    intersection 0, with every anchor that it does not touch: torchvision then matches all of those, and so
    ///    does this.
    ///
    /// Without objects, all is background.
    ///
    /// # Errors
    /// [`Error::ObjectBox`] and [`Error::Anchor`] for a box without width or height, or with a coordinate that is not
    /// finite or beyond 2^24; [`Error::Setting`] for thresholds that are not 0 <= low <= high <= 1.
    ///
    /// ```
    /// use retinanet_train::matching::{Match, MatcherConfig};
    /// let anchors = [[0.0, 0.0, 8.0, 8.0], [0.0, 0.0, 6.0, 5.0], [40.0, 40.0, 48.0, 48.0]];
    /// let matches = MatcherConfig::default().matches(&anchors, &[[0.0, 0.0, 8.0, 9.0]])?;
    /// assert_eq!(matches, [Match::Object(0), Match::Ignored, Match::Background]);
    /// # Ok::<(), retinanet_train::Error>(())
    /// ```
    pub fn matches(&self, anchors: &[[f32; 4]], objects: &[[f32; 4]]) -> Result<Vec<Match>> {
        self.check()?;
        if let Some((index, reason)) = first_bad(objects) {
            return Err(Error::ObjectBox { index, corners: objects[index], reason });
        }
        if let Some((index, reason)) = first_bad(anchors) {
            return Err(Error::Anchor { index, corners: anchors[index], reason });
        }
        if objects.is_empty() {
            return Ok(vec![Match::Background; anchors.len()]);
        }

        let areas: Vec<f32> = with_ieee(|| objects.iter().map(|object| area(*object)).collect());
        let overlaps = |anchor: [f32; 4]| {
            let anchor_area = area(anchor);
            let pairs = objects.iter().zip(&areas);
            pairs.map(move |(object, area)| iou(*object, *area, anchor, anchor_area))
        };

        // The largest of numbers does not depend on the order in which they are compared.
        let best_of_object = anchors
            .par_chunks(PIECE)
            .map(|anchors| {
                with_ieee(|| {
                    let mut best = vec![0.0; objects.len()];
                    for anchor in anchors {
                        keep_largest(&mut best, overlaps(*anchor));
                    }
                    best
                })
            })
            .reduce(
                || vec![0.0; objects.len()],
                |mut best, other| {
                    keep_largest(&mut best, other.into_iter());
                    best
                },
            );

        let mut matches = vec![Match::Background; anchors.len()];
        matches.par_chunks_mut(PIECE).zip(anchors.par_chunks(PIECE)).for_each(
            |(matches, anchors)| {
                with_ieee(|| {
                    for (one, anchor) in matches.iter_mut().zip(anchors) {
                        *one = self.one(overlaps(*anchor), &best_of_object);
                    }
                });
            },
        );
        Ok(matches)
    }

    /// The match of one anchor, from its overlap with each object and each object's largest.
    fn one(&self, overlaps: impl Iterator<Item = f32>, best_of_object: &[f32]) -> Match {
        let (mut best, mut index, mut low_quality) = (-1.0, 0, false);
        for (i, (overlap, best_of_object)) in overlaps.zip(best_of_object).enumerate() {
            if overlap > best {
                (best, index) = (overlap, i);
            }
            low_quality |= overlap == *best_of_object;
        }
        if best >= self.high || (self.allow_low_quality && low_quality) {
            Match::Object(index)
        } else if best < self.low {
            Match::Background
        } else {
            Match::Ignored
        }
    }

    fn check(&self) -> Result<()> {
        let refuse = |setting, value: f32, expected| {
            Err(Error::Setting { setting, value: value.to_string(), expected })
        };
        if !(0.0..=1.0).contains(&self.high) {
            return refuse("high", self.high, "0 to 1");
        }
        if !(0.0..=self.high).contains(&self.low) {
            return refuse("low", self.low, "0 up to `high`");
        }
        Ok(())
    }
}

fn keep_largest(best: &mut [f32], others: impl Iterator<Item = f32>) {
    for (best, other) in best.iter_mut().zip(others) {
        if other > *best {
            *best = other;
        }
    }
}

/// The first box that cannot be matched, and why.
fn first_bad(boxes: &[[f32; 4]]) -> Option<(usize, &'static str)> {
    boxes.iter().enumerate().find_map(|(index, corners)| {
        let [x1, y1, x2, y2] = *corners;
        if !corners.iter().all(|corner| corner.abs() <= MAX_PIXELS) {
            return Some((index, "a coordinate is not finite, or beyond 2^24"));
        }
        if x1 >= x2 || y1 >= y2 {
            return Some((index, "it has no width or no height"));
        }
        // The product of two tiny sides may be 0, and an overlap then 0 / 0.
        let area = with_ieee(|| area(*corners));
        (area < f32::MIN_POSITIVE).then_some((index, "its area is too small for f32"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const MATCHER: MatcherConfig = MatcherConfig { high: 0.5, low: 0.4, allow_low_quality: true };

    #[test]
    fn a_tie_between_objects_keeps_the_lower_index() {
        let one = [0.0, 0.0, 10.0, 10.0];
        assert_eq!(MATCHER.matches(&[one], &[one, one]).unwrap(), [Match::Object(0)]);
    }

    #[test]
    fn an_objects_best_anchor_gets_its_own_best_object() {
        // Object 1's best anchor is the first, whose best object is 0.
        let anchors = [[0.0, 0.0, 10.0, 10.0], [100.0, 0.0, 110.0, 10.0]];
        let objects = [[0.0, 0.0, 10.0, 9.0], [5.0, 0.0, 25.0, 10.0]];
        let matches = MATCHER.matches(&anchors, &objects).unwrap();
        assert_eq!(matches, [Match::Object(0), Match::Background]);
    }

    #[test]
    fn all_equal_best_anchors_of_an_object_are_matched() {
        let anchors = [[0.0, 0.0, 4.0, 4.0], [4.0, 0.0, 8.0, 4.0], [0.0, 8.0, 4.0, 12.0]];
        let objects = [[2.0, 0.0, 6.0, 4.0]];
        let matches = MATCHER.matches(&anchors, &objects).unwrap();
        assert_eq!(matches, [Match::Object(0), Match::Object(0), Match::Background]);
        let strict = MatcherConfig { allow_low_quality: false, ..MATCHER };
        assert_eq!(strict.matches(&anchors, &objects).unwrap(), [Match::Background; 3]);
    }

    #[test]
    fn an_object_that_touches_no_anchor_matches_all_anchors_as_in_torchvision() {
        let anchors = [[0.0, 0.0, 4.0, 4.0], [4.0, 0.0, 8.0, 4.0]];
        let matches = MATCHER.matches(&anchors, &[[90.0, 90.0, 95.0, 99.0]]).unwrap();
        assert_eq!(matches, [Match::Object(0); 2]);
    }

    #[test]
    fn what_cannot_be_matched_is_an_error() {
        let good = [0.0, 0.0, 4.0, 4.0];
        for bad in [
            [0.0, 0.0, 0.0, 4.0],
            [0.0, 5.0, 4.0, 4.0],
            [f32::NAN, 0.0, 4.0, 4.0],
            [0.0, 0.0, f32::INFINITY, 4.0],
            [0.0, 0.0, 1e9, 4.0],
            [0.0, 0.0, 1e-30, 1e-30],
        ] {
            let error = MATCHER.matches(&[good], &[good, bad]).unwrap_err().to_string();
            assert!(error.contains("object 1 has the box"), "{error}");
            let error = MATCHER.matches(&[bad], &[good]).unwrap_err().to_string();
            assert!(error.contains("anchor 0 is"), "{error}");
        }
        for (high, low, setting) in
            [(1.5, 0.4, "`high`"), (f32::NAN, 0.4, "`high`"), (0.5, 0.6, "`low`")]
        {
            let matcher = MatcherConfig { high, low, ..MATCHER };
            let error = matcher.matches(&[good], &[good]).unwrap_err().to_string();
            assert!(error.contains(setting), "{error}");
        }
        assert_eq!(MATCHER.matches(&[good], &[]).unwrap(), [Match::Background]);
        assert_eq!(MATCHER.matches(&[], &[good]).unwrap(), []);
    }
}
