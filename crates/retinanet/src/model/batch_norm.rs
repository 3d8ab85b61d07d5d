//! Batch normalisation at inference, folded into the convolution before it.

use serde::{Deserialize, Serialize};

use super::ModelError;
use super::tensor_source::{TensorSource, TensorsAt};
use super::tensor_spec::TensorSpec;
use crate::Result;
use crate::determinism::Init;

/// Which batch norm the backbone was built with.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BatchNormConfig {
    /// Whether it is torchvision's `FrozenBatchNorm2d` (all four tensors are buffers) or
    /// `torch.nn.BatchNorm2d` (weight and bias are parameters). At inference the two compute the
    /// same; a plain one may bring `num_batches_tracked` along.
    pub frozen: bool,
    /// Added to the variance. It is in no weights file.
    pub eps: f64,
}

impl BatchNormConfig {
    /// `torch.nn.BatchNorm2d` with its default eps of 1e-5, as in v2.
    pub const PLAIN: Self = Self { frozen: false, eps: 1e-5 };

    /// `FrozenBatchNorm2d` with eps overwritten to 0, as torchvision does for v1's COCO weights.
    pub const FROZEN_EPS_0: Self = Self { frozen: true, eps: 0.0 };
}

impl Default for BatchNormConfig {
    /// [`BatchNormConfig::PLAIN`]: torchvision's ResNet default.
    fn default() -> Self {
        Self::PLAIN
    }
}

/// A batch norm as a checkpoint stores it.
pub(crate) struct BatchNormSite {
    /// Its path, relative to the layer that holds it.
    pub(crate) path: String,
    pub(crate) channels: usize,
    pub(crate) config: BatchNormConfig,
}

impl BatchNormSite {
    /// weight, bias, running_mean, running_var: each of shape (channels).
    pub(crate) fn tensors(&self) -> [TensorSpec; 4] {
        let spec = |name: &str, init: f64, is_parameter: bool| {
            let name = format!("{}.{name}", self.path);
            TensorSpec {
                is_parameter,
                ..TensorSpec::new(name, &[self.channels], Init::Constant(init))
            }
        };
        [
            spec("weight", 1.0, !self.config.frozen),
            spec("bias", 0.0, !self.config.frozen),
            spec("running_mean", 0.0, false),
            spec("running_var", 1.0, false),
        ]
    }

    /// What each channel is multiplied by: weight / sqrt(running_var + eps), in f64.
    ///
    /// # Errors
    /// [`ModelError`] when a tensor is missing, mis-shaped or not finite, or when running_var + eps is
    /// not positive.
    #[cfg(feature = "training")]
    pub(crate) fn scales(&self, tensors: &TensorsAt<'_>) -> Result<Vec<f64>> {
        let [weight, _, _, variance] = self.tensors();
        let (weight, variance) = (weight.load(tensors)?, variance.load(tensors)?);
        let eps = self.config.eps;
        let values =
            BatchNormValues { weight: &weight, bias: &[], mean: &[], variance: &variance, eps };
        let scales = (0..self.channels).map(|channel| {
            values.scale(channel).map_err(|reason| self.refuse(tensors, channel, reason))
        });
        Ok(scales.collect::<Result<_, _>>()?)
    }

    fn refuse(&self, tensors: &TensorsAt<'_>, channel: usize, reason: String) -> ModelError {
        let (name, eps) = (tensors.full_name(&self.path), self.config.eps);
        ModelError::BatchNorm { name, channel, reason, eps }
    }

    /// Scales the convolution's `weight` (channels first) in place and returns its bias, as
    /// [`BatchNormValues::fold`] does it.
    ///
    /// # Errors
    /// [`ModelError`] when a tensor is missing, mis-shaped or not finite, when running_var + eps is
    /// not positive, or when a folded value is not finite in f32.
    pub(crate) fn fold(
        &self,
        tensors: &TensorsAt<'_>,
        conv_weight: &mut [f32],
    ) -> Result<Vec<f32>> {
        let [weight, bias, mean, variance] = self.tensors();
        let (weight, variance) = (weight.load(tensors)?, variance.load(tensors)?);
        let (bias, mean) = (bias.load(tensors)?, mean.load(tensors)?);
        let values = BatchNormValues {
            weight: &weight,
            bias: &bias,
            mean: &mean,
            variance: &variance,
            eps: self.config.eps,
        };
        let refuse = |(channel, reason)| self.refuse(tensors, channel, reason);
        Ok(values.fold(conv_weight).map_err(refuse)?)
    }
}

