//! The backbone: ResNet v1.5 up to the last stage that is needed.

use serde::{Deserialize, Serialize};

use super::ModelError;
use super::batch_norm::BatchNormConfig;
use super::conv_site::{ConvSite, build_each, same_conv};
use super::plan::{Backend, Then, Walk};
use super::tensor_source::{TensorSource, TensorsAt};
use crate::Result;
use crate::ops::{Arithmetic, Conv2d, Conv2dSpec, MaxPool2d, MaxPool2dSpec};

/// Channels after the stem.
const STEM_CHANNELS: usize = 64;

/// How many layers a ResNet has, which fixes its blocks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "u32", into = "u32")]
#[non_exhaustive]
pub enum ResNetDepth {
    /// Basic blocks 2, 2, 2, 2.
    ResNet18,
    /// Basic blocks 3, 4, 6, 3.
    ResNet34,
    /// Bottlenecks 3, 4, 6, 3.
    ResNet50,
    /// Bottlenecks 3, 4, 23, 3.
    ResNet101,
    /// Bottlenecks 3, 8, 36, 3.
    ResNet152,
}

impl ResNetDepth {
    /// The number in its name.
    pub fn layers(self) -> u32 {
        match self {
            Self::ResNet18 => 18,
            Self::ResNet34 => 34,
            Self::ResNet50 => 50,
            Self::ResNet101 => 101,
            Self::ResNet152 => 152,
        }
    }

    /// Blocks of layer1 to layer4.
    fn blocks(self) -> [usize; 4] {
        match self {
            Self::ResNet18 => [2, 2, 2, 2],
            Self::ResNet34 | Self::ResNet50 => [3, 4, 6, 3],
            Self::ResNet101 => [3, 4, 23, 3],
            Self::ResNet152 => [3, 8, 36, 3],
        }
    }

    /// Whether its blocks are bottlenecks (1x1, 3x3, 1x1) rather than basic ones (3x3, 3x3).
    pub fn has_bottlenecks(self) -> bool {
        self.expansion() == 4
    }

    /// A block's output channels over its width.
    fn expansion(self) -> usize {
        match self {
            Self::ResNet18 | Self::ResNet34 => 1,
            Self::ResNet50 | Self::ResNet101 | Self::ResNet152 => 4,
        }
    }
}

impl TryFrom<u32> for ResNetDepth {
    type Error = ModelError;

    fn try_from(layers: u32) -> Result<Self, ModelError> {
        match layers {
            18 => Ok(Self::ResNet18),
            34 => Ok(Self::ResNet34),
            50 => Ok(Self::ResNet50),
            101 => Ok(Self::ResNet101),
            152 => Ok(Self::ResNet152),
            _ => Err(ModelError::UnsupportedPart {
                part: "backbone.depth",
                value: layers.to_string(),
                supported: "18, 34, 50, 101, 152",
            }),
        }
    }
}

impl From<ResNetDepth> for u32 {
    fn from(depth: ResNetDepth) -> Self {
        depth.layers()
    }
}

/// The level of `layer{layer}`'s output: a level-n map has one pixel for 2^n input pixels.
fn level_of(layer: usize) -> usize {
    layer + 1
}

/// Which ResNet, and which of its stages are wanted.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ResNetConfig {
    /// The number of layers.
    pub depth: ResNetDepth,
    /// The stages whose outputs are returned: 1 to 4 for `layer1` to `layer4` (C2 to C5), in
    /// increasing order. Stages after the last one are not built and need no weights.
    pub returned_layers: Vec<usize>,
    /// The batch norm after each convolution.
    pub batch_norm: BatchNormConfig,
}

impl Default for ResNetConfig {
    /// The backbone of `retinanet_resnet50_fpn_v2`: ResNet-50, layers 2 to 4 (`returned_layers=[2,
    /// 3, 4]`, as P2 makes too many anchors), plain batch norm.
    fn default() -> Self {
        Self {
            depth: ResNetDepth::ResNet50,
            returned_layers: vec![2, 3, 4],
            batch_norm: BatchNormConfig::PLAIN,
        }
    }
}

