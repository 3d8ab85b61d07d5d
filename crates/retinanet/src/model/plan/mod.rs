//! Inference without tensors: the same layers and the same bits as [`RetinaNet::forward`], on maps
//! that stay in their device's own layout and in memory that is reused.
//!
//! All images of a call, and all levels of a head, go through a layer together, so that its weights
//! are read once; each keeps its own canvas, so that none can change another.

mod cpu;
#[cfg(feature = "cuda")]
mod cuda;
#[cfg(feature = "cudnn")]
mod cudnn;
mod workspace;

#[cfg(test)]
mod tests;

pub(crate) use cpu::Canvas;
#[cfg(feature = "cuda")]
pub(crate) use cuda::OnGpu;
#[cfg(feature = "cudnn")]
pub(crate) use cudnn::{OnCudnn, canonical};
pub(crate) use workspace::{Map, Workspace};

use super::fpn::ExtraBlocks;
use super::resnet::ResidualBlock;
use super::{Fpn, PredictionHead, ResNet, RetinaNet};
use crate::Result;
use crate::ops::{Conv2d, GroupNorm, MaxPool2d, Relu, UpsampleAdd};

/// One image's map, wherever it is.
pub(crate) trait FeatureMap {
    /// Channels, height and width.
    fn shape(&self) -> [usize; 3];

    /// The values as (c, y, x).
    fn to_chw(&self) -> Result<Vec<f32>>;

    /// Returns when the values are there.
    fn wait(&self) -> Result<()>;
}

/// A device's layers. Every call takes all maps that go through a layer together.
pub(crate) trait Backend {
    /// One image's input: normalised planes R, G, B.
    type Canvas<'a>: FeatureMap;
    /// A feature map.
    type Map: FeatureMap;

