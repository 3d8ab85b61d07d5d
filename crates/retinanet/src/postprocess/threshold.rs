//! From logits to the candidates above the score threshold.

use rayon::prelude::*;

use super::error::PostprocessError;
use super::top_k::{Candidate, TopK};

/// Values looked at together before any of them is looked at alone.
const BLOCK: usize = 64;

/// Fewest values worth a task of their own.
const VALUES_PER_TASK: usize = 1 << 16;

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
        Self {
            level,
            channels,
            threshold,
            bound,
            best: TopK::new(limit),
            bad: None,
        }
    }

    /// Reads some logits; `place` gives the channel and the position (`y * width + x`) of the i-th.
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
        if self
            .bad
            .is_none_or(|(c, p, _)| (channel, position) < (c, p))
        {
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
            if self.best.push(Candidate {
                score,
                level: self.level,
                index,
            }) {
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

/// The candidates of one level, best first: scores above `threshold`, at most `limit` of them.
///
/// `logits` has the shape (channels, height, width) and `positions` is height * width. Split over
/// rayon's current pool; the answer does not depend on the split.
pub(crate) fn candidates(
    logits: &[f32],
    [level, channels, positions, width]: [usize; 4],
    threshold: f64,
    limit: usize,
) -> Result<Vec<Candidate>, PostprocessError> {
    if positions == 0 {
        return Ok(Vec::new());
    }
    let new = || Collector::new(level, channels, threshold, limit);
    logits
        .par_chunks(positions)
        .enumerate()
        .with_min_len(VALUES_PER_TASK.div_ceil(positions))
        .fold(new, |mut collector, (channel, plane)| {
            collector.read(plane, |position| (channel, position));
            collector
        })
        .reduce(new, Collector::merge)
        .finish(width)
}

/// Whether every value is finite and below the bound. NaN is not below anything.
fn all_finite_below(block: &[f32], bound: f32) -> bool {
    block.iter().fold(true, |all, &value| {
        all & (value >= f32::MIN) & (value < bound)
    })
}

/// A logit such that every finite one below it has a sigmoid below `score`.
///
/// With s for our sigmoid and e = 2^-20 for its relative error, x < b gives
/// s(x) <= exact(x) (1 + e) <= exact(b) (1 + e) <= s(b) (1 + e) / (1 - e) < s(b) (1 + 2^-16), so b
/// need only satisfy s(b) (1 + 2^-16) <= score. Bisection finds nearly the greatest such b.
fn logit_bound(score: f32) -> f32 {
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
