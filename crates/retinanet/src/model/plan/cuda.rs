//! The layers on a GPU.

use retinanet_kernels::conv2d::CudaItem;
use retinanet_kernels::cuda::Map;
use retinanet_kernels::pointwise::{Function, map_cuda};
use retinanet_kernels::pool::max_pool2d_cuda;
use retinanet_kernels::upsample::upsample_nearest_add_cuda;

use super::backend::{Backend, FeatureMap, Then};
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

/// The canonical kernels on one GPU, which reuses memory by itself.
pub(crate) struct OnGpu;

impl Backend for OnGpu {
    type Canvas<'a> = Map;
    type Map = Map;

    fn stem(&mut self, conv: &Conv2d, canvases: &[Map]) -> Result<Vec<Map>> {
        self.conv(conv, canvases, Then::Relu)
    }

    fn conv(&mut self, conv: &Conv2d, inputs: &[Map], then: Then<'_, Map>) -> Result<Vec<Map>> {
        let items = inputs.iter().enumerate();
        let items: Vec<_> =
            items.map(|(i, input)| CudaItem { input, residual: then.residual(i) }).collect();
        Ok(conv.on_gpu()?.forward(&items, then.relu())?)
    }

    fn group_norm_relu(&mut self, norm: &GroupNorm, maps: &mut [Map]) -> Result<()> {
        Ok(norm.on_gpu()?.forward_in_place(maps, true)?)
    }

    fn max_pool(&mut self, pool: &MaxPool2d, inputs: &[Map]) -> Result<Vec<Map>> {
        inputs.iter().map(|input| Ok(max_pool2d_cuda(&pool.spec, input)?)).collect()
    }

    fn relu(&mut self, _: &Relu, inputs: &[Map]) -> Result<Vec<Map>> {
        inputs.iter().map(|input| Ok(map_cuda(Function::Relu, input)?)).collect()
    }

    fn upsample_add(&mut self, _: &UpsampleAdd, coarser: &[Map], finer: &mut [Map]) -> Result<()> {
        for (coarser, finer) in coarser.iter().zip(finer) {
            upsample_nearest_add_cuda(coarser, finer)?;
        }
        Ok(())
    }
}
