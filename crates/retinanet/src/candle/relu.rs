//! [`Relu`] on tensors.

use candle_core::{CpuStorage, CustomOp1, Layout, Module, Result, Shape, Tensor};
use retinanet_kernels::{Level, pointwise};

use super::images::{Held, Images, checked, gradient_of_images};
use crate::ops::Relu;

const NAME: &str = "retinanet.relu";

impl Module for Relu {
    /// # Errors
    /// [`OpError`](crate::ops::OpError) when the input is not f32 (N, C, H, W) on the CPU.
    fn forward(&self, input: &Tensor) -> Result<Tensor> {
        checked(NAME, "input", input)?.apply_op1(*self)
    }
}

impl CustomOp1 for Relu {
    fn name(&self) -> &'static str {
        NAME
    }

    fn cpu_fwd(&self, storage: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let input = Images::new(NAME, "input", storage, layout)?;
        Images::map_images(NAME, input.shape, |index, output| {
            pointwise::relu(self.level, input.image(index), output)
        })
    }

    fn bwd(&self, _: &Tensor, output: &Tensor, gradient: &Tensor) -> Result<Option<Tensor>> {
        relu_gradient(NAME, self.level, output, gradient).map(Some)
    }
}

/// The gradient of ReLU's input: +0 where its output is 0; a NaN lets the gradient through.
pub(super) fn relu_gradient(
    op: &'static str,
    level: Level,
    output: &Tensor,
    gradient: &Tensor,
) -> Result<Tensor> {
    let gradient = gradient.contiguous()?;
    let (output, gradient) = (Held::new(output), Held::new(&gradient));
    let (output, gradient) = (output.images(op, "output")?, gradient.images(op, "gradient")?);
    gradient_of_images(op, output.shape, |index, masked| {
        masked.copy_from_slice(gradient.image(index));
        pointwise::relu_backward_in_place(level, output.image(index), masked)
    })
}

#[cfg(test)]
mod tests {
    use candle_core::Device;

    use super::*;
    use crate::ops::Level;

    #[test]
    fn negative_zero_and_nan_go_through() {
        let x = Tensor::from_slice(&[-1f32, -0.0, f32::NAN, 2.0], (1, 1, 1, 4), &Device::Cpu);
        let y: Vec<f32> = Relu::new(Level::from_env().unwrap())
            .forward(&x.unwrap())
            .and_then(|y| y.flatten_all()?.to_vec1())
            .unwrap();
        assert_eq!(y[0].to_bits(), 0f32.to_bits());
        assert_eq!(y[1].to_bits(), (-0f32).to_bits());
        assert!(y[2].is_nan());
        assert_eq!(y[3], 2.0);
    }
}
