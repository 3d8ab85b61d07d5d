//! What a user may set.

use serde::{Deserialize, Serialize};

use crate::error::PostprocessError;

/// Which boxes are kept. The defaults are torchvision's `RetinaNet` arguments of the same names.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct PostprocessConfig {
    /// A score must be greater than this, as an f32, for its box to be considered.
    pub score_thresh: f64,
    /// Of two boxes of one class whose intersection over union is greater than this, only the better stays.
    pub nms_thresh: f64,
    /// At most this many boxes are answered per image, the best by score.
    pub detections_per_img: usize,
    /// At most this many boxes of each feature level enter NMS, whose time may grow with the square.
    pub topk_candidates: usize,
    /// What the network's dx, dy, dw, dh are divided by (torchvision's `BoxCoder` weights).
    pub box_coder_weights: [f32; 4],
}

impl Default for PostprocessConfig {
    fn default() -> Self {
        Self {
            score_thresh: 0.05,
            nms_thresh: 0.5,
            detections_per_img: 300,
            topk_candidates: 1000,
            box_coder_weights: [1.0; 4],
        }
    }
}

impl PostprocessConfig {
    /// Checks that every setting can be used.
    ///
    /// # Errors
    /// [`PostprocessError::Config`] naming the setting.
    pub fn check(&self) -> Result<(), PostprocessError> {
        let thresholds = [("score_thresh", self.score_thresh), ("nms_thresh", self.nms_thresh)];
        for (name, value) in thresholds {
            if !value.is_finite() {
                let needs = "it must be a number, usually between 0 and 1";
                return Err(PostprocessError::Config { name, value: value.to_string(), needs });
            }
        }
        if self.box_coder_weights.iter().any(|&weight| !(weight.is_finite() && weight > 0.0)) {
            return Err(PostprocessError::Config {
                name: "box_coder_weights",
                value: format!("{:?}", self.box_coder_weights),
                needs: "all four must be greater than 0",
            });
        }
        Ok(())
    }
}
