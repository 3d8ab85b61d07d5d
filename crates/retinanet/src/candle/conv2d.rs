//! [`Conv2d`] on tensors.

use std::sync::Arc;

use candle_core::{Module, Result, Tensor};
use retinanet_kernels::conv2d::Conv2d as Kernel;

use super::add_relu::AddRelu;
use super::batch_norm;
use super::conv2d_operation::{NAME, Operation, Trained};
use super::images::{checked, on_cpu};
use crate::model::kept_tensors::tensor_values;
use crate::ops::differentiable::{ConvVariables, KeptWeights, VariableShift};
use crate::ops::{Arithmetic, Conv2d, Conv2dSpec, OpError};

impl Conv2d {
    /// A convolution of candle's tensors: `weight` (out_channels, in_channels, kernel height, kernel width) and `bias`
    /// (out_channels), in any format and on any device.
    ///
    /// Where one of them is a variable (or computed from one), both are read and packed in each forward pass, and get
    /// their gradients. Constants are packed here, once.
    ///
    /// # Errors
    /// As [`Conv2d::new`]; [`OpError::Shape`] where a tensor's shape is not that of `spec`.
    ///
    /// ```
    /// use candle_core::{DType, Device, Module, Tensor};
    /// use candle_nn::{Init, Optimizer, SGD, VarBuilder, VarMap};
    /// use retinanet::ops::{Conv2d, Conv2dSpec, Level};
    ///
    /// let variables = VarMap::new();
    /// let vb = VarBuilder::from_varmap(&variables, DType::F32, &Device::Cpu);
    /// let (weight, bias) = (vb.get((1, 1, 3, 3), "weight")?, vb.get(1, "bias")?);
    /// let kernel = [3, 3];
    /// let spec =
    ///     Conv2dSpec { in_channels: 1, out_channels: 1, kernel, stride: [1, 1], padding: [1, 1] };
    /// let conv = Conv2d::from_tensors(Level::from_env()?, spec, &weight, Some(&bias))?;
    ///
    /// let images = Tensor::ones((2, 1, 8, 8), DType::F32, &Device::Cpu)?;
    /// let loss = || -> candle_core::Result<Tensor> { (conv.forward(&images)? - 3.0)?.sqr()?.mean_all() };
    /// let mut sgd = SGD::new(variables.all_vars(), 0.01)?;
    /// let before: f32 = loss()?.to_scalar()?;
    /// for _ in 0..20 {
    ///     sgd.backward_step(&loss()?)?;
    /// }
    /// assert!(loss()?.to_scalar::<f32>()? < 0.1 * before);
    /// # Ok::<(), retinanet::Error>(())
    /// ```
    pub fn from_tensors<'a>(
        arithmetic: impl Into<Arithmetic<'a>>,
        spec: Conv2dSpec,
        weight: &Tensor,
        bias: Option<&Tensor>,
    ) -> crate::Result<Self> {
        let arithmetic = arithmetic.into();
        let Conv2dSpec { in_channels, out_channels, kernel, .. } = spec;
        let of_weight = [out_channels, in_channels, kernel[0], kernel[1]];
        let shapes = [("weight", Some(weight), &of_weight[..]), ("bias", bias, &of_weight[..1])];
        for (what, tensor, expected) in shapes {
            if let Some(tensor) = tensor.filter(|tensor| tensor.dims() != expected) {
                let (shape, expected) = (tensor.dims().to_vec(), format!("{expected:?}"));
                return Err(OpError::Shape { op: NAME, what, shape, expected }.into());
            }
        }
        let shift = bias.cloned().map_or(VariableShift::None, VariableShift::Bias);
        let (level, fast, weight) = (arithmetic.level, arithmetic.fast, weight.clone());
        let variables = ConvVariables { level, fast, spec, weight, shift };
        if arithmetic.is_on_cpu() && variables.train() {
            // What makes no convolution is refused here already.
            spec.weights()?;
            return Ok(Self::of_variables(variables));
        }
        let bias = bias.map(tensor_values).transpose()?;
        Self::new(arithmetic, spec, &tensor_values(&variables.weight)?, bias.as_deref())
    }

    /// The convolution followed by ReLU, where relu(x) = if x < 0 { +0 } else { x }.
    ///
    /// # Errors
    /// As [`Conv2d::forward`](Module::forward).
    pub fn forward_relu(&self, input: &Tensor) -> Result<Tensor> {
        self.ready()?.apply(input, true)
    }

    /// The convolution, plus `residual` (the output's shape), followed by ReLU.
    ///
    /// # Errors
    /// As [`Conv2d::forward`](Module::forward), and [`OpError`] when the residual's shape is not
    /// the output's.
    pub fn forward_add_relu(&self, input: &Tensor, residual: &Tensor) -> Result<Tensor> {
        self.ready()?.apply_add_relu(input, residual)
    }

    /// The convolution with its weights packed: those that may change, with the values they have now.
    pub(super) fn ready(&self) -> Result<Ready> {
        let Some(variables) = self.variables() else {
            let (kernel, kept) = (Arc::clone(self.on_cpu()?), self.kept().cloned());
            return Ok(Ready { operation: Operation { kernel, kept, relu: false }, trained: None });
        };
        let (weight, bias) = folded(variables)?;
        let values = tensor_values(&weight)?;
        let kernel = packed(variables, &values, bias.as_ref())?;
        let kept = KeptWeights::new(variables.level, variables.spec, values);
        let operation =
            Operation { kernel: Arc::new(kernel), kept: Some(Arc::new(kept)), relu: false };
        Ok(Ready { operation, trained: Some((weight, bias)) })
    }

    /// The same with the values that its weights have now, packed once and for all.
    pub(super) fn frozen(&self) -> crate::Result<Self> {
        let Some(variables) = self.variables() else { return Ok(self.clone()) };
        let (weight, bias) = folded(variables)?;
        let (weight, bias) =
            (tensor_values(&weight)?, bias.as_ref().map(tensor_values).transpose()?);
        let arithmetic = Arithmetic::on_cpu(variables.level, variables.fast);
        let conv = Self::new(arithmetic, variables.spec, &weight, bias.as_deref())?;
        Ok(conv.named(self.name()))
    }
}

