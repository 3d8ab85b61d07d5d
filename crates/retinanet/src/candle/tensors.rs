//! The layers on candle's tensors, each recorded in candle's graph.

use candle_core::{Module, Tensor};

use crate::model::plan::{Backend, FeatureMap, NoObserver, Then, Walk};
use crate::ops::{Conv2d, GroupNorm, MaxPool2d, Relu, UpsampleAdd};
use crate::{Error, Result};

impl FeatureMap for Tensor {
    /// Of each of its images.
    fn shape(&self) -> [usize; 3] {
        match *self.dims() {
            [.., channels, height, width] => [channels, height, width],
            _ => [0; 3],
        }
    }

    fn to_chw(&self) -> Result<Vec<f32>> {
        Ok(self.flatten_all()?.to_vec1()?)
    }
}

/// candle's tensors (N, C, H, W): a map holds a whole batch of one size.
pub(crate) struct Tensors;

impl Backend for Tensors {
    type Canvas<'a> = Tensor;
    type Map = Tensor;

    fn stem(&mut self, conv: &Conv2d, canvases: &[Tensor]) -> Result<Vec<Tensor>> {
        self.conv(conv, canvases, Then::Relu)
    }

    fn conv(
        &mut self,
        conv: &Conv2d,
        inputs: &[Tensor],
        then: Then<'_, Tensor>,
    ) -> Result<Vec<Tensor>> {
        // Weights that may change are packed once for all inputs.
        let conv = conv.ready()?;
        let inputs = inputs.iter().enumerate();
        let outputs = inputs.map(|(i, input)| match then {
            Then::Nothing => conv.apply(input, false),
            Then::Relu => conv.apply(input, true),
            Then::AddRelu(residuals) => conv.apply_add_relu(input, &residuals[i]),
        });
        Ok(outputs.collect::<candle_core::Result<_>>()?)
    }

    fn group_norm_relu(&mut self, norm: &GroupNorm, maps: &mut [Tensor]) -> Result<()> {
        for map in maps {
            *map = norm.forward_relu(map)?;
        }
        Ok(())
    }

    fn max_pool(&mut self, pool: &MaxPool2d, inputs: &[Tensor]) -> Result<Vec<Tensor>> {
        each(inputs, |input| pool.forward(input))
    }

    fn relu(&mut self, relu: &Relu, inputs: &[Tensor]) -> Result<Vec<Tensor>> {
        each(inputs, |input| relu.forward(input))
    }

    fn upsample_add(
        &mut self,
        op: &UpsampleAdd,
        coarser: &[Tensor],
        finer: &mut [Tensor],
    ) -> Result<()> {
        for (coarser, finer) in coarser.iter().zip(finer) {
            *finer = op.forward(coarser, finer)?;
        }
        Ok(())
    }
}

fn each(
    inputs: &[Tensor],
    layer: impl Fn(&Tensor) -> candle_core::Result<Tensor>,
) -> Result<Vec<Tensor>> {
    Ok(inputs.iter().map(layer).collect::<candle_core::Result<_>>()?)
}

/// Walks a part of the network over tensors, with candle's error type.
pub(crate) fn over_tensors<T>(
    part: impl FnOnce(&mut Walk<'_, Tensors>) -> Result<T>,
) -> candle_core::Result<T> {
    let mut walk = Walk { backend: &mut Tensors, observer: &mut NoObserver };
    part(&mut walk).map_err(|error| match error {
        Error::Candle(error) => error,
        error => candle_core::Error::wrap(error),
    })
}
