//! How many multiply-adds each stage of the network needs.

use super::fpn::ExtraBlocks;
use super::resnet::ResidualBlock;
use super::{PredictionHead, RetinaNet};
use crate::Result;
use crate::ops::Conv2d;

/// Counts convolutions; norms, additions and pooling are not counted.
struct Count(u64);

impl Count {
    /// Adds a convolution of an input of this size; returns its output's size.
    fn conv(&mut self, conv: &Conv2d, input: [usize; 2]) -> Result<[usize; 2]> {
        let spec = conv.spec();
        let output = spec.output_size(input)?;
        let weights = spec.weights()? as u64;
        let pixels = (output[0] as u64).saturating_mul(output[1] as u64);
        self.0 = self.0.saturating_add(weights.saturating_mul(pixels));
        Ok(output)
    }

    fn block(&mut self, block: &ResidualBlock, input: [usize; 2]) -> Result<[usize; 2]> {
        if let Some(downsample) = &block.downsample {
            self.conv(downsample, input)?;
        }
        let inner = block.inner.iter().try_fold(input, |size, conv| self.conv(conv, size))?;
        self.conv(&block.last, inner)
    }
}

impl RetinaNet {
    /// The multiply-adds of the convolutions of each stage, for one canvas of `size` (height, width),
    /// as a plain convolution needs them: the stages are those of
    /// [`Detector::profile_network`](crate::Detector::profile_network), in its order.
    ///
    /// # Errors
    /// The canvas is too small for the network.
    pub fn multiply_adds(&self, size: [usize; 2]) -> Result<Vec<(String, u64)>> {
        let mut stages = Vec::new();
        let mut count = Count(0);
        let mut stage = |name: String, count: &mut Count| {
            stages.push((name, std::mem::replace(&mut count.0, 0)));
        };
        let mut current = count.conv(&self.backbone.stem, size)?;
        stage("stem".to_owned(), &mut count);
        current = self.backbone.max_pool.spec.output_size(current)?;
        stage("pool".to_owned(), &mut count);
        let mut returned = Vec::new();
        let names = self.backbone_names();
        for (blocks, layer) in self.backbone.layers.iter().zip(1..) {
            for block in blocks {
                current = count.block(block, current)?;
            }
            if self.backbone.returned_layers.contains(&layer) {
                stage(names[returned.len()].clone(), &mut count);
                returned.push(current);
            } else {
                stage(format!("layer{layer}"), &mut count);
            }
        }
        let names = self.pyramid_names();
        let mut levels = returned.clone();
        let convs = self.fpn.inner_blocks.iter().zip(&self.fpn.layer_blocks);
        for ((inner, layer), (size, name)) in convs.zip(returned.iter().zip(&names)) {
            count.conv(inner, *size)?;
            count.conv(layer, *size)?;
            stage(name.clone(), &mut count);
        }
        if let (ExtraBlocks::P6P7 { p6, p7, .. }, Some(deepest)) =
            (&self.fpn.extra_blocks, returned.last())
        {
            let p6 = count.conv(p6, *deepest)?;
            stage(names[levels.len()].clone(), &mut count);
            levels.push(p6);
            levels.push(count.conv(p7, p6)?);
            stage(names[levels.len() - 1].clone(), &mut count);
        } else if let (ExtraBlocks::MaxPool(pool), Some(deepest)) =
            (&self.fpn.extra_blocks, returned.last())
        {
            levels.push(pool.spec.output_size(*deepest)?);
            stage(names[levels.len() - 1].clone(), &mut count);
        }
        let heads = [
            (&self.head.classification_head, "logits"),
            (&self.head.regression_head, "regression"),
        ];
        for (head, kind) in heads {
            let PredictionHead { convs, output } = head;
            for size in &levels {
                convs.iter().try_fold(*size, |size, (conv, _)| count.conv(conv, size))?;
            }
            stage(format!("{kind}/tower"), &mut count);
            for (size, name) in levels.iter().zip(&names) {
                count.conv(output, *size)?;
                stage(format!("{kind}/{name}"), &mut count);
            }
        }
        Ok(stages)
    }
}
