//! The layers of the fast mode on a GPU: convolutions by its library, maps in its format.

use retinanet_kernels::cuda;
use retinanet_kernels::cudnn::{
    CudnnGpu, CudnnItem, Map, max_pool2d_cudnn, relu_cudnn, upsample_nearest_add_cudnn,
};

use super::backend::{Backend, FeatureMap, Predictions, Then};
use crate::Result;
use crate::ops::{Conv2d, GroupNorm, MaxPool2d, Relu, UpsampleAdd};

impl FeatureMap for Map {
    fn shape(&self) -> [usize; 3] {
        let [height, width] = self.size();
        [self.channels(), height, width]
    }

    fn to_chw(&self) -> Result<Vec<f32>> {
        Ok(Map::to_chw(self)?)
    }

    fn wait(&self) -> Result<()> {
        Ok(Map::gpu(self).synchronize()?)
    }
}

/// A GPU with its convolution library, which reuses memory by itself.
pub(crate) struct OnCudnn<'a>(pub(crate) &'a CudnnGpu);

impl Backend for OnCudnn<'_> {
    type Canvas<'a> = cuda::Map;
    type Map = Map;

    fn stem(&mut self, conv: &Conv2d, canvases: &[cuda::Map]) -> Result<Vec<Map>> {
        let inputs = Map::from_canonical(self.0.format(), canvases)?;
        self.conv(conv, &inputs, Then::Relu)
    }

    fn conv(&mut self, conv: &Conv2d, inputs: &[Map], then: Then<'_, Map>) -> Result<Vec<Map>> {
        let items = inputs.iter().enumerate();
        let items: Vec<_> =
            items.map(|(i, input)| CudnnItem { input, residual: then.residual(i) }).collect();
        Ok(conv.on_cudnn(self.0)?.forward(&items, then.relu())?)
    }

    fn group_norm_relu(&mut self, norm: &GroupNorm, maps: &mut [Map]) -> Result<()> {
        Ok(norm.on_cudnn()?.forward_in_place(maps, true)?)
    }

    fn max_pool(&mut self, pool: &MaxPool2d, inputs: &[Map]) -> Result<Vec<Map>> {
        Ok(max_pool2d_cudnn(&pool.spec, inputs)?)
    }

    fn relu(&mut self, _: &Relu, inputs: &[Map]) -> Result<Vec<Map>> {
        Ok(relu_cudnn(inputs)?)
    }

    fn upsample_add(&mut self, _: &UpsampleAdd, coarser: &[Map], finer: &mut [Map]) -> Result<()> {
        Ok(upsample_nearest_add_cudnn(coarser, finer)?)
    }
}

/// Predictions as the canonical maps that candidates are selected from.
pub(crate) fn canonical(found: Vec<Predictions<Map>>) -> Result<Vec<Predictions<cuda::Map>>> {
    fn all(maps: &[Map]) -> Result<Vec<cuda::Map>> {
        Ok(Map::to_canonical(&maps.iter().collect::<Vec<_>>())?)
    }
    let found = found.iter().map(|found| {
        Ok(Predictions {
            cls_logits: all(&found.cls_logits)?,
            bbox_regression: all(&found.bbox_regression)?,
        })
    });
    found.collect()
}