/// The values of a batch norm, one a channel.
pub(crate) struct BatchNormValues<'a> {
    pub(crate) weight: &'a [f32],
    pub(crate) bias: &'a [f32],
    pub(crate) mean: &'a [f32],
    pub(crate) variance: &'a [f32],
    pub(crate) eps: f64,
}

impl BatchNormValues<'_> {
    /// sqrt(running_var + eps), in f64.
    ///
    /// # Errors
    /// Why not, where running_var + eps is not positive.
    pub(crate) fn deviation(&self, channel: usize) -> Result<f64, String> {
        let spread = f64::from(self.variance[channel]) + self.eps;
        if !(spread > 0.0 && spread.is_finite()) {
            return Err(format!("running_var + eps is {spread}, which must be above 0"));
        }
        Ok(spread.sqrt())
    }

    /// What the channel is multiplied by: weight / sqrt(running_var + eps), in f64.
    ///
    /// # Errors
    /// As [`BatchNormValues::deviation`].
    pub(crate) fn scale(&self, channel: usize) -> Result<f64, String> {
        Ok(f64::from(self.weight[channel]) / self.deviation(channel)?)
    }

    /// Scales the convolution's `weight` (channels first) in place and returns its bias.
    ///
    /// In f64, rounded once: scale = weight / sqrt(running_var + eps), w' = w * scale,
    /// b' = bias - running_mean * scale.
    ///
    /// # Errors
    /// The first channel whose running_var + eps is not positive or of which a folded value is not finite in
    /// f32, and why.
    pub(crate) fn fold(&self, conv_weight: &mut [f32]) -> Result<Vec<f32>, (usize, String)> {
        let per_channel = conv_weight.len() / self.weight.len();
        let mut folded_bias = Vec::with_capacity(self.weight.len());
        for (channel, taps) in conv_weight.chunks_exact_mut(per_channel).enumerate() {
            let scale = self.scale(channel).map_err(|reason| (channel, reason))?;
            for tap in &mut *taps {
                *tap = (f64::from(*tap) * scale) as f32;
            }
            let (bias, mean) = (f64::from(self.bias[channel]), f64::from(self.mean[channel]));
            let shift = (bias - mean * scale) as f32;
            if !shift.is_finite() || taps.iter().any(|tap| !tap.is_finite()) {
                let reason = format!("a folded weight leaves f32's range (scale {scale})");
                return Err((channel, reason));
            }
            folded_bias.push(shift);
        }
        Ok(folded_bias)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::tensor_source::Named;

    fn fold(variance: f32, eps: f64, conv_weight: &mut [f32]) -> Result<Vec<f32>> {
        let tensors = Named::new([
            ("body.bn1.weight", vec![0.3]),
            ("body.bn1.bias", vec![0.7]),
            ("body.bn1.running_mean", vec![-0.2]),
            ("body.bn1.running_var", vec![variance]),
        ]);
        let site = BatchNormSite {
            path: "bn1".to_owned(),
            channels: 1,
            config: BatchNormConfig { frozen: true, eps },
        };
        site.fold(&TensorsAt::root(&tensors).at("body"), conv_weight)
    }

    #[test]
    fn folding_rounds_once_from_f64() {
        let mut weight = [0.1f32, -1.7];
        let bias = fold(0.37, 1e-5, &mut weight).unwrap();
        let scale = f64::from(0.3f32) / (f64::from(0.37f32) + 1e-5).sqrt();
        assert_eq!(weight[0], (f64::from(0.1f32) * scale) as f32);
        assert_eq!(weight[1], (f64::from(-1.7f32) * scale) as f32);
        let expected = f64::from(0.7f32) - f64::from(-0.2f32) * scale;
        assert_eq!(bias, [expected as f32]);
    }

    #[test]
    fn a_variance_of_zero_without_eps_names_the_layer() {
        let error = fold(0.0, 0.0, &mut [1.0]).unwrap_err().to_string();
        assert!(error.contains("\"body.bn1\", channel 0"), "{error}");
        assert!(error.contains("eps (0)"), "{error}");
        assert!(fold(-1.0, 1e-5, &mut [1.0]).is_err());
    }

    #[test]
    fn a_folded_weight_beyond_f32_is_refused() {
        let error = fold(1e-30, 0.0, &mut [1e38]).unwrap_err().to_string();
        assert!(error.contains("f32's range"), "{error}");
    }
}
