//! Group normalisation of the heads: configuration and parameters.

use serde::{Deserialize, Serialize};

#[cfg(feature = "candle")]
use super::kept_tensors::KeptTensors;
use super::tensor_source::{TensorSource, TensorsAt};
use super::tensor_spec::TensorSpec;
use crate::Result;
use crate::determinism::Init;
use crate::ops::{Arithmetic, GroupNorm, GroupNormSpec};

/// Group normalisation after each convolution of a head's tower.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GroupNormConfig {
    /// How many groups the channels are divided into.
    pub groups: usize,
    /// Added to the variance.
    pub eps: f32,
}

impl Default for GroupNormConfig {
    /// 32 groups (torchvision's v2 head) and eps 1e-5 (`torch.nn.GroupNorm`).
    fn default() -> Self {
        Self { groups: 32, eps: 1e-5 }
    }
}

/// A group norm as a checkpoint stores it.
pub(crate) struct GroupNormSite {
    /// Its path, relative to the layer that holds it.
    pub(crate) path: String,
    pub(crate) channels: usize,
    pub(crate) config: GroupNormConfig,
}

impl GroupNormSite {
    /// weight and bias, each of shape (channels).
    pub(crate) fn tensors(&self) -> [TensorSpec; 2] {
        let spec = |name: &str, init: f64| {
            let name = format!("{}.{name}", self.path);
            TensorSpec::new(name, &[self.channels], Init::Constant(init))
        };
        [spec("weight", 1.0), spec("bias", 0.0)]
    }

    /// Loads the parameters.
    pub(crate) fn build(
        &self,
        arithmetic: Arithmetic<'_>,
        tensors: &TensorsAt<'_>,
    ) -> Result<GroupNorm> {
        #[cfg(feature = "candle")]
        let kept = KeptTensors::of(tensors);
        #[cfg(feature = "candle")]
        let tensors = &TensorsAt::root(&kept);
        let [weight, bias] = self.tensors();
        let spec = GroupNormSpec {
            channels: self.channels,
            groups: self.config.groups,
            eps: self.config.eps,
        };
        let norm = GroupNorm::new(arithmetic, spec, &weight.load(tensors)?, &bias.load(tensors)?)?;
        #[cfg(feature = "candle")]
        let norm = match (kept.take(&weight), kept.take(&bias)) {
            (Some(weight), Some(bias))
                if arithmetic.is_on_cpu() && (weight.track_op() || bias.track_op()) =>
            {
                norm.of_variables([weight, bias])
            }
            _ => norm,
        };
        Ok(norm.named(&tensors.full_name(&self.path)))
    }
}
