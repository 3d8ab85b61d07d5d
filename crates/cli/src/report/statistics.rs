//! Counts over all images of a report.

use std::collections::BTreeMap;

use retinanet::data::ListDigest;

use super::answer::{Answer, Outcome};

/// How many equal parts of the scores from 0 to 1 are counted.
pub const BINS: usize = 20;

/// Counts of everything, and the digest of all answers.
#[derive(Debug, Clone)]
pub struct Statistics {
    pub images: usize,
    pub failed: usize,
    pub empty: usize,
    pub detections: usize,
    pub scores: [usize; BINS],
    /// By label, in byte order.
    pub classes: BTreeMap<String, ClassCount>,
    digest: ListDigest,
}

/// Counts of a label.
#[derive(Debug, Clone, Default)]
pub struct ClassCount {
    pub images: usize,
    pub detections: usize,
    pub scores: [usize; BINS],
}

impl Statistics {
    /// Of no image yet.
    pub fn new() -> Self {
        Self {
            images: 0,
            failed: 0,
            empty: 0,
            detections: 0,
            scores: [0; BINS],
            classes: BTreeMap::new(),
            digest: ListDigest::new(),
        }
    }

    /// Adds an image.
    pub fn add(&mut self, answer: &Answer) {
        self.images += 1;
        let found = match &answer.outcome {
            Outcome::Failed(_) => {
                self.failed += 1;
                self.digest.push(&format!("{} failed", answer.name));
                return;
            }
            Outcome::Found(found) => found,
        };
        self.digest.push(&format!("{} {}", answer.name, found.digest));
        self.empty += usize::from(found.detections.is_empty());
        self.detections += found.detections.len();
        let mut seen: Vec<&str> = Vec::new();
        for one in &found.detections {
            let bin = bin(one.score);
            self.scores[bin] += 1;
            let class = self.classes.entry(one.label.clone()).or_default();
            class.detections += 1;
            class.scores[bin] += 1;
            if !seen.contains(&one.label.as_str()) {
                seen.push(&one.label);
                class.images += 1;
            }
        }
    }

    /// Over the names and the digests of all images in their order.
    pub fn digest(&self) -> String {
        self.digest.clone().finish().to_string()
    }

    /// Labels with their counts, the most frequent first.
    pub fn by_count(&self) -> Vec<(&str, &ClassCount)> {
        let mut classes: Vec<(&str, &ClassCount)> =
            self.classes.iter().map(|(label, count)| (label.as_str(), count)).collect();
        classes.sort_by_key(|(_, count)| std::cmp::Reverse(count.detections));
        classes
    }
}

/// The part of the scores that one is in; the last includes 1.
fn bin(score: f32) -> usize {
    // A float to integer cast cuts toward zero and holds what is outside within the type.
    ((score * BINS as f32) as usize).min(BINS - 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scores_are_counted_from_their_lower_edge() {
        let bins = [0.0, 0.049, 0.05, 0.5, 0.999, 1.0, 7.0, -1.0].map(bin);
        assert_eq!(bins, [0, 0, 1, 10, 19, 19, 19, 0]);
    }
}
