//! From logits to the candidates above the score threshold.

use super::top_k::{Candidate, TopK};
use crate::error::PostprocessError;

/// Values looked at together before any of them is looked at alone.
const BLOCK: usize = 64;

/// How far apart two of our sigmoids must be, relatively, for their order to be the exact one. Each is
/// within 2^-20 of the exact value (a test checks it), so 2^-16 leaves a factor of 8.
const SIGMOID_MARGIN: f32 = 1.0 / 65_536.0;

/// No logit under this one is ever skipped for its score: below it, scores near the smallest normal
/// f32 lose the relative precision that [`SIGMOID_MARGIN`] rests on.
const LOWEST_BOUND: f32 = -80.0;

/// Reads one level's logits in any order and keeps its best candidates, or its first non-finite value.
///
/// Every logit is checked to be finite, but only those near or above the threshold (or the worst score
/// still in the running) pay for a sigmoid.
#[derive(Debug)]
pub(crate) struct Collector {
    level: usize,
    /// Channels of the level: anchors per location times classes.
    channels: usize,
    threshold: f32,
    /// Finite logits below it cannot be candidates.
    bound: f32,
    best: TopK,
    /// Channel, position and value of the first non-finite logit by (channel, position).
    bad: Option<(usize, usize, f32)>,
}

impl Collector {
    /// `threshold` is compared with scores as torch does with a Python number: rounded to f32, strictly.
    pub(crate) fn new(level: usize, channels: usize, threshold: f64, limit: usize) -> Self {
        let threshold = threshold as f32;
        let bound = logit_bound(threshold);
        Self { level, channels, threshold, bound, best: TopK::new(limit), bad: None }
    }

    /// Reads some logits, within [`with_ieee`](retinanet_kernels::with_ieee); `place` gives the channel and the position (`y * width + x`) of the i-th.
    pub(crate) fn read(&mut self, logits: &[f32], place: impl Fn(usize) -> (usize, usize)) {
        for (start, block) in (0..).step_by(BLOCK).zip(logits.chunks(BLOCK)) {
            if all_finite_below(block, self.bound) {
                continue;
            }
            for (offset, &logit) in block.iter().enumerate() {
                if !all_finite_below(&[logit], self.bound) {
                    let (channel, position) = place(start + offset);
                    self.consider(logit, channel, position);
                }
            }
        }
    }

    #[cold]
    fn note_bad(&mut self, value: f32, channel: usize, position: usize) {
        if self.bad.is_none_or(|(c, p, _)| (channel, position) < (c, p)) {
            self.bad = Some((channel, position, value));
        }
    }

    fn consider(&mut self, logit: f32, channel: usize, position: usize) {
        if !logit.is_finite() {
            return self.note_bad(logit, channel, position);
        }
        let score = retinanet_kernels::sigmoid(logit);
        if score > self.threshold {
            let index = position * self.channels + channel;
            if self.best.push(Candidate { score, level: self.level, index }) {
                let floor = self.best.floor().unwrap_or(self.threshold);
                self.bound = logit_bound(floor);
            }
        }
    }

    /// What both have read.
    pub(crate) fn merge(mut self, other: Self) -> Self {
        if let Some((channel, position, value)) = other.bad {
            self.note_bad(value, channel, position);
        }
        self.best = self.best.merge(other.best);
        self
    }

    /// The best candidates in order, `width` being the level's columns.
    pub(crate) fn finish(self, width: usize) -> Result<Vec<Candidate>, PostprocessError> {
        match self.bad {
            None => Ok(self.best.into_sorted()),
            Some((channel, position, value)) => Err(PostprocessError::NonFinite {
                output: "classification logit",
                level: self.level,
                channel,
                y: position / width,
                x: position % width,
                value,
            }),
        }
    }
}

/// Whether every value is finite and below the bound. NaN is not below anything.
fn all_finite_below(block: &[f32], bound: f32) -> bool {
    block.iter().fold(true, |all, &value| all & (value >= f32::MIN) & (value < bound))
}

