//! A packed convolution in candle's graph, and its way back.

use std::sync::Arc;

use candle_core::{CpuStorage, CustomOp1, CustomOp2, CustomOp3, Layout, Result, Shape, Tensor};
use retinanet_kernels::conv2d::{
    Conv2d as Kernel, DataGradient, DataGradientItem, GradientPair, Input, weight_gradient,
};
use retinanet_kernels::layout::{BlockedBuffer, BlockedShape};
use retinanet_kernels::sum::sum_channels;

use super::image_sum::ImageSum;
use super::images::{Held, Images, gradient_of_images};
use super::relu::relu_gradient;
use crate::ops::OpError;
use crate::ops::differentiable::KeptWeights;

pub(super) const NAME: &str = "retinanet.conv2d";

/// A convolution whose weights and bias are constants: of an input, or of an input and a residual.
#[derive(Clone)]
pub(super) struct Operation {
    pub(super) kernel: Arc<Kernel>,
    /// For the gradient of the input.
    pub(super) kept: Option<Arc<KeptWeights>>,
    pub(super) relu: bool,
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

    /// The gradient of what ReLU was given, contiguous.
    fn before_relu(&self, output: &Tensor, gradient: &Tensor) -> Result<Tensor> {
        if self.relu {
            relu_gradient(NAME, self.kernel.level(), output, gradient)
        } else {
            gradient.contiguous()
        }
    }

    fn data_gradient(&self) -> Result<Arc<DataGradient>> {
        let kept = self.kept.as_ref().ok_or(OpError::NotKept { op: NAME })?;
        kept.data_gradient().map_err(candle_core::Error::wrap)
    }

    /// The gradient of the input, from that before ReLU.
    fn input_gradient(&self, input: &Tensor, gradient: &Tensor) -> Result<Tensor> {
        let data_gradient = self.data_gradient()?;
        let (n, channels, h, w) = input.dims4()?;
        let gradient = Held::new(gradient);
        let gradient = gradient.images(NAME, "gradient")?;
        let [_, out_channels, out_h, out_w] = gradient.shape;
        let out_shape = BlockedShape::new(out_channels, [out_h, out_w]);
        let shape = BlockedShape::new(channels, [h, w]);
        gradient_of_images(NAME, [n, channels, h, w], |index, output| {
            let gradient = BlockedBuffer::from_chw(out_shape, gradient.image(index))?;
            let mut of_input = BlockedBuffer::zeroed(shape);
            data_gradient.forward(&mut [DataGradientItem {
                grad_output: gradient.as_ref(),
                residual: None,
                output: of_input.as_mut(),
            }])?;
            of_input.as_ref().to_chw(output)
        })
    }

    /// The gradients of weights and bias, those that are wanted, from the gradient before ReLU.
    fn parameter_gradients(
        &self,
        input: &Tensor,
        gradient: &Tensor,
        [weight, bias]: [Option<&Tensor>; 2],
    ) -> Result<[Option<Tensor>; 2]> {
        let (level, spec) = (self.kernel.level(), self.kernel.spec());
        let (input, gradient) = (Held::new(input), Held::new(gradient));
        let (input, gradient) = (input.images(NAME, "input")?, gradient.images(NAME, "gradient")?);
        let [n, channels, h, w] = input.shape;
        let [_, out_channels, out_h, out_w] = gradient.shape;
        let shape = BlockedShape::new(channels, [h, w]);
        let out_shape = BlockedShape::new(out_channels, [out_h, out_w]);
        let [mut weights, mut biases] = [(); 2].map(|()| ImageSum::new(level));
        let mut add = |index: usize| -> retinanet_kernels::Result<()> {
            let gradient = BlockedBuffer::from_chw(out_shape, gradient.image(index))?;
            if weight.is_some() {
                let blocked;
                let input = if self.kernel.takes_planar() {
                    Input::Planar { data: input.image(index), size: [h, w] }
                } else {
                    blocked = BlockedBuffer::from_chw(shape, input.image(index))?;
                    Input::Blocked(blocked.as_ref())
                };
                let mut of_weight = vec![0.0; spec.weights()?];
                let pair = GradientPair { input, grad_output: gradient.as_ref() };
                weight_gradient(level, spec, &[pair], &mut of_weight)?;
                weights.push(of_weight)?;
            }
            if bias.is_some() {
                let mut of_bias = vec![0.0; out_channels];
                sum_channels(level, gradient.as_ref(), &mut of_bias)?;
                biases.push(of_bias)?;
            }
            Ok(())
        };
        for index in 0..n {
            add(index).map_err(candle_core::Error::wrap)?;
        }
        Ok([
            weight.map(|weight| weights.finish(weight)).transpose()?,
            bias.map(|bias| biases.finish(bias)).transpose()?,
        ])
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

    fn bwd(&self, input: &Tensor, output: &Tensor, gradient: &Tensor) -> Result<Option<Tensor>> {
        let gradient = self.before_relu(output, gradient)?;
        self.input_gradient(input, &gradient).map(Some)
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

    fn bwd(
        &self,
        input: &Tensor,
        residual: &Tensor,
        output: &Tensor,
        gradient: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>)> {
        let gradient = self.before_relu(output, gradient)?;
        let of_input =
            input.track_op().then(|| self.input_gradient(input, &gradient)).transpose()?;
        Ok((of_input, residual.track_op().then_some(gradient)))
    }
}

/// A convolution of an input, the weights it was packed from and, if it has one, their bias; their values are the
/// packed ones.
pub(super) struct Trained(pub(super) Operation);

impl Trained {
    fn gradients(
        &self,
        input: &Tensor,
        weight: &Tensor,
        bias: Option<&Tensor>,
        output: &Tensor,
        gradient: &Tensor,
    ) -> Result<[Option<Tensor>; 3]> {
        let Self(operation) = self;
        let gradient = operation.before_relu(output, gradient)?;
        let wanted = [Some(weight), bias].map(|one| one.filter(|one| one.track_op()));
        let [of_weight, of_bias] = operation.parameter_gradients(input, &gradient, wanted)?;
        let of_input =
            input.track_op().then(|| operation.input_gradient(input, &gradient)).transpose()?;
        Ok([of_input, of_weight, of_bias])
    }
}

impl CustomOp2 for Trained {
    fn name(&self) -> &'static str {
        NAME
    }

    fn cpu_fwd(
        &self,
        storage: &CpuStorage,
        layout: &Layout,
        _: &CpuStorage,
        _: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        CustomOp1::cpu_fwd(&self.0, storage, layout)
    }

    fn bwd(
        &self,
        input: &Tensor,
        weight: &Tensor,
        output: &Tensor,
        gradient: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>)> {
        let [of_input, of_weight, _] = self.gradients(input, weight, None, output, gradient)?;
        Ok((of_input, of_weight))
    }
}

impl CustomOp3 for Trained {
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
        CustomOp1::cpu_fwd(&self.0, storage, layout)
    }

    fn bwd(
        &self,
        input: &Tensor,
        weight: &Tensor,
        bias: &Tensor,
        output: &Tensor,
        gradient: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>, Option<Tensor>)> {
        let [of_input, of_weight, of_bias] =
            self.gradients(input, weight, Some(bias), output, gradient)?;
        Ok((of_input, of_weight, of_bias))
    }
}
