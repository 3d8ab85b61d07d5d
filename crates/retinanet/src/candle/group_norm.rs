//! [`GroupNorm`] on tensors.

use candle_core::{CpuStorage, CustomOp1, Layout, Module, Result, Shape, Tensor};
use retinanet_kernels::norm::group_norm_nchw;

use super::images::{Images, checked};
use crate::ops::{GroupNorm, OpError};

const NAME: &str = "retinanet.group_norm";

impl GroupNorm {
    /// The normalisation followed by ReLU.
    ///
    /// # Errors
    /// As [`GroupNorm::forward`](Module::forward).
    pub fn forward_relu(&self, input: &Tensor) -> Result<Tensor> {
        self.apply(input, true)
    }

    fn apply(&self, input: &Tensor, relu: bool) -> Result<Tensor> {
        checked(NAME, "input", input)?.apply_op1(Operation { norm: self.clone(), relu })
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
        let input = Images::new(NAME, "input", storage, layout)?;
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
        Images::map_images(NAME, input.shape, |index, output| {
            let input = input.image(index);
            group_norm_nchw(*level, spec, weight, bias, [h, w], self.relu, input, output)
        })
    }
}

#[cfg(test)]
mod tests {
    use candle_core::Device;

    use super::*;
    use crate::ops::{GroupNormSpec, Level};

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
}