/// A logit such that every finite one below it has a sigmoid below `score`.
///
/// With s for our sigmoid and e = 2^-20 for its relative error, x < b gives
/// s(x) <= exact(x) (1 + e) <= exact(b) (1 + e) <= s(b) (1 + e) / (1 - e) < s(b) (1 + 2^-16), so b
/// need only satisfy s(b) (1 + 2^-16) <= score. Bisection finds nearly the greatest such b.
pub(crate) fn logit_bound(score: f32) -> f32 {
    let safe = |logit: f32| retinanet_kernels::sigmoid(logit) * (1.0 + SIGMOID_MARGIN) <= score;
    if !safe(LOWEST_BOUND) {
        return f32::MIN;
    }
    let (mut low, mut high) = (LOWEST_BOUND, 20.0);
    if safe(high) {
        return f32::MAX;
    }
    for _ in 0..24 {
        let middle = 0.5 * (low + high);
        if safe(middle) {
            low = middle;
        } else {
            high = middle;
        }
    }
    low
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 1 / (1 + e^-x) in f64 without std's exp: a Taylor series of e^(x/1024), squared ten times.
    fn exact_sigmoid(logit: f32) -> f64 {
        let x = -f64::from(logit) / 1024.0;
        let mut term = 1.0;
        let mut exp = 1.0;
        for n in 1..20 {
            term *= x / f64::from(n);
            exp += term;
        }
        for _ in 0..10 {
            exp *= exp;
        }
        1.0 / (1.0 + exp)
    }

    #[test]
    fn the_sigmoid_is_within_the_margin_the_bound_rests_on() {
        let steps = 400_000;
        for step in 0..=steps {
            let logit = LOWEST_BOUND + (20.0 - LOWEST_BOUND) * (step as f32 / steps as f32);
            let (ours, exact) =
                (f64::from(retinanet_kernels::sigmoid(logit)), exact_sigmoid(logit));
            let error = (ours / exact - 1.0).abs();
            assert!(
                error < f64::from(SIGMOID_MARGIN) / 16.0,
                "sigmoid({logit}) is {ours}, not {exact}"
            );
        }
    }

    #[test]
    fn no_logit_below_the_bound_has_a_sigmoid_at_the_score() {
        let scores = [-1.0, 0.0, 1e-40, 1e-30, 1e-6, 0.01, 0.05, 0.3, 0.5, 0.9, 0.999_99, 1.0, 1.1];
        for score in scores {
            let bound = logit_bound(score);
            if bound == f32::MIN {
                assert!(score < 1e-30, "nothing is skipped for {score}");
                continue;
            }
            for step in 1..=200_000u32 {
                // Neighbours of the bound first, then ever farther ones.
                let logit = if bound == f32::MAX { 100.0 } else { bound }
                    - step as f32 * step as f32 * 1e-8;
                if logit < bound {
                    assert!(retinanet_kernels::sigmoid(logit) < score, "{logit} for {score}");
                }
            }
        }
    }

    #[test]
    fn the_bound_is_near_the_threshold() {
        // ln(0.05 / 0.95)
        assert!((logit_bound(0.05) + 2.944_439).abs() < 1e-4);
        assert!(logit_bound(0.5).abs() < 1e-4);
        assert_eq!(logit_bound(0.0), f32::MIN);
        assert_eq!(logit_bound(1.1), f32::MAX);
    }

    #[test]
    fn a_block_with_any_value_that_needs_a_look_gets_one() {
        assert!(all_finite_below(&[-3.0; BLOCK], -2.0));
        for value in [-2.0, 0.0, f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
            for place in [0, 17, BLOCK - 1] {
                let mut block = [-3.0; BLOCK];
                block[place] = value;
                assert!(!all_finite_below(&block, -2.0));
            }
        }
    }
}