impl ResNetConfig {
    /// Channels of `layer{layer}`'s output, layer in 1..=4.
    fn layer_channels(&self, layer: usize) -> usize {
        (STEM_CHANNELS << (layer - 1)) * self.depth.expansion()
    }

    /// Channels of each returned map.
    pub fn returned_channels(&self) -> Vec<usize> {
        let layers = self.returned_layers.iter();
        layers.map(|&layer| self.layer_channels(layer)).collect()
    }

    /// The level of each returned map: a level-n map has one pixel for 2^n input pixels.
    pub fn returned_levels(&self) -> Vec<usize> {
        self.returned_layers.iter().copied().map(level_of).collect()
    }

    /// # Errors
    /// [`ModelError::Config`] naming the field.
    pub(crate) fn validate(&self) -> Result<(), ModelError> {
        let layers = &self.returned_layers;
        let in_range = layers.iter().all(|layer| (1..=4).contains(layer));
        if layers.is_empty() || !in_range || layers.windows(2).any(|pair| pair[0] >= pair[1]) {
            let reason = format!("is {layers:?}; expected stages from 1 to 4 in increasing order");
            return Err(ModelError::config("backbone.returned_layers", reason));
        }
        let eps = self.batch_norm.eps;
        if !(0.0..=1.0).contains(&eps) {
            let reason = format!("is {eps}; expected a value from 0 to 1");
            return Err(ModelError::config("backbone.batch_norm.eps", reason));
        }
        Ok(())
    }

    fn stem(&self) -> ConvSite {
        let spec = same_conv(3, STEM_CHANNELS, 7, 2);
        ConvSite::with_batch_norm("conv1", "bn1", spec, self.batch_norm)
    }

    /// The blocks of each stage that is built, with their paths.
    fn stages(&self) -> Vec<Vec<BlockSite>> {
        let last = self.returned_layers.last().copied().unwrap_or(0);
        let mut in_channels = STEM_CHANNELS;
        let mut stages = Vec::with_capacity(last);
        for (layer, &blocks) in (1..=last).zip(&self.depth.blocks()) {
            let out_channels = self.layer_channels(layer);
            let stage = (0..blocks).map(|index| {
                let site = BlockSite {
                    path: format!("layer{layer}.{index}"),
                    in_channels,
                    width: STEM_CHANNELS << (layer - 1),
                    out_channels,
                    stride: if index == 0 && layer > 1 { 2 } else { 1 },
                    batch_norm: self.batch_norm,
                };
                in_channels = out_channels;
                site
            });
            stages.push(stage.collect());
        }
        stages
    }

    /// All its convolutions, in torchvision's order.
    pub(crate) fn sites(&self) -> Vec<ConvSite> {
        let mut sites = vec![self.stem()];
        for block in self.stages().iter().flatten() {
            let own = block.convs().into_iter().chain(block.downsample());
            sites.extend(own.map(|site| site.under(&block.path)));
        }
        sites
    }
}

/// One residual block as a checkpoint stores it.
struct BlockSite {
    path: String,
    in_channels: usize,
    /// Channels of the inner convolutions.
    width: usize,
    out_channels: usize,
    stride: usize,
    batch_norm: BatchNormConfig,
}

impl BlockSite {
    /// The convolutions along the block. The stride is on the (first) 3x3: "v1.5".
    fn convs(&self) -> Vec<ConvSite> {
        let Self { in_channels, width, out_channels, stride, .. } = *self;
        let specs: Vec<Conv2dSpec> = if out_channels == width {
            vec![same_conv(in_channels, width, 3, stride), same_conv(width, width, 3, 1)]
        } else {
            vec![
                same_conv(in_channels, width, 1, 1),
                same_conv(width, width, 3, stride),
                same_conv(width, out_channels, 1, 1),
            ]
        };
        let sites = specs.into_iter().zip(1..).map(|(spec, number)| {
            let (conv, norm) = (format!("conv{number}"), format!("bn{number}"));
            ConvSite::with_batch_norm(&conv, &norm, spec, self.batch_norm)
        });
        sites.collect()
    }

