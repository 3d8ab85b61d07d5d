//! Inference without tensors: the same layers and the same bits as [`RetinaNet::forward`], on maps
//! that stay in the kernels' layout and in memory that is reused.
//!
//! All images of a call, and all levels of a head, go through a layer together, so that its weights
//! are read once; each keeps its own canvas, so that none can change another.

mod workspace;

#[cfg(test)]
mod tests;

use retinanet_kernels::conv2d::{Input, Item};
use retinanet_kernels::layout::BlockedShape;
use retinanet_kernels::{norm, pointwise, pool, upsample};

pub(crate) use workspace::{Map, Workspace};

use super::fpn::ExtraBlocks;
use super::resnet::ResidualBlock;
use super::{Fpn, PredictionHead, ResNet, RetinaNet};
use crate::Result;
use crate::ops::{Conv2d, MaxPool2d};

/// One image's input: normalised planes R, G, B of (height, width).
#[derive(Debug, Clone, Copy)]
pub(crate) struct Canvas<'a> {
    pub(crate) data: &'a [f32],
    pub(crate) size: [usize; 2],
}

/// One image's predictions, level by level, finest first.
#[derive(Debug)]
pub(crate) struct Predictions {
    /// Channel a * K + k is the logit of class k at anchor a.
    pub(crate) cls_logits: Vec<Map>,
    /// Channel a * 4 + c is coordinate c (dx, dy, dw, dh) of anchor a.
    pub(crate) bbox_regression: Vec<Map>,
}

/// Told of every stage's maps, one per image, as soon as they are there.
pub(crate) trait Observer {
    /// `stage` is "C3", "P3", "logits/P3", "regression/P3", ... or a step between them.
    fn stage(&mut self, stage: &str, maps: &[Map]) -> Result<()>;
}

/// Nobody looks.
pub(crate) struct NoObserver;

impl Observer for NoObserver {
    fn stage(&mut self, _: &str, _: &[Map]) -> Result<()> {
        Ok(())
    }
}

/// A run in progress.
struct Run<'a> {
    workspace: &'a mut Workspace,
    observer: &'a mut dyn Observer,
}

