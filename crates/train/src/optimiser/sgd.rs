//! Stochastic gradient descent with momentum; the [module above](super) has the order of operations.

use serde::{Deserialize, Serialize};

use super::range::check_range;
use crate::Result;

/// What a user may set of `torch.optim.SGD`.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SgdConfig {
    /// How much of the last step's direction is kept, 0 to below 1.
    pub momentum: f64,
}

impl Default for SgdConfig {
    /// torchvision's 0.9.
    fn default() -> Self {
        Self { momentum: 0.9 }
    }
}

/// One step's scalars.
#[derive(Debug, Clone, Copy)]
pub(super) struct Scalars {
    weight_decay: f32,
    momentum: f32,
    negative_rate: f32,
    is_first: bool,
}

impl SgdConfig {
    pub(super) fn check(&self) -> Result<()> {
        check_range("momentum", self.momentum, 0.0, 0.999_999, "0 to 0.999999")
    }

    pub(super) fn scalars(&self, rate: f64, weight_decay: f64, steps: u64) -> Scalars {
        Scalars {
            weight_decay: weight_decay as f32,
            momentum: self.momentum as f32,
            negative_rate: -rate as f32,
            is_first: steps == 1,
        }
    }
}

impl Scalars {
    pub(super) fn step(self, values: &mut [f32], gradient: &[f32], momentum: &mut [f32]) {
        for ((value, gradient), buffer) in values.iter_mut().zip(gradient).zip(momentum) {
            let mut direction = *gradient;
            if self.weight_decay != 0.0 {
                direction += self.weight_decay * *value;
            }
            if self.momentum != 0.0 {
                if !self.is_first {
                    direction += self.momentum * *buffer;
                }
                *buffer = direction;
            }
            *value += self.negative_rate * direction;
        }
    }
}