    /// The shortcut's convolution, where the shape changes.
    fn downsample(&self) -> Option<ConvSite> {
        if self.stride == 1 && self.in_channels == self.out_channels {
            return None;
        }
        let spec = same_conv(self.in_channels, self.out_channels, 1, self.stride);
        let (conv, norm) = ("downsample.0", "downsample.1");
        Some(ConvSite::with_batch_norm(conv, norm, spec, self.batch_norm))
    }
}

/// A residual block: torchvision's `BasicBlock` or `Bottleneck`, batch norms folded.
///
/// (N, in, H, W) to (N, out, H', W'): relu(convs(x) + shortcut(x)), with a ReLU after each
/// convolution but the last.
#[derive(Debug, Clone)]
pub(crate) struct ResidualBlock {
    /// All convolutions but the last.
    pub(crate) inner: Vec<Conv2d>,
    /// The last one, which takes the shortcut as its residual.
    pub(crate) last: Conv2d,
    /// The shortcut; without one the input itself.
    pub(crate) downsample: Option<Conv2d>,
}

impl ResidualBlock {
    fn new(site: &BlockSite, arithmetic: Arithmetic<'_>, tensors: &TensorsAt<'_>) -> Result<Self> {
        let tensors = tensors.at(&site.path);
        let mut inner = build_each(&site.convs(), |conv| conv.build(arithmetic, &tensors))?;
        let downsample = site.downsample();
        Ok(Self {
            last: inner.pop().expect("every kind of block has at least two convolutions"),
            inner,
            downsample: downsample.map(|conv| conv.build(arithmetic, &tensors)).transpose()?,
        })
    }
}

impl ResidualBlock {
    fn walk<B: Backend>(&self, walk: &mut Walk<'_, B>, input: &[B::Map]) -> Result<Vec<B::Map>> {
        let shortcut = match &self.downsample {
            Some(conv) => Some(walk.backend.conv(conv, input, Then::Nothing)?),
            None => None,
        };
        let mut current: Vec<B::Map> = Vec::new();
        for conv in &self.inner {
            let from = if current.is_empty() { input } else { &current };
            let output = walk.backend.conv(conv, from, Then::Relu)?;
            walk.replace(&mut current, output);
        }
        let residuals = shortcut.as_deref().unwrap_or(input);
        let output = walk.backend.conv(&self.last, &current, Then::AddRelu(residuals))?;
        walk.backend.give_all(current.into_iter().chain(shortcut.into_iter().flatten()));
        Ok(output)
    }
}

/// A ResNet ("v1.5": the stride is on the 3x3 convolution), without pooling and classifier.
///
/// He et al., "Deep Residual Learning for Image Recognition"; `torchvision.models.resnet`. Batch
/// norms are folded into the convolutions at construction.
#[derive(Debug, Clone)]
pub struct ResNet {
    pub(crate) stem: Conv2d,
    pub(crate) max_pool: MaxPool2d,
    /// The blocks of `layer1`, `layer2`, ..., up to the last one returned.
    pub(crate) layers: Vec<Vec<ResidualBlock>>,
    /// Which of them are returned, 1 for `layer1`.
    pub(crate) returned_layers: Vec<usize>,
}

impl ResNet {
    /// Loads the backbone from `source`, where `conv1`, `bn1`, `layer1`, ... are found.
    ///
    /// # Errors
    /// [`ModelError`] when the configuration makes no network or a tensor is missing, mis-shaped or
    /// not finite.
    pub fn new(
        config: &ResNetConfig,
        arithmetic: Arithmetic<'_>,
        source: impl TensorSource,
    ) -> Result<Self> {
        config.validate()?;
        let tensors = TensorsAt::root(&source);
        let stage = |blocks: &Vec<BlockSite>| {
            build_each(blocks, |block| ResidualBlock::new(block, arithmetic, &tensors))
        };
        let pool = MaxPool2dSpec { kernel: [3, 3], stride: [2, 2], padding: [1, 1] };
        Ok(Self {
            stem: config.stem().build(arithmetic, &tensors)?,
            max_pool: MaxPool2d::new(arithmetic.level, pool),
            layers: build_each(&config.stages(), stage)?,
            returned_layers: config.returned_layers.clone(),
        })
    }

