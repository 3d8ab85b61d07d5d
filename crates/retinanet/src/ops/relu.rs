//! ReLU where no convolution or normalisation can take it along.

use candle_core::{CpuStorage, CustomOp1, Layout, Result, Shape, Tensor};

use super::batch;

const NAME: &str = "retinanet.relu";

/// relu(x) = if x < 0 { +0 } else { x } of (N, C, H, W), f32: keeps -0 and NaN.
///
/// # Errors
/// [`OpError`](super::OpError) when the input is not f32 (N, C, H, W) on the CPU.
pub fn relu(input: &Tensor) -> Result<Tensor> {
    batch::checked(NAME, "input", input)?.apply_op1(Operation)
}

struct Operation;

impl CustomOp1 for Operation {
    fn name(&self) -> &'static str {
        NAME
    }

    fn cpu_fwd(&self, storage: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let input = batch::Batch::new(NAME, "input", storage, layout)?;
        batch::Batch::map_images(NAME, input.shape, |index, output| {
            for (y, &x) in output.iter_mut().zip(input.image(index)) {
                *y = if x < 0.0 { 0.0 } else { x };
            }
            Ok(())
        })
    }
}

#[cfg(test)]
mod tests {
    use candle_core::Device;

    use super::*;

    #[test]
    fn negative_zero_and_nan_go_through() {
        let x = Tensor::from_slice(&[-1f32, -0.0, f32::NAN, 2.0], (1, 1, 1, 4), &Device::Cpu);
        let y: Vec<f32> = relu(&x.unwrap())
            .and_then(|y| y.flatten_all()?.to_vec1())
            .unwrap();
        assert_eq!(y[0].to_bits(), 0f32.to_bits());
        assert_eq!(y[1].to_bits(), (-0f32).to_bits());
        assert!(y[2].is_nan());
        assert_eq!(y[3], 2.0);
    }
}
