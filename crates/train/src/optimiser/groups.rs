//! Which tensors get which weight decay and learning rate.

use serde::{Deserialize, Serialize};

use crate::Result;
use crate::parameters::{Parameter, Role};

use super::range::check_range;

/// Weight decay by what a tensor does, and the backbone's share of the learning rate.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct GroupsConfig {
    /// Of the convolutions' weights.
    pub weight_decay: f64,
    /// Of the group norms' weights and biases.
    pub norm_weight_decay: f64,
    /// Of the convolutions' biases.
    pub bias_weight_decay: f64,
    /// What the learning rate is multiplied by for the ResNet's tensors.
    pub backbone_factor: f64,
}

impl Default for GroupsConfig {
    /// 1e-4 on the convolutions' weights alone, one learning rate.
    fn default() -> Self {
        let (weight_decay, backbone_factor) = (1e-4, 1.0);
        Self { weight_decay, norm_weight_decay: 0.0, bias_weight_decay: 0.0, backbone_factor }
    }
}

impl GroupsConfig {
    pub(crate) fn check(&self) -> Result<()> {
        check_range("weight_decay", self.weight_decay, 0.0, 100.0, "0 to 100")?;
        check_range("norm_weight_decay", self.norm_weight_decay, 0.0, 100.0, "0 to 100")?;
        check_range("bias_weight_decay", self.bias_weight_decay, 0.0, 100.0, "0 to 100")?;
        check_range("backbone_factor", self.backbone_factor, 0.0, 1000.0, "0 to 1000")
    }

    pub(super) fn weight_decay(&self, tensor: &Parameter) -> f64 {
        match tensor.role() {
            Role::Matrix => self.weight_decay,
            Role::Norm | Role::BatchNorm => self.norm_weight_decay,
            Role::Bias => self.bias_weight_decay,
        }
    }

    pub(super) fn learning_rate(&self, tensor: &Parameter, rate: f64) -> f64 {
        if tensor.is_backbone() { rate * self.backbone_factor } else { rate }
    }
}
