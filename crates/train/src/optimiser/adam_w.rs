//! Adam with decoupled weight decay; the [module above](super) has the order of operations.

use serde::{Deserialize, Serialize};

use super::power::power;
use super::range::check_range;
use crate::Result;

/// What a user may set of `torch.optim.AdamW`; the defaults are PyTorch's.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct AdamWConfig {
    /// How much of the mean gradient is kept, 0.5 to below 1.
    pub beta1: f64,
    /// How much of the mean squared gradient is kept, 0.5 to below 1.
    pub beta2: f64,
    /// Added to the denominator.
    pub eps: f64,
}

impl Default for AdamWConfig {
    fn default() -> Self {
        Self { beta1: 0.9, beta2: 0.999, eps: 1e-8 }
    }
}

/// One step's scalars.
#[derive(Debug, Clone, Copy)]
pub(super) struct Scalars {
    shrink: f32,
    first: f32,
    second_kept: f32,
    second: f32,
    negative_rate: f32,
    root: f32,
    eps: f32,
}

impl AdamWConfig {
    pub(super) fn check(&self) -> Result<()> {
        // From a half on, PyTorch's moving mean is the formula here; below, it is another one.
        check_range("beta1", self.beta1, 0.500_001, 0.999_999_9, "0.500001 to 0.9999999")?;
        check_range("beta2", self.beta2, 0.0, 0.999_999_9, "0 to 0.9999999")?;
        check_range("eps", self.eps, 1e-30, 1.0, "1e-30 to 1")
    }

    pub(super) fn scalars(&self, rate: f64, weight_decay: f64, steps: u64) -> Scalars {
        let Self { beta1, beta2, eps } = *self;
        Scalars {
            shrink: (1.0 - rate * weight_decay) as f32,
            first: (1.0 - beta1) as f32,
            second_kept: beta2 as f32,
            second: (1.0 - beta2) as f32,
            negative_rate: (-rate / (1.0 - power(beta1, steps))) as f32,
            root: (1.0 - power(beta2, steps)).sqrt() as f32,
            eps: eps as f32,
        }
    }
}

impl Scalars {
    pub(super) fn step(
        self,
        values: &mut [f32],
        gradient: &[f32],
        first: &mut [f32],
        second: &mut [f32],
    ) {
        let moments = first.iter_mut().zip(second);
        for ((value, gradient), (first, second)) in values.iter_mut().zip(gradient).zip(moments) {
            *first += self.first * (gradient - *first);
            *second = *second * self.second_kept + self.second * gradient * gradient;
            let denominator = second.sqrt() / self.root + self.eps;
            *value = *value * self.shrink + self.negative_rate * *first / denominator;
        }
    }
}
