//! The end of a residual block whose last convolution trains: the sum, then ReLU.

use candle_core::{CpuStorage, CustomOp2, Layout, Result, Shape, Tensor};
use retinanet_kernels::{Level, pointwise};

use super::images::Images;
use super::relu::relu_gradient;
use crate::ops::OpError;

const NAME: &str = "retinanet.add_relu";

/// relu(a + b), each rounded: the bits of a convolution that adds its residual itself.
pub(super) struct AddRelu {
    pub(super) level: Level,
}

impl CustomOp2 for AddRelu {
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
        if residual.shape != input.shape {
            return Err(OpError::Shape {
                op: NAME,
                what: "residual",
                shape: residual.shape.to_vec(),
                expected: format!("the output's shape {:?}", input.shape),
            }
            .into());
        }
        Images::map_images(NAME, input.shape, |index, output| {
            pointwise::add(self.level, input.image(index), residual.image(index), output)?;
            pointwise::relu_in_place(self.level, output);
            Ok(())
        })
    }

    fn bwd(
        &self,
        input: &Tensor,
        residual: &Tensor,
        output: &Tensor,
        gradient: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>)> {
        let gradient = relu_gradient(NAME, self.level, output, gradient)?;
        let of_input = input.track_op().then(|| gradient.clone());
        Ok((of_input, residual.track_op().then_some(gradient)))
    }
}
