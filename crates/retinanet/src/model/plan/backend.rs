//! What the network asks of whoever computes its layers, and of whoever watches.

use crate::Result;
use crate::ops::{Conv2d, GroupNorm, MaxPool2d, Relu, UpsampleAdd};

/// One image's map, wherever it is.
pub(crate) trait FeatureMap {
    /// Channels, height and width.
    fn shape(&self) -> [usize; 3];

    /// The values as (c, y, x).
    fn to_chw(&self) -> Result<Vec<f32>>;

    /// Returns when the values are there.
    fn wait(&self) -> Result<()> {
        Ok(())
    }
}

/// What follows a convolution and its bias, in the same step.
#[derive(Debug)]
pub(crate) enum Then<'a, M> {
    /// Nothing.
    Nothing,
    /// ReLU.
    Relu,
    /// One map for each input is added, then ReLU.
    AddRelu(&'a [M]),
}

impl<'a, M> Then<'a, M> {
    /// Whether it ends with ReLU.
    pub(crate) fn relu(&self) -> bool {
        !matches!(self, Self::Nothing)
    }

    /// What is added to the i-th output.
    pub(crate) fn residual(&self, i: usize) -> Option<&'a M> {
        match self {
            Self::AddRelu(maps) => Some(&maps[i]),
            Self::Nothing | Self::Relu => None,
        }
    }
}

/// Whoever computes layers. Every call takes all maps that go through a layer together.
pub(crate) trait Backend {
    /// One image's input: normalised planes R, G, B.
    type Canvas<'a>: FeatureMap;
    /// A feature map.
    type Map: FeatureMap;

    /// A convolution of canvases, with ReLU.
    fn stem(&mut self, conv: &Conv2d, canvases: &[Self::Canvas<'_>]) -> Result<Vec<Self::Map>>;

    /// A convolution and what follows it.
    fn conv(
        &mut self,
        conv: &Conv2d,
        inputs: &[Self::Map],
        then: Then<'_, Self::Map>,
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
    fn give_all(&mut self, maps: impl IntoIterator<Item = Self::Map>) {
        maps.into_iter().for_each(drop);
    }
}

/// One image's predictions, level by level, finest first.
#[derive(Debug)]
pub(crate) struct Predictions<M> {
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

/// A walk through the network in progress. Each part of the network says how it is walked, once, for
/// every backend.
pub(crate) struct Walk<'a, B> {
    pub(crate) backend: &'a mut B,
    pub(crate) observer: &'a mut dyn Observer,
}

impl<B: Backend> Walk<'_, B> {
    /// Tells the observer of a stage.
    pub(crate) fn observe(&mut self, stage: &str, maps: &[impl FeatureMap]) -> Result<()> {
        let maps: Vec<&dyn FeatureMap> = maps.iter().map(|map| map as &dyn FeatureMap).collect();
        self.observer.stage(stage, &maps)
    }

    /// Puts a layer's output in the place of its input, whose memory goes back.
    pub(crate) fn replace(&mut self, current: &mut Vec<B::Map>, output: Vec<B::Map>) {
        self.backend.give_all(std::mem::replace(current, output));
    }
}
