//! Group normalisation, with or without ReLU.

use std::sync::Arc;

use candle_core::{CpuStorage, CustomOp1, Layout, Module, Result, Shape, Tensor};
use retinanet_kernels::Level;
#[cfg(feature = "cudnn")]
use retinanet_kernels::cudnn::CudnnGroupNorm;
#[cfg(feature = "cuda")]
use retinanet_kernels::norm::CudaGroupNorm;
use retinanet_kernels::norm::{GroupNormSpec, group_norm_nchw};

use super::{Arithmetic, OpError, batch};

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
            #[cfg(feature = "cuda")]
            gpu,
            #[cfg(feature = "cudnn")]
            cudnn,
        })
    }

    /// The parameters on the GPU.
    #[cfg(feature = "cuda")]
    pub(crate) fn on_gpu(&self) -> std::result::Result<&CudaGroupNorm, OpError> {
        self.gpu.as_deref().ok_or(OpError::OnCpu { op: NAME })
    }

    /// The parameters on the GPU, for the fast mode's maps.
    #[cfg(feature = "cudnn")]
    pub(crate) fn on_cudnn(&self) -> std::result::Result<&CudnnGroupNorm, OpError> {
        self.cudnn.as_deref().ok_or(OpError::OtherKernels { op: NAME })
    }

    /// The normalisation followed by ReLU.
    ///
    /// # Errors
    /// As [`GroupNorm::forward`](Module::forward).
    pub fn forward_relu(&self, input: &Tensor) -> Result<Tensor> {
        self.apply(input, true)
    }

    fn apply(&self, input: &Tensor, relu: bool) -> Result<Tensor> {
        batch::checked(NAME, "input", input)?.apply_op1(Operation { norm: self.clone(), relu })
    }
}

impl Module for GroupNorm {
    /// # Errors
    /// [`OpError`] when the input is not f32 (N, channels, H, W) on the CPU.
    fn forward(&self, input: &Tensor) -> Result<Tensor> {
        self.apply(input, false)
    }
}

struct Operation {
    norm: GroupNorm,
    relu: bool,
}

impl CustomOp1 for Operation {
    fn name(&self) -> &'static str {
        NAME
    }

    fn cpu_fwd(&self, storage: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let input = batch::Batch::new(NAME, "input", storage, layout)?;
        let [_, channels, h, w] = input.shape;
        let GroupNorm { level, spec, weight, bias, .. } = &self.norm;
        if channels != spec.channels {
            return Err(OpError::Shape {
                op: NAME,
                what: "input",
                shape: input.shape.to_vec(),
                expected: format!("{} channels", spec.channels),
            }
            .into());
        }
        batch::Batch::map_images(NAME, input.shape, |index, output| {
            let input = input.image(index);
            group_norm_nchw(*level, spec, weight, bias, [h, w], self.relu, input, output)
        })
    }
}

#[cfg(test)]
mod tests {
    use candle_core::Device;

    use super::*;

    #[test]
    fn each_group_is_normalised_and_scaled_by_channel() {
        let spec = GroupNormSpec { channels: 2, groups: 1, eps: 0.0 };
        let level = Level::from_env().unwrap();
        let norm = GroupNorm::new(level, spec, &[1.0, 3.0], &[0.0, 1.0]).unwrap();
        let x = Tensor::from_slice(&[1f32, -1.0, 1.0, -1.0], (1, 2, 1, 2), &Device::Cpu).unwrap();
        let y: Vec<f32> = norm.forward(&x).and_then(|y| y.flatten_all()?.to_vec1()).unwrap();
        assert_eq!(y, [1.0, -1.0, 4.0, -2.0]);
        let y: Vec<f32> = norm.forward_relu(&x).and_then(|y| y.flatten_all()?.to_vec1()).unwrap();
        assert_eq!(y, [1.0, 0.0, 4.0, 0.0]);
    }

    #[test]
    fn groups_that_do_not_divide_the_channels_are_refused() {
        let spec = GroupNormSpec { channels: 3, groups: 2, eps: 1e-5 };
        let level = Level::from_env().unwrap();
        let error = GroupNorm::new(level, spec, &[1.0; 3], &[0.0; 3]).unwrap_err();
        assert!(error.to_string().contains("3 channels"), "{error}");
    }
}