impl Module for Conv2d {
    /// The convolution and its bias.
    ///
    /// # Errors
    /// [`OpError`] when the input is not f32 (N, in_channels, H, W) on the CPU; a kernel error when
    /// it is smaller than the kernel.
    fn forward(&self, input: &Tensor) -> Result<Tensor> {
        self.ready()?.apply(input, false)
    }
}

/// Weights and bias with the batch norm folded in, f32 on the CPU.
fn folded(variables: &ConvVariables) -> Result<(Tensor, Option<Tensor>)> {
    let weight = on_cpu(&variables.weight)?;
    Ok(match &variables.shift {
        VariableShift::None => (weight, None),
        VariableShift::Bias(bias) => (weight, Some(on_cpu(bias)?)),
        VariableShift::BatchNorm(norm) => {
            let [weight, bias] = batch_norm::fold(norm, &weight)?;
            (weight, Some(bias))
        }
    })
}

fn packed(variables: &ConvVariables, weight: &[f32], bias: Option<&Tensor>) -> Result<Kernel> {
    let bias = bias.map(tensor_values).transpose()?;
    let new = if variables.fast { Kernel::new_fast } else { Kernel::new };
    let kernel = new(variables.level, variables.spec, weight, bias.as_deref());
    kernel.map_err(candle_core::Error::wrap)
}

/// A convolution whose weights are packed, for any number of inputs.
pub(super) struct Ready {
    operation: Operation,
    /// Weights and bias, as they are packed, where one of them trains.
    trained: Option<(Tensor, Option<Tensor>)>,
}

impl Ready {
    pub(super) fn apply(&self, input: &Tensor, relu: bool) -> Result<Tensor> {
        let input = checked(NAME, "input", input)?;
        let operation = Operation { relu, ..self.operation.clone() };
        match &self.trained {
            None => input.apply_op1(operation),
            Some((weight, None)) => input.apply_op2(weight, Trained(operation)),
            Some((weight, Some(bias))) => input.apply_op3(weight, bias, Trained(operation)),
        }
    }

    pub(super) fn apply_add_relu(&self, input: &Tensor, residual: &Tensor) -> Result<Tensor> {
        let residual = checked(NAME, "residual", residual)?;
        if self.trained.is_some() {
            let level = self.operation.kernel.level();
            return self.apply(input, false)?.apply_op2(&residual, AddRelu { level });
        }
        let operation = Operation { relu: true, ..self.operation.clone() };
        checked(NAME, "input", input)?.apply_op2(&residual, operation)
    }
}

#[cfg(test)]
mod tests {
    use candle_core::{DType, Device};

    use super::*;
    use crate::ops::Level;

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
}
