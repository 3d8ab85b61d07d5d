//! [`Relu`] on tensors.

use candle_core::{CpuStorage, CustomOp1, Layout, Module, Result, Shape, Tensor};
use retinanet_kernels::pointwise;

use super::images::{Images, checked};
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