    #[cfg(any(feature = "training", feature = "candle"))]
    pub(crate) fn convs_mut(&mut self) -> impl Iterator<Item = &mut Conv2d> {
        let blocks = self.layers.iter_mut().flatten();
        let convs = blocks.flat_map(|block| {
            let ends = [&mut block.last].into_iter().chain(&mut block.downsample);
            block.inner.iter_mut().chain(ends)
        });
        [&mut self.stem].into_iter().chain(convs)
    }

    /// The returned stages' maps, finest first: [stage][image].
    pub(crate) fn walk<B: Backend>(
        &self,
        walk: &mut Walk<'_, B>,
        canvases: &[B::Canvas<'_>],
    ) -> Result<Vec<Vec<B::Map>>> {
        let stem = walk.backend.stem(&self.stem, canvases)?;
        walk.observe("stem", &stem)?;
        let mut current = walk.backend.max_pool(&self.max_pool, &stem)?;
        walk.backend.give_all(stem);
        walk.observe("pool", &current)?;
        let mut returned: Vec<Vec<B::Map>> = Vec::new();
        for (blocks, layer) in self.layers.iter().zip(1..) {
            for block in blocks {
                let input = match returned.last() {
                    Some(last) if current.is_empty() => last,
                    _ => &current,
                };
                let output = block.walk(walk, input)?;
                walk.replace(&mut current, output);
            }
            if self.returned_layers.contains(&layer) {
                walk.observe(&format!("C{}", level_of(layer)), &current)?;
                returned.push(std::mem::take(&mut current));
            } else {
                walk.observe(&format!("layer{layer}"), &current)?;
            }
        }
        Ok(returned)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::tensor_spec::TensorSpec;

    fn config(depth: ResNetDepth, returned_layers: &[usize]) -> ResNetConfig {
        ResNetConfig { depth, returned_layers: returned_layers.to_vec(), ..ResNetConfig::default() }
    }

    fn tensors(config: &ResNetConfig) -> Vec<TensorSpec> {
        config.sites().iter().flat_map(ConvSite::tensors).collect()
    }

    #[test]
    fn parameter_counts_are_those_of_the_published_networks() {
        // torchvision's counts of the whole networks, less their `fc` layers.
        for (depth, expected) in [
            (ResNetDepth::ResNet18, 11_689_512 - 513_000),
            (ResNetDepth::ResNet34, 21_797_672 - 513_000),
            (ResNetDepth::ResNet50, 25_557_032 - 2_049_000),
            (ResNetDepth::ResNet101, 44_549_160 - 2_049_000),
            (ResNetDepth::ResNet152, 60_192_808 - 2_049_000),
        ] {
            let tensors = tensors(&config(depth, &[4]));
            let parameters = tensors.iter().filter(|tensor| tensor.is_parameter);
            let count: usize = parameters.map(|t| t.shape.iter().product::<usize>()).sum();
            assert_eq!(count, expected, "{depth:?}");
        }
    }

    #[test]
    fn stages_after_the_last_returned_one_need_no_weights() {
        let tensors = tensors(&config(ResNetDepth::ResNet18, &[2, 3]));
        assert!(tensors.iter().any(|t| t.name.starts_with("layer3.")));
        assert!(tensors.iter().all(|t| !t.name.starts_with("layer4.")));
    }

    #[test]
    fn only_the_first_block_of_a_stage_downsamples_and_basic_layer1_never() {
        let names = |depth| -> Vec<String> {
            let tensors = tensors(&config(depth, &[2])).into_iter();
            let names = tensors.map(|t| t.name);
            names.filter(|n| n.ends_with("downsample.0.weight")).collect()
        };
        assert_eq!(names(ResNetDepth::ResNet18), ["layer2.0.downsample.0.weight"]);
        let bottleneck = ["layer1.0.downsample.0.weight", "layer2.0.downsample.0.weight"];
        assert_eq!(names(ResNetDepth::ResNet50), bottleneck);
    }

    #[test]
    fn returned_layers_must_rise_from_1_to_4() {
        for wrong in [&[][..], &[0], &[5], &[3, 2], &[2, 2]] {
            let error = config(ResNetDepth::ResNet18, wrong).validate().unwrap_err();
            assert!(error.to_string().contains("returned_layers"), "{error}");
        }
    }
}
