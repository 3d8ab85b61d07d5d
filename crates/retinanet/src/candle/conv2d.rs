//! [`Conv2d`] on tensors.

use std::sync::Arc;

use candle_core::{CpuStorage, CustomOp1, CustomOp2, Layout, Module, Result, Shape, Tensor};
use retinanet_kernels::conv2d::Conv2d as Kernel;

use super::images::{Images, checked};
use crate::ops::{Conv2d, OpError};

const NAME: &str = "retinanet.conv2d";

impl Conv2d {
    /// The convolution followed by ReLU, where relu(x) = if x < 0 { +0 } else { x }.
    ///
    /// # Errors
    /// As [`Conv2d::forward`](Module::forward).
    pub fn forward_relu(&self, input: &Tensor) -> Result<Tensor> {
        self.apply(input, true)
    }

    /// The convolution, plus `residual` (the output's shape), followed by ReLU.
    ///
    /// # Errors
    /// As [`Conv2d::forward`](Module::forward), and [`OpError`] when the residual's shape is not
    /// the output's.
    pub fn forward_add_relu(&self, input: &Tensor, residual: &Tensor) -> Result<Tensor> {
        let input = checked(NAME, "input", input)?;
        let residual = checked(NAME, "residual", residual)?;
        input.apply_op2(&residual, self.operation(true)?)
    }

    fn apply(&self, input: &Tensor, relu: bool) -> Result<Tensor> {
        checked(NAME, "input", input)?.apply_op1(self.operation(relu)?)
    }

    fn operation(&self, relu: bool) -> Result<Operation> {
        Ok(Operation { kernel: Arc::clone(self.on_cpu()?), relu })
    }
}

impl Module for Conv2d {
    /// The convolution and its bias.
    ///
    /// # Errors
    /// [`OpError`] when the input is not f32 (N, in_channels, H, W) on the CPU; a kernel error when
    /// it is smaller than the kernel.
    fn forward(&self, input: &Tensor) -> Result<Tensor> {
        self.apply(input, false)
    }
}

struct Operation {
    kernel: Arc<Kernel>,
    relu: bool,
}

impl Operation {
    fn run(
        &self,
        input: &Images<'_>,
        residual: Option<&Images<'_>>,
    ) -> Result<(CpuStorage, Shape)> {
        let [n, channels, h, w] = input.shape;
        let spec = self.kernel.spec();
        if channels != spec.in_channels {
            return Err(OpError::Shape {
                op: NAME,
                what: "input",
                shape: input.shape.to_vec(),
                expected: format!("{} channels", spec.in_channels),
            }
            .into());
        }
        let [out_h, out_w] = self.kernel.output_size([h, w]).map_err(candle_core::Error::wrap)?;
        let shape = [n, spec.out_channels, out_h, out_w];
        if let Some(residual) = residual.filter(|residual| residual.shape != shape) {
            return Err(OpError::Shape {
                op: NAME,
                what: "residual",
                shape: residual.shape.to_vec(),
                expected: format!("the output's shape {shape:?}"),
            }
            .into());
        }
        Images::map_images(NAME, shape, |index, output| {
            let residual = residual.map(|residual| residual.image(index));
            let input = input.image(index);
            self.kernel.forward_nchw(input, [h, w], residual, self.relu, output)
        })
    }
}

impl CustomOp1 for Operation {
    fn name(&self) -> &'static str {
        NAME
    }

    fn cpu_fwd(&self, storage: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let input = Images::new(NAME, "input", storage, layout)?;
        self.run(&input, None)
    }
}

impl CustomOp2 for Operation {
    fn name(&self) -> &'static str {
        NAME
    }

    fn cpu_fwd(
        &self,
        storage: &CpuStorage,
        layout: &Layout,
        residual_storage: &CpuStorage,
        residual_layout: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let input = Images::new(NAME, "input", storage, layout)?;
        let residual = Images::new(NAME, "residual", residual_storage, residual_layout)?;
        self.run(&input, Some(&residual))
    }
}

#[cfg(test)]
mod tests {
    use candle_core::{DType, Device};

    use super::*;
    use crate::ops::{Conv2dSpec, Level};

    /// 2 -> 1 channels, 1x1, weights 2 and -1, bias 1.
    fn conv() -> Conv2d {
        let spec = Conv2dSpec {
            in_channels: 2,
            out_channels: 1,
            kernel: [1, 1],
            stride: [1, 1],
            padding: [0, 0],
        };
        let level = Level::from_env().unwrap();
        Conv2d::new(level, spec, &[2.0, -1.0], Some(&[1.0])).unwrap()
    }

    fn tensor(values: &[f32], shape: (usize, usize, usize, usize)) -> Tensor {
        Tensor::from_slice(values, shape, &Device::Cpu).unwrap()
    }

    fn values(tensor: &Tensor) -> Vec<f32> {
        tensor.flatten_all().unwrap().to_vec1().unwrap()
    }

    #[test]
    fn bias_residual_and_relu_follow_in_this_order() {
        let x = tensor(&[1.0, 2.0, 3.0, 7.0], (1, 2, 1, 2));
        assert_eq!(values(&conv().forward(&x).unwrap()), [0.0, -2.0]);
        assert_eq!(values(&conv().forward_relu(&x).unwrap()), [0.0, 0.0]);
        let residual = tensor(&[-1.0, 2.5], (1, 1, 1, 2));
        let y = conv().forward_add_relu(&x, &residual).unwrap();
        assert_eq!(values(&y), [0.0, 0.5]);
    }

    #[test]
    fn a_strided_view_gives_the_values_of_its_copy() {
        let x = tensor(&[1.0, 2.0, 3.0, 7.0, 4.0, 5.0], (1, 2, 1, 3));
        let view = x.narrow(3, 1, 2).unwrap();
        let y = conv().forward(&view).unwrap();
        assert_eq!(values(&y), [2.0 * 2.0 - 4.0 + 1.0, 2.0 * 3.0 - 5.0 + 1.0]);
    }

    #[test]
    fn each_image_of_a_batch_gets_its_own_answer() {
        let x = tensor(&[1.0, 2.0, 3.0, 7.0], (2, 2, 1, 1));
        assert_eq!(values(&conv().forward(&x).unwrap()), [1.0, 0.0]);
    }

    #[test]
    fn wrong_channels_rank_dtype_and_residual_are_named() {
        let message = |x: &Tensor| conv().forward(x).unwrap_err().to_string();
        assert!(message(&tensor(&[1.0; 3], (1, 3, 1, 1))).contains("expected 2 channels"));
        let flat = Tensor::zeros((2, 3), DType::F32, &Device::Cpu).unwrap();
        assert!(message(&flat).contains("(N, C, H, W)"));
        let double = Tensor::zeros((1, 2, 1, 1), DType::F64, &Device::Cpu).unwrap();
        assert!(message(&double).contains("to_dtype"));
        let x = tensor(&[1.0; 2], (1, 2, 1, 1));
        let residual = tensor(&[1.0; 2], (1, 1, 1, 2));
        let error = conv().forward_add_relu(&x, &residual).unwrap_err();
        assert!(error.to_string().contains("residual"), "{error}");
    }

    #[test]
    fn asking_for_a_gradient_is_an_error_not_a_zero() {
        let x = candle_core::Var::from_tensor(&tensor(&[1.0; 2], (1, 2, 1, 1))).unwrap();
        let y = conv().forward(x.as_tensor()).unwrap();
        assert!(y.sum_all().unwrap().backward().is_err());
    }
}
