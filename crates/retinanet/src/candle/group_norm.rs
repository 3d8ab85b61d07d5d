//! [`GroupNorm`] on tensors.

use candle_core::{CpuStorage, CustomOp1, CustomOp3, Layout, Module, Result, Shape, Tensor};
use retinanet_kernels::layout::{BlockedBuffer, BlockedShape};
use retinanet_kernels::norm::{group_norm_backward_in_place, group_norm_nchw};

use super::image_sum::ImageSum;
use super::images::{Held, Images, checked, gradient_of_images, on_cpu};
use crate::model::kept_tensors::tensor_values;
use crate::ops::{Arithmetic, GroupNorm, GroupNormSpec, OpError};

const NAME: &str = "retinanet.group_norm";

impl GroupNorm {
    /// A normalisation with candle's tensors as `weight` and `bias`, one value a channel, in any format and on any
    /// device. Those that are variables (or computed from some) are read in each forward pass and get their gradients.
    ///
    /// # Errors
    /// As [`GroupNorm::new`].
    pub fn from_tensors<'a>(
        arithmetic: impl Into<Arithmetic<'a>>,
        spec: GroupNormSpec,
        weight: &Tensor,
        bias: &Tensor,
    ) -> crate::Result<Self> {
        let arithmetic = arithmetic.into();
        let norm = Self::new(arithmetic, spec, &tensor_values(weight)?, &tensor_values(bias)?)?;
        if arithmetic.is_on_cpu() && (weight.track_op() || bias.track_op()) {
            return Ok(norm.of_variables([weight.flatten_all()?, bias.flatten_all()?]));
        }
        Ok(norm)
    }

    /// The normalisation followed by ReLU.
    ///
    /// # Errors
    /// As [`GroupNorm::forward`](Module::forward).
    pub fn forward_relu(&self, input: &Tensor) -> Result<Tensor> {
        self.apply(input, true)
    }

    fn apply(&self, input: &Tensor, relu: bool) -> Result<Tensor> {
        let input = checked(NAME, "input", input)?;
        let Some([weight, bias]) = self.variables() else {
            return input.apply_op1(Operation { norm: self.clone(), relu });
        };
        let (weight, bias) = (on_cpu(weight)?, on_cpu(bias)?);
        let norm = self.with_values(&tensor_values(&weight)?, &tensor_values(&bias)?);
        input.apply_op3(&weight, &bias, Operation { norm, relu })
    }

    /// The same with the values that weight and bias have now, once and for all.
    pub(super) fn frozen(&self) -> Result<Self> {
        Ok(match self.variables() {
            None => self.clone(),
            Some([weight, bias]) => {
                self.with_values(&tensor_values(weight)?, &tensor_values(bias)?)
            }
        })
    }
}

impl Module for GroupNorm {
    /// # Errors
    /// [`OpError`] when the input is not f32 (N, channels, H, W) on the CPU.
    fn forward(&self, input: &Tensor) -> Result<Tensor> {
        self.apply(input, false)
    }
}

/// Of an input; or of an input, weight and bias, whose values are the norm's.
struct Operation {
    norm: GroupNorm,
    relu: bool,
}

impl Operation {
    fn run(&self, storage: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
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

    /// The input's gradient, and each image's of weight and bias to `parameters`.
    fn input_gradient(
        &self,
        input: &Tensor,
        output: &Tensor,
        gradient: &Tensor,
        mut parameters: impl FnMut(Vec<f32>, Vec<f32>) -> retinanet_kernels::Result<()>,
    ) -> Result<Tensor> {
        let gradient = gradient.contiguous()?;
        let [input, output, gradient] = [input, output, &gradient].map(Held::new);
        let input = input.images(NAME, "input")?;
        let output = output.images(NAME, "output")?;
        let gradient = gradient.images(NAME, "gradient")?;
        let [_, channels, h, w] = input.shape;
        let shape = BlockedShape::new(channels, [h, w]);
        let GroupNorm { level, spec, weight, .. } = &self.norm;
        gradient_of_images(NAME, input.shape, |index, of_input| {
            let mut gradient = BlockedBuffer::from_chw(shape, gradient.image(index))?;
            let input = BlockedBuffer::from_chw(shape, input.image(index))?;
            let output = match self.relu {
                true => Some(BlockedBuffer::from_chw(shape, output.image(index))?),
                false => None,
            };
            let [mut of_weight, mut of_bias] = [(); 2].map(|()| vec![0.0; channels]);
            group_norm_backward_in_place(
                *level,
                spec,
                weight,
                input.as_ref(),
                output.as_ref().map(BlockedBuffer::as_ref),
                &mut gradient.as_mut(),
                &mut of_weight,
                &mut of_bias,
            )?;
            parameters(of_weight, of_bias)?;
            gradient.as_ref().to_chw(of_input)
        })
    }
}

impl CustomOp1 for Operation {
    fn name(&self) -> &'static str {
        NAME
    }

    fn cpu_fwd(&self, storage: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        self.run(storage, layout)
    }

    fn bwd(&self, input: &Tensor, output: &Tensor, gradient: &Tensor) -> Result<Option<Tensor>> {
        self.input_gradient(input, output, gradient, |_, _| Ok(())).map(Some)
    }
}

impl CustomOp3 for Operation {
    fn name(&self) -> &'static str {
        NAME
    }

    fn cpu_fwd(
        &self,
        storage: &CpuStorage,
        layout: &Layout,
        _: &CpuStorage,
        _: &Layout,
        _: &CpuStorage,
        _: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        self.run(storage, layout)
    }

    fn bwd(
        &self,
        input: &Tensor,
        weight: &Tensor,
        bias: &Tensor,
        output: &Tensor,
        gradient: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>, Option<Tensor>)> {
        let [mut weights, mut biases] = [(); 2].map(|()| ImageSum::new(self.norm.level));
        let of_input = self.input_gradient(input, output, gradient, |of_weight, of_bias| {
            weights.push(of_weight)?;
            biases.push(of_bias)
        })?;
        let finish = |sum: ImageSum, parameter: &Tensor| {
            parameter.track_op().then(|| sum.finish(parameter)).transpose()
        };
        let of_input = input.track_op().then_some(of_input);
        Ok((of_input, finish(weights, weight)?, finish(biases, bias)?))
    }
}

#[cfg(test)]
mod tests {
    use candle_core::Device;

    use super::*;
    use crate::ops::Level;

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
