//! Group normalisation, with or without ReLU.

use std::sync::Arc;

use retinanet_kernels::Level;
#[cfg(feature = "cudnn")]
use retinanet_kernels::cudnn::CudnnGroupNorm;
#[cfg(feature = "cuda")]
use retinanet_kernels::norm::CudaGroupNorm;
use retinanet_kernels::norm::GroupNormSpec;

use super::Arithmetic;
#[cfg(feature = "cuda")]
use super::OpError;

#[cfg(feature = "cuda")]
const NAME: &str = "retinanet.group_norm";

/// Group normalisation (Wu & He, 2018) of (N, C, H, W), f32: each group of C / groups channels of
/// each image gets mean 0 and variance 1, then a scale and a shift per channel.
///
/// Cloning shares the parameters.
#[derive(Debug, Clone)]
pub struct GroupNorm {
    pub(crate) level: Level,
    pub(crate) spec: GroupNormSpec,
    /// Scale per channel.
    pub(crate) weight: Arc<[f32]>,
    /// Shift per channel.
    pub(crate) bias: Arc<[f32]>,
    /// Its path in the network, empty outside one.
    name: Arc<str>,
    /// Weight and bias where they may change; those above are then what they were at construction.
    #[cfg(feature = "candle")]
    variables: Option<[candle_core::Tensor; 2]>,
    #[cfg(feature = "cuda")]
    gpu: Option<Arc<CudaGroupNorm>>,
    #[cfg(feature = "cudnn")]
    cudnn: Option<Arc<CudnnGroupNorm>>,
}

impl GroupNorm {
    /// A normalisation with one `weight` and one `bias` a channel.
    ///
    /// # Errors
    /// [`Error::Kernel`](crate::Error::Kernel) when a length is not `spec.channels` or the channels
    /// do not divide into the groups.
    pub fn new<'a>(
        arithmetic: impl Into<Arithmetic<'a>>,
        spec: GroupNormSpec,
        weight: &[f32],
        bias: &[f32],
    ) -> crate::Result<Self> {
        for (what, values) in [("group norm weight", weight), ("group norm bias", bias)] {
            if values.len() != spec.channels {
                return Err(retinanet_kernels::Error::Length {
                    what,
                    expected: spec.channels,
                    actual: values.len(),
                }
                .into());
            }
        }
        if spec.groups == 0 || !spec.channels.is_multiple_of(spec.groups) {
            return Err(retinanet_kernels::Error::Shape {
                what: "group norm",
                reason: format!(
                    "{} channels do not divide into {} groups",
                    spec.channels, spec.groups
                ),
            }
            .into());
        }
        let arithmetic = arithmetic.into();
        #[cfg(feature = "cuda")]
        let gpu = match arithmetic.gpu {
            Some(gpu) => Some(Arc::new(CudaGroupNorm::new(gpu, spec, weight, bias)?)),
            None => None,
        };
        #[cfg(feature = "cudnn")]
        let cudnn = match arithmetic.cudnn {
            Some(on) => Some(Arc::new(CudnnGroupNorm::new(on, spec, weight, bias)?)),
            None => None,
        };
        Ok(Self {
            level: arithmetic.level,
            spec,
            weight: weight.into(),
            bias: bias.into(),
            name: "".into(),
            #[cfg(feature = "candle")]
            variables: None,
            #[cfg(feature = "cuda")]
            gpu,
            #[cfg(feature = "cudnn")]
            cudnn,
        })
    }

    /// The same, with its path in the network.
    pub(crate) fn named(self, name: &str) -> Self {
        Self { name: name.into(), ..self }
    }

    /// Its path in the network, empty for one that is not part of a network.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The same, with the weight and the bias that may change.
    #[cfg(feature = "candle")]
    pub(crate) fn of_variables(self, variables: [candle_core::Tensor; 2]) -> Self {
        Self { variables: Some(variables), ..self }
    }

    /// Weight and bias where they may change.
    #[cfg(feature = "candle")]
    pub(crate) fn variables(&self) -> Option<&[candle_core::Tensor; 2]> {
        self.variables.as_ref()
    }

    /// The same with the values that weight and bias have now.
    #[cfg(feature = "candle")]
    pub(crate) fn with_values(&self, weight: &[f32], bias: &[f32]) -> Self {
        Self { weight: weight.into(), bias: bias.into(), variables: None, ..self.clone() }
    }

    /// The parameters on the GPU.
    #[cfg(feature = "cuda")]
    pub(crate) fn on_gpu(&self) -> Result<&CudaGroupNorm, OpError> {
        self.gpu.as_deref().ok_or(OpError::OnCpu { op: NAME })
    }

    /// The parameters on the GPU, for the fast mode's maps.
    #[cfg(feature = "cudnn")]
    pub(crate) fn on_cudnn(&self) -> Result<&CudnnGroupNorm, OpError> {
        self.cudnn.as_deref().ok_or(OpError::OtherKernels { op: NAME })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_that_do_not_divide_the_channels_are_refused() {
        let spec = GroupNormSpec { channels: 3, groups: 2, eps: 1e-5 };
        let level = Level::from_env().unwrap();
        let error = GroupNorm::new(level, spec, &[1.0; 3], &[0.0; 3]).unwrap_err();
        assert!(error.to_string().contains("3 channels"), "{error}");
    }
}