    /// A convolution of canvases, with ReLU.
    fn stem(&mut self, conv: &Conv2d, canvases: &[Self::Canvas<'_>]) -> Result<Vec<Self::Map>>;

    /// A convolution, with a residual and ReLU where asked.
    fn conv(
        &mut self,
        conv: &Conv2d,
        inputs: &[Self::Map],
        residuals: Option<&[Self::Map]>,
        relu: bool,
    ) -> Result<Vec<Self::Map>>;

    /// Group normalisation and ReLU, in place.
    fn group_norm_relu(&mut self, norm: &GroupNorm, maps: &mut [Self::Map]) -> Result<()>;

    /// Max-pooling.
    fn max_pool(&mut self, pool: &MaxPool2d, inputs: &[Self::Map]) -> Result<Vec<Self::Map>>;

    /// ReLU.
    fn relu(&mut self, relu: &Relu, inputs: &[Self::Map]) -> Result<Vec<Self::Map>>;

    /// Adds the upsampled coarser maps to the finer ones.
    fn upsample_add(
        &mut self,
        op: &UpsampleAdd,
        coarser: &[Self::Map],
        finer: &mut [Self::Map],
    ) -> Result<()>;

    /// Takes the memory of maps back.
    fn give_all(&mut self, maps: impl IntoIterator<Item = Self::Map>);
}

/// One image's predictions, level by level, finest first.
#[derive(Debug)]
pub(crate) struct Predictions<M = Map> {
    /// Channel a * K + k is the logit of class k at anchor a.
    pub(crate) cls_logits: Vec<M>,
    /// Channel a * 4 + c is coordinate c (dx, dy, dw, dh) of anchor a.
    pub(crate) bbox_regression: Vec<M>,
}

/// Told of every stage's maps, one per image, as soon as they are there.
pub(crate) trait Observer {
    /// `stage` is "input", "C3", "P3", "logits/P3", "regression/P3", ... or a step between them.
    fn stage(&mut self, stage: &str, maps: &[&dyn FeatureMap]) -> Result<()>;
}

/// Nobody looks.
pub(crate) struct NoObserver;

impl Observer for NoObserver {
    fn stage(&mut self, _: &str, _: &[&dyn FeatureMap]) -> Result<()> {
        Ok(())
    }
}

/// A run in progress.
struct Run<'a, B> {
    backend: &'a mut B,
    observer: &'a mut dyn Observer,
}

impl RetinaNet {
    /// The predictions for each canvas: bit for bit those of [`RetinaNet::forward`] on it alone.
    ///
    /// # Errors
    /// A canvas is too small, or what the observer reports.
    pub(crate) fn run<B: Backend>(
        &self,
        canvases: &[B::Canvas<'_>],
        backend: &mut B,
        observer: &mut dyn Observer,
    ) -> Result<Vec<Predictions<B::Map>>> {
        if canvases.is_empty() {
            return Ok(Vec::new());
        }
        let mut run = Run { backend, observer };
        run.observe("input", canvases)?;
        let maps = run.backbone(&self.backbone, canvases, &self.backbone_names())?;
        let names = self.pyramid_names();
        let pyramid = run.pyramid(&self.fpn, maps, &names)?;
        let images = canvases.len();
        let cls_logits =
            run.head(&self.head.classification_head, &pyramid, "logits", &names, images)?;
        let regression =
            run.head(&self.head.regression_head, &pyramid, "regression", &names, images)?;
        run.backend.give_all(pyramid);
        let pairs = cls_logits.into_iter().zip(regression);
        Ok(pairs
            .map(|(cls_logits, bbox_regression)| Predictions { cls_logits, bbox_regression })
            .collect())
    }
}

impl<B: Backend> Run<'_, B> {
    /// The returned stages' maps: [stage][image].
    fn backbone(
        &mut self,
        resnet: &ResNet,
        canvases: &[B::Canvas<'_>],
        names: &[String],
    ) -> Result<Vec<Vec<B::Map>>> {
        let stem = self.backend.stem(&resnet.stem, canvases)?;
        self.observe("stem", &stem)?;
        let mut current = self.backend.max_pool(&resnet.max_pool, &stem)?;
        self.backend.give_all(stem);
        self.observe("pool", &current)?;
        let mut returned: Vec<Vec<B::Map>> = Vec::new();
        for (blocks, layer) in resnet.layers.iter().zip(1..) {
            for block in blocks {
                let input = match returned.last() {
                    Some(last) if current.is_empty() => last,
                    _ => &current,
                };
                let output = self.residual_block(block, input)?;
                self.backend.give_all(std::mem::replace(&mut current, output));
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

    fn residual_block(&mut self, block: &ResidualBlock, input: &[B::Map]) -> Result<Vec<B::Map>> {
        let shortcut = match &block.downsample {
            Some(conv) => Some(self.backend.conv(conv, input, None, false)?),
            None => None,
        };
        let mut current: Vec<B::Map> = Vec::new();
        for conv in &block.inner {
            let from = if current.is_empty() { input } else { &current };
            let output = self.backend.conv(conv, from, None, true)?;
            self.backend.give_all(std::mem::replace(&mut current, output));
        }
        let output = self.backend.conv(
            &block.last,
            &current,
            Some(shortcut.as_deref().unwrap_or(input)),
            true,
        )?;
        self.backend.give_all(current.into_iter().chain(shortcut.into_iter().flatten()));
        Ok(output)
    }

    /// All levels' maps: those of the finest level first, one per image.
    fn pyramid(
        &mut self,
        fpn: &Fpn,
        stages: Vec<Vec<B::Map>>,
        names: &[String],
    ) -> Result<Vec<B::Map>> {
        let mut levels: Vec<Vec<B::Map>> = Vec::new();
        let mut coarser: Vec<B::Map> = Vec::new();
        let blocks = fpn.inner_blocks.iter().zip(&fpn.layer_blocks);
        for (stage, (inner, layer)) in stages.iter().zip(blocks).rev() {
            let mut merged = self.backend.conv(inner, stage, None, false)?;
            if !coarser.is_empty() {
                self.backend.upsample_add(&fpn.upsample_add, &coarser, &mut merged)?;
            }
            levels.push(self.backend.conv(layer, &merged, None, false)?);
            self.backend.give_all(std::mem::replace(&mut coarser, merged));
        }
        self.backend.give_all(coarser);
        levels.reverse();
        let (top, deepest) = (levels.last(), stages.last());
        let (Some(top), Some(deepest)) = (top, deepest) else { return Ok(Vec::new()) };
        match &fpn.extra_blocks {
            ExtraBlocks::P6P7 { p6, p7, relu, from_pyramid } => {
                let p6 = self.backend.conv(
                    p6,
                    if *from_pyramid { top } else { deepest },
                    None,
                    false,
                )?;
                let positive = self.backend.relu(relu, &p6)?;
                let p7 = self.backend.conv(p7, &positive, None, false)?;
                self.backend.give_all(positive);
                levels.extend([p6, p7]);
            }
            ExtraBlocks::MaxPool(pool) => {
                let pooled = self.backend.max_pool(pool, top)?;
                levels.push(pooled);
            }
            ExtraBlocks::None => {}
        }
        self.backend.give_all(stages.into_iter().flatten());
        for (name, level) in names.iter().zip(&levels) {
            self.observe(name, level)?;
        }
        Ok(levels.into_iter().flatten().collect())
    }

    /// One head's predictions: [image][level]. `pyramid` lists the images of each level.
    fn head(
        &mut self,
        head: &PredictionHead,
        pyramid: &[B::Map],
        kind: &str,
        names: &[String],
        images: usize,
    ) -> Result<Vec<Vec<B::Map>>> {
        let mut current: Vec<B::Map> = Vec::new();
        for (conv, norm) in &head.convs {
            let from = if current.is_empty() { pyramid } else { &current };
            let mut output = self.backend.conv(conv, from, None, norm.is_none())?;
            if let Some(norm) = norm {
                self.backend.group_norm_relu(norm, &mut output)?;
            }
            self.backend.give_all(std::mem::replace(&mut current, output));
        }
        self.observe(&format!("{kind}/tower"), &current)?;
        let from = if current.is_empty() { pyramid } else { &current };
        let output = self.backend.conv(&head.output, from, None, false)?;
        self.backend.give_all(current);
        for (name, level) in names.iter().zip(output.chunks(images)) {
            self.observe(&format!("{kind}/{name}"), level)?;
        }
        let mut by_image: Vec<Vec<B::Map>> =
            (0..images).map(|_| Vec::with_capacity(names.len())).collect();
        for (i, map) in output.into_iter().enumerate() {
            by_image[i % images].push(map);
        }
        Ok(by_image)
    }

    fn observe(&mut self, stage: &str, maps: &[impl FeatureMap]) -> Result<()> {
        let maps: Vec<&dyn FeatureMap> = maps.iter().map(|map| map as &dyn FeatureMap).collect();
        self.observer.stage(stage, &maps)
    }
}
