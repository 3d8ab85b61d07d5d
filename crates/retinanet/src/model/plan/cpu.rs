//! The layers on the CPU, in the kernels' channel-blocked layout.

use retinanet_kernels::conv2d::{Input, Item};
use retinanet_kernels::layout::BlockedShape;
use retinanet_kernels::{norm, pointwise, pool, upsample};

use super::backend::{Backend, FeatureMap, Then};
use super::workspace::{Map, Workspace};
use crate::Result;
use crate::ops::{Conv2d, GroupNorm, MaxPool2d, Relu, UpsampleAdd};

/// One image's input: normalised planes R, G, B of (height, width).
#[derive(Debug, Clone, Copy)]
pub(crate) struct Canvas<'a> {
    pub(crate) data: &'a [f32],
    pub(crate) size: [usize; 2],
}

impl FeatureMap for Canvas<'_> {
    fn shape(&self) -> [usize; 3] {
        [3, self.size[0], self.size[1]]
    }

    fn to_chw(&self) -> Result<Vec<f32>> {
        Ok(self.data.to_vec())
    }
}

impl FeatureMap for Map {
    fn shape(&self) -> [usize; 3] {
        let shape = Map::shape(self);
        [shape.channels, shape.height, shape.width]
    }

    fn to_chw(&self) -> Result<Vec<f32>> {
        Map::to_chw(self)
    }
}

impl Backend for Workspace {
    type Canvas<'a> = Canvas<'a>;
    type Map = Map;

    fn stem(&mut self, conv: &Conv2d, canvases: &[Canvas<'_>]) -> Result<Vec<Map>> {
        let inputs: Vec<_> = canvases
            .iter()
            .map(|canvas| Input::Planar { data: canvas.data, size: canvas.size })
            .collect();
        convolve(self, conv, &inputs, |_| None, true)
    }

    fn conv(&mut self, conv: &Conv2d, inputs: &[Map], then: Then<'_, Map>) -> Result<Vec<Map>> {
        let inputs: Vec<&Map> = inputs.iter().collect();
        conv_maps(self, conv, &inputs, |i| then.residual(i), then.relu())
    }

    fn group_norm_relu(&mut self, norm: &GroupNorm, maps: &mut [Map]) -> Result<()> {
        let GroupNorm { level, spec, weight, bias, .. } = norm;
        for map in maps {
            norm::group_norm_in_place(*level, spec, weight, bias, true, &mut map.as_mut()?)?;
        }
        Ok(())
    }

    fn max_pool(&mut self, max_pool: &MaxPool2d, inputs: &[Map]) -> Result<Vec<Map>> {
        let mut outputs = Vec::with_capacity(inputs.len());
        for input in inputs {
            let size = max_pool.spec.output_size(input.shape().size())?;
            let mut output = self.take(BlockedShape::new(input.shape().channels, size))?;
            pool::max_pool2d(
                max_pool.level,
                &max_pool.spec,
                input.as_ref()?,
                &mut output.as_mut()?,
            )?;
            outputs.push(output);
        }
        Ok(outputs)
    }

    fn relu(&mut self, relu: &Relu, inputs: &[Map]) -> Result<Vec<Map>> {
        let mut outputs = Vec::with_capacity(inputs.len());
        for input in inputs {
            let mut output = self.take(input.shape())?;
            pointwise::relu(relu.level, input.as_ref()?.data(), output.as_mut()?.data())?;
            outputs.push(output);
        }
        Ok(outputs)
    }

    fn upsample_add(&mut self, op: &UpsampleAdd, coarser: &[Map], finer: &mut [Map]) -> Result<()> {
        for (coarser, finer) in coarser.iter().zip(finer) {
            upsample::upsample_nearest_add_in_place(
                op.level,
                coarser.as_ref()?,
                &mut finer.as_mut()?,
            )?;
        }
        Ok(())
    }

    fn give_all(&mut self, maps: impl IntoIterator<Item = Map>) {
        Workspace::give_all(self, maps);
    }
}

/// A convolution of maps, to each of which `residual` may add one, with or without ReLU.
pub(crate) fn conv_maps<'a>(
    workspace: &mut Workspace,
    conv: &Conv2d,
    inputs: &[&Map],
    residual: impl Fn(usize) -> Option<&'a Map>,
    relu: bool,
) -> Result<Vec<Map>> {
    if conv.on_cpu()?.takes_planar() {
        // Fewer than sixteen channels, as only a small pyramid of one's own has.
        let planes = inputs.iter().map(|map| map.to_chw()).collect::<Result<Vec<_>>>()?;
        let sizes = inputs.iter().map(|map| map.shape().size());
        let inputs: Vec<_> =
            planes.iter().zip(sizes).map(|(data, size)| Input::Planar { data, size }).collect();
        return convolve(workspace, conv, &inputs, residual, relu);
    }
    let inputs =
        inputs.iter().map(|map| Ok(Input::Blocked(map.as_ref()?))).collect::<Result<Vec<_>>>()?;
    convolve(workspace, conv, &inputs, residual, relu)
}

fn convolve<'a>(
    workspace: &mut Workspace,
    conv: &Conv2d,
    inputs: &[Input<'_>],
    residual: impl Fn(usize) -> Option<&'a Map>,
    relu: bool,
) -> Result<Vec<Map>> {
    let kernel = conv.on_cpu()?;
    let mut outputs = Vec::with_capacity(inputs.len());
    for input in inputs {
        let size = kernel.output_size(input.size())?;
        outputs.push(workspace.take(BlockedShape::new(conv.spec().out_channels, size))?);
    }
    let mut items = Vec::with_capacity(inputs.len());
    for (i, (input, output)) in inputs.iter().zip(&mut outputs).enumerate() {
        let residual = residual(i).map(Map::as_ref).transpose()?;
        items.push(Item { input: *input, residual, output: output.as_mut()? });
    }
    kernel.forward(&mut items, relu)?;
    Ok(outputs)
}
