//! The network and its parts on tensors, each a candle module.

use candle_core::{Module, Tensor};

use super::output::{Features, RetinaNetOutput};
use super::tensors::over_tensors;
use crate::model::{Fpn, LayerMut, ModelError, PredictionHead, ResNet, RetinaNet};

impl ResNet {
    /// The returned stages' outputs, finest first: `layer{n}` gives (N, channels, H / 2^(n+1), W /
    /// 2^(n+1)), each halving rounded up.
    ///
    /// # Errors
    /// When `images` is not f32 (N, 3, H, W) on the CPU with at least one pixel.
    pub fn forward(&self, images: &Tensor) -> candle_core::Result<Vec<Tensor>> {
        let images = std::slice::from_ref(images);
        over_tensors(|walk| Ok(self.walk(walk, images)?.concat()))
    }
}

impl Fpn {
    /// The pyramid's maps, finest first: one of each backbone map's size, then the extra levels,
    /// each half the size of the one before, rounded up.
    ///
    /// # Errors
    /// When `maps` are not the backbone's maps, finest first.
    pub fn forward(&self, maps: &[Tensor]) -> candle_core::Result<Vec<Tensor>> {
        if maps.len() != self.inner_blocks.len() {
            return Err(candle_core::Error::wrap(ModelError::Input {
                what: "the list of backbone maps",
                shape: vec![maps.len()],
                expected: format!("{} maps", self.inner_blocks.len()),
            }));
        }
        let stages = maps.iter().map(|map| vec![map.clone()]).collect();
        over_tensors(|walk| Ok(self.walk(walk, stages, &[])?.concat()))
    }
}

impl Module for PredictionHead {
    /// # Errors
    /// When `features` is not f32 (N, channels, H, W) on the CPU.
    fn forward(&self, features: &Tensor) -> candle_core::Result<Tensor> {
        let level = std::slice::from_ref(features);
        over_tensors(|walk| Ok(self.walk(walk, level, "")?.remove(0)))
    }
}

impl RetinaNet {
    /// The feature maps of `images`: normalised f32 (N, 3, H, W).
    ///
    /// # Errors
    /// When `images` is of another shape, dtype or device, or empty.
    pub fn features(&self, images: &Tensor) -> candle_core::Result<Features> {
        match *images.dims() {
            [_, 3, h, w] if h > 0 && w > 0 => {}
            _ => {
                return Err(candle_core::Error::wrap(ModelError::Input {
                    what: "the batch of images",
                    shape: images.dims().to_vec(),
                    expected: "(N, 3, H, W) with at least one pixel".to_owned(),
                }));
            }
        }
        let backbone = self.backbone.forward(images)?;
        let pyramid = self.fpn.forward(&backbone)?;
        Ok(Features {
            backbone: self.backbone_names().into_iter().zip(backbone).collect(),
            pyramid: self.pyramid_names().into_iter().zip(pyramid).collect(),
        })
    }

    /// The heads' predictions from the maps of a canvas of `input_size` ([height, width]).
    ///
    /// # Errors
    /// When the maps are not this model's.
    pub fn predict(
        &self,
        features: &Features,
        input_size: [usize; 2],
    ) -> candle_core::Result<RetinaNetOutput> {
        let run = |head: &PredictionHead| -> candle_core::Result<Vec<Tensor>> {
            let maps: Vec<Tensor> = features.pyramid.iter().map(|(_, map)| map.clone()).collect();
            over_tensors(|walk| head.walk(walk, &maps, ""))
        };
        Ok(RetinaNetOutput {
            cls_logits: run(&self.head.classification_head)?,
            bbox_regression: run(&self.head.regression_head)?,
            input_size,
            num_anchors: self.num_anchors,
            num_classes: self.config().num_classes,
        })
    }

    /// The same network with the values that its variables have now, packed once and for all: fewer bytes and no
    /// gradients of weights. A [`Detector`](crate::Detector) does this itself.
    ///
    /// # Errors
    /// [`ModelError::BatchNorm`] where weights and batch norm no longer go together.
    pub fn packed(mut self) -> crate::Result<Self> {
        for layer in self.layers_mut() {
            match layer {
                LayerMut::Conv(conv) => *conv = conv.frozen()?,
                LayerMut::GroupNorm(norm) => *norm = norm.frozen()?,
            }
        }
        Ok(self)
    }

    /// Logits and box regressions of `images`: normalised f32 (N, 3, H, W). Each image's answer is
    /// the one it would get alone.
    ///
    /// # Errors
    /// As [`RetinaNet::features`].
    pub fn forward(&self, images: &Tensor) -> candle_core::Result<RetinaNetOutput> {
        let features = self.features(images)?;
        let (_, _, h, w) = images.dims4()?;
        self.predict(&features, [h, w])
    }
}

#[cfg(test)]
mod tests {
    use candle_core::{DType, Device};
    use candle_nn::VarBuilder;

    use super::*;
    use crate::model::{ExtraLevels, FpnConfig};
    use crate::ops::Level;

    fn sizes(extra_levels: ExtraLevels, maps: &[[usize; 2]]) -> Vec<[usize; 2]> {
        let config = FpnConfig { out_channels: 2, extra_levels };
        let channels: Vec<usize> = (0..maps.len()).map(|i| 3 + i).collect();
        let vb = VarBuilder::zeros(DType::F32, &Device::Cpu);
        let fpn = Fpn::new(&config, &channels, Level::from_env().unwrap().into(), vb).unwrap();
        let maps: Vec<Tensor> = maps
            .iter()
            .zip(&channels)
            .map(|(&[h, w], &c)| Tensor::ones((1, c, h, w), DType::F32, &Device::Cpu).unwrap())
            .collect();
        let levels = fpn.forward(&maps).unwrap();
        levels.iter().map(|level| [level.dims()[2], level.dims()[3]]).collect()
    }

    #[test]
    fn odd_sizes_halve_upwards_and_pyramid_maps_keep_their_own() {
        let maps = [[13, 7], [7, 4], [4, 2]];
        let [fine, middle, coarse] = maps;
        assert_eq!(sizes(ExtraLevels::None, &maps), maps);
        let with_pool = [fine, middle, coarse, [2, 1]];
        assert_eq!(sizes(ExtraLevels::MaxPool, &maps), with_pool);
        let with_two = [fine, middle, coarse, [2, 1], [1, 1]];
        assert_eq!(sizes(ExtraLevels::P6P7FromBackbone, &maps), with_two);
        assert_eq!(sizes(ExtraLevels::P6P7FromPyramid, &maps), with_two);
    }

    #[test]
    fn the_wrong_number_of_maps_is_refused() {
        let vb = VarBuilder::zeros(DType::F32, &Device::Cpu);
        let level = Level::from_env().unwrap();
        let fpn = Fpn::new(&FpnConfig::default(), &[3, 4], level.into(), vb).unwrap();
        let error = fpn.forward(&[]).unwrap_err().to_string();
        assert!(error.contains("2 maps"), "{error}");
    }
}