impl RetinaNet {
    /// The predictions for each canvas: bit for bit those of [`RetinaNet::forward`] on it alone.
    ///
    /// # Errors
    /// A canvas is too small, or what the observer reports.
    pub(crate) fn run(
        &self,
        canvases: &[Canvas<'_>],
        workspace: &mut Workspace,
        observer: &mut dyn Observer,
    ) -> Result<Vec<Predictions>> {
        if canvases.is_empty() {
            return Ok(Vec::new());
        }
        let mut run = Run { workspace, observer };
        let maps = run.backbone(&self.backbone, canvases, &self.backbone_names())?;
        let names = self.pyramid_names();
        let pyramid = run.pyramid(&self.fpn, maps, &names)?;
        let images = canvases.len();
        let cls_logits =
            run.head(&self.head.classification_head, &pyramid, "logits", &names, images)?;
        let regression =
            run.head(&self.head.regression_head, &pyramid, "regression", &names, images)?;
        run.workspace.give_all(pyramid);
        let pairs = cls_logits.into_iter().zip(regression);
        Ok(pairs
            .map(|(cls_logits, bbox_regression)| Predictions { cls_logits, bbox_regression })
            .collect())
    }
}

impl Run<'_> {
    /// The returned stages' maps: [stage][image].
    fn backbone(
        &mut self,
        resnet: &ResNet,
        canvases: &[Canvas<'_>],
        names: &[String],
    ) -> Result<Vec<Vec<Map>>> {
        let inputs: Vec<_> = canvases
            .iter()
            .map(|canvas| Input::Planar { data: canvas.data, size: canvas.size })
            .collect();
        let stem = self.convolve(&resnet.stem, &inputs, None, true)?;
        self.observe("stem", &stem)?;
        let mut current = self.max_pool(&resnet.max_pool, &stem)?;
        self.workspace.give_all(stem);
        self.observe("pool", &current)?;
        let mut returned: Vec<Vec<Map>> = Vec::new();
        for (blocks, layer) in resnet.layers.iter().zip(1..) {
            for block in blocks {
                let input = match returned.last() {
                    Some(last) if current.is_empty() => last,
                    _ => &current,
                };
                let output = self.residual_block(block, input)?;
                self.workspace.give_all(std::mem::replace(&mut current, output));
            }
            if resnet.returned_layers.contains(&layer) {
                self.observe(&names[returned.len()], &current)?;
                returned.push(std::mem::take(&mut current));
            } else {
                self.observe(&format!("layer{layer}"), &current)?;
            }
        }
        Ok(returned)
    }

    fn residual_block(&mut self, block: &ResidualBlock, input: &[Map]) -> Result<Vec<Map>> {
        let shortcut = match &block.downsample {
            Some(conv) => Some(self.conv(conv, input, None, false)?),
            None => None,
        };
        let mut current: Vec<Map> = Vec::new();
        for conv in &block.inner {
            let from = if current.is_empty() { input } else { &current };
            let output = self.conv(conv, from, None, true)?;
            self.workspace.give_all(std::mem::replace(&mut current, output));
        }
        let output =
            self.conv(&block.last, &current, Some(shortcut.as_deref().unwrap_or(input)), true)?;
        self.workspace.give_all(current.into_iter().chain(shortcut.into_iter().flatten()));
        Ok(output)
    }

    /// All levels' maps: those of the finest level first, one per image.
    fn pyramid(&mut self, fpn: &Fpn, stages: Vec<Vec<Map>>, names: &[String]) -> Result<Vec<Map>> {
        let mut levels: Vec<Vec<Map>> = Vec::new();
        let mut coarser: Vec<Map> = Vec::new();
        let blocks = fpn.inner_blocks.iter().zip(&fpn.layer_blocks);
        for (stage, (inner, layer)) in stages.iter().zip(blocks).rev() {
            let mut merged = self.conv(inner, stage, None, false)?;
            for (coarser, merged) in coarser.iter().zip(&mut merged) {
                upsample::upsample_nearest_add_in_place(
                    fpn.upsample_add.level,
                    coarser.as_ref()?,
                    &mut merged.as_mut()?,
                )?;
            }
            levels.push(self.conv(layer, &merged, None, false)?);
            self.workspace.give_all(std::mem::replace(&mut coarser, merged));
        }
        self.workspace.give_all(coarser);
        levels.reverse();
        let (top, deepest) = (levels.last(), stages.last());
        let (Some(top), Some(deepest)) = (top, deepest) else { return Ok(Vec::new()) };
        match &fpn.extra_blocks {
            ExtraBlocks::P6P7 { p6, p7, relu, from_pyramid } => {
                let p6 = self.conv(p6, if *from_pyramid { top } else { deepest }, None, false)?;
                let mut positive = Vec::with_capacity(p6.len());
                for map in &p6 {
                    let mut output = self.workspace.take(map.shape());
                    pointwise::relu(relu.level, map.as_ref()?.data(), output.as_mut()?.data())?;
                    positive.push(output);
                }
                let p7 = self.conv(p7, &positive, None, false)?;
                self.workspace.give_all(positive);
                levels.extend([p6, p7]);
            }
            ExtraBlocks::MaxPool(pool) => {
                let pooled = self.max_pool(pool, top)?;
                levels.push(pooled);
            }
            ExtraBlocks::None => {}
        }
        self.workspace.give_all(stages.into_iter().flatten());
        for (name, level) in names.iter().zip(&levels) {
            self.observe(name, level)?;
        }
        Ok(levels.into_iter().flatten().collect())
    }

    /// One head's predictions: [image][level]. `pyramid` lists the images of each level.
    fn head(
        &mut self,
        head: &PredictionHead,
        pyramid: &[Map],
        kind: &str,
        names: &[String],
        images: usize,
    ) -> Result<Vec<Vec<Map>>> {
        let mut current: Vec<Map> = Vec::new();
        for (conv, norm) in &head.convs {
            let from = if current.is_empty() { pyramid } else { &current };
            let mut output = self.conv(conv, from, None, norm.is_none())?;
            if let Some(norm) = norm {
                for map in &mut output {
                    let mut map = map.as_mut()?;
                    norm::group_norm_in_place(
                        norm.level,
                        &norm.spec,
                        &norm.weight,
                        &norm.bias,
                        true,
                        &mut map,
                    )?;
                }
            }
            self.workspace.give_all(std::mem::replace(&mut current, output));
        }
        self.observe(&format!("{kind}/tower"), &current)?;
        let from = if current.is_empty() { pyramid } else { &current };
        let output = self.conv(&head.output, from, None, false)?;
        self.workspace.give_all(current);
        for (name, level) in names.iter().zip(output.chunks(images)) {
            self.observe(&format!("{kind}/{name}"), level)?;
        }
        let mut by_image: Vec<Vec<Map>> =
            (0..images).map(|_| Vec::with_capacity(names.len())).collect();
        for (i, map) in output.into_iter().enumerate() {
            by_image[i % images].push(map);
        }
        Ok(by_image)
    }

    fn conv(
        &mut self,
        conv: &Conv2d,
        inputs: &[Map],
        residuals: Option<&[Map]>,
        relu: bool,
    ) -> Result<Vec<Map>> {
        if conv.kernel.takes_planar() {
            // Fewer than sixteen channels, as only a small pyramid of one's own has.
            let planes = inputs.iter().map(Map::to_chw).collect::<Result<Vec<_>>>()?;
            let sizes = inputs.iter().map(|map| map.shape().size());
            let inputs: Vec<_> =
                planes.iter().zip(sizes).map(|(data, size)| Input::Planar { data, size }).collect();
            return self.convolve(conv, &inputs, residuals, relu);
        }
        let inputs = inputs
            .iter()
            .map(|map| Ok(Input::Blocked(map.as_ref()?)))
            .collect::<Result<Vec<_>>>()?;
        self.convolve(conv, &inputs, residuals, relu)
    }

    fn convolve(
        &mut self,
        conv: &Conv2d,
        inputs: &[Input<'_>],
        residuals: Option<&[Map]>,
        relu: bool,
    ) -> Result<Vec<Map>> {
        let mut outputs = Vec::with_capacity(inputs.len());
        for input in inputs {
            let size = conv.kernel.output_size(input.size())?;
            outputs.push(self.workspace.take(BlockedShape::new(conv.spec().out_channels, size)));
        }
        let mut items = Vec::with_capacity(inputs.len());
        for (i, (input, output)) in inputs.iter().zip(&mut outputs).enumerate() {
            let residual = residuals.map(|maps| maps[i].as_ref()).transpose()?;
            items.push(Item { input: *input, residual, output: output.as_mut()? });
        }
        conv.kernel.forward(&mut items, relu)?;
        Ok(outputs)
    }

    fn max_pool(&mut self, max_pool: &MaxPool2d, inputs: &[Map]) -> Result<Vec<Map>> {
        let mut outputs = Vec::with_capacity(inputs.len());
        for input in inputs {
            let size = max_pool.spec.output_size(input.shape().size())?;
            let mut output = self.workspace.take(BlockedShape::new(input.shape().channels, size));
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

    fn observe(&mut self, stage: &str, maps: &[Map]) -> Result<()> {
        self.observer.stage(stage, maps)
    }
}
