//! The feature pyramid network and its extra levels.

use serde::{Deserialize, Serialize};

use super::ModelError;
use super::conv_site::{ConvSite, KAIMING_UNIFORM_FAN_IN, Shift, build_each, same_conv};
use super::plan::{Backend, Then, Walk};
use super::tensor_source::{TensorSource, TensorsAt};
use crate::Result;
use crate::ops::{Arithmetic, Conv2d, Conv2dSpec, MaxPool2d, MaxPool2dSpec, Relu, UpsampleAdd};

/// More channels than any backbone has.
const MAX_CHANNELS: usize = 1 << 13;

/// The levels above the pyramid's own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum ExtraLevels {
    /// P6 from the deepest backbone map (C5), P7 from relu(P6): torchvision's
    /// `LastLevelP6P7(in, out)` with in the backbone's channels.
    P6P7FromBackbone,
    /// P6 from the deepest pyramid map (P5), P7 from relu(P6): `LastLevelP6P7(out, out)`.
    P6P7FromPyramid,
    /// Every other pixel of the deepest pyramid map: `LastLevelMaxPool`.
    MaxPool,
    /// None.
    None,
}

impl ExtraLevels {
    /// How many levels these are.
    pub fn count(self) -> usize {
        match self {
            Self::P6P7FromBackbone | Self::P6P7FromPyramid => 2,
            Self::MaxPool => 1,
            Self::None => 0,
        }
    }
}

/// The shape of the feature pyramid.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FpnConfig {
    /// Channels of every level.
    pub out_channels: usize,
    /// The levels above the pyramid's own.
    pub extra_levels: ExtraLevels,
}

impl Default for FpnConfig {
    /// 256 channels (torchvision's only value for its published models) and P6/P7 from the backbone
    /// (v2).
    fn default() -> Self {
        Self { out_channels: 256, extra_levels: ExtraLevels::P6P7FromBackbone }
    }
}

impl FpnConfig {
    /// Checks the pyramid over backbone maps of `in_channels`, finest first.
    ///
    /// # Errors
    /// [`ModelError::Config`] naming the field.
    pub(crate) fn validate(&self, in_channels: &[usize]) -> Result<(), ModelError> {
        let channels = self.out_channels;
        if !(1..=MAX_CHANNELS).contains(&channels) {
            let reason = format!("is {channels}; expected 1 to {MAX_CHANNELS}");
            return Err(ModelError::config("fpn.out_channels", reason));
        }
        let Some(&deepest) = in_channels.last() else {
            return Err(ModelError::config("fpn", "has no backbone map to start from"));
        };
        if let Some(&wrong) = in_channels.iter().find(|c| !(1..=MAX_CHANNELS).contains(*c)) {
            let reason = format!("has a map of {wrong} channels; expected 1 to {MAX_CHANNELS}");
            return Err(ModelError::config("backbone", reason));
        }
        if self.extra_levels == ExtraLevels::P6P7FromBackbone && deepest == channels {
            let reason = format!(
                "takes P6 from the backbone's {deepest} channels, as many as the pyramid has; \
                 torchvision then takes it from the pyramid: write `p6_p7_from_pyramid`"
            );
            return Err(ModelError::config("fpn.extra_levels", reason));
        }
        Ok(())
    }

    fn conv(&self, path: String, in_channels: usize, kernel: usize, stride: usize) -> ConvSite {
        ConvSite {
            path,
            spec: same_conv(in_channels, self.out_channels, kernel, stride),
            init: KAIMING_UNIFORM_FAN_IN,
            shift: Shift::Bias(0.0),
        }
    }

    /// The lateral 1x1 convolutions.
    fn inner_blocks(&self, in_channels: &[usize]) -> Vec<ConvSite> {
        let maps = in_channels.iter().enumerate();
        maps.map(|(i, &channels)| self.conv(format!("inner_blocks.{i}.0"), channels, 1, 1))
            .collect()
    }

    /// The 3x3 convolutions after the additions.
    fn layer_blocks(&self, in_channels: &[usize]) -> Vec<ConvSite> {
        (0..in_channels.len())
            .map(|i| self.conv(format!("layer_blocks.{i}.0"), self.out_channels, 3, 1))
            .collect()
    }

    /// The convolutions that make P6 and P7.
    fn p6_p7(&self, in_channels: &[usize]) -> Option<[ConvSite; 2]> {
        let p6_in = match self.extra_levels {
            ExtraLevels::P6P7FromBackbone => *in_channels.last()?,
            ExtraLevels::P6P7FromPyramid => self.out_channels,
            ExtraLevels::MaxPool | ExtraLevels::None => return None,
        };
        Some([
            self.conv("extra_blocks.p6".to_owned(), p6_in, 3, 2),
            self.conv("extra_blocks.p7".to_owned(), self.out_channels, 3, 2),
        ])
    }

    /// All its convolutions, in torchvision's order.
    pub(crate) fn sites(&self, in_channels: &[usize]) -> Vec<ConvSite> {
        let mut sites = self.inner_blocks(in_channels);
        sites.extend(self.layer_blocks(in_channels));
        sites.extend(self.p6_p7(in_channels).into_iter().flatten());
        sites
    }
}

/// The levels above the pyramid's own, ready to run.
#[derive(Debug, Clone)]
pub(crate) enum ExtraBlocks {
    /// P6 and P7 by strided convolutions.
    P6P7 {
        p6: Conv2d,
        p7: Conv2d,
        /// Between the two; P6 itself has none.
        relu: Relu,
        /// Whether P6 starts at the deepest pyramid map.
        from_pyramid: bool,
    },
    /// Subsampling of the deepest pyramid map.
    MaxPool(MaxPool2d),
    /// None.
    None,
}

/// A feature pyramid network.
///
/// Lin et al., "Feature Pyramid Networks for Object Detection";
/// `torchvision.ops.FeaturePyramidNetwork`.
#[derive(Debug, Clone)]
pub struct Fpn {
    /// Lateral 1x1 convolutions, finest first.
    pub(crate) inner_blocks: Vec<Conv2d>,
    /// 3x3 convolutions after the additions, finest first.
    pub(crate) layer_blocks: Vec<Conv2d>,
    pub(crate) upsample_add: UpsampleAdd,
    pub(crate) extra_blocks: ExtraBlocks,
}

impl Fpn {
    /// Loads the pyramid over backbone maps of `in_channels` (finest first) from `source`, where
    /// `inner_blocks`, `layer_blocks` and `extra_blocks` are found.
    ///
    /// # Errors
    /// [`ModelError`] when the configuration makes no pyramid or a tensor is missing, mis-shaped or
    /// not finite.
    pub fn new(
        config: &FpnConfig,
        in_channels: &[usize],
        arithmetic: Arithmetic<'_>,
        source: impl TensorSource,
    ) -> Result<Self> {
        config.validate(in_channels)?;
        let tensors = TensorsAt::root(&source);
        let build = |sites: Vec<ConvSite>| -> Result<Vec<Conv2d>> {
            build_each(&sites, |site| site.build(arithmetic, &tensors))
        };
        let subsample = MaxPool2dSpec { kernel: [1, 1], stride: [2, 2], padding: [0, 0] };
        let extra_blocks = match config.p6_p7(in_channels) {
            Some([p6, p7]) => ExtraBlocks::P6P7 {
                p6: p6.build(arithmetic, &tensors)?,
                p7: p7.build(arithmetic, &tensors)?,
                relu: Relu::new(arithmetic.level),
                from_pyramid: config.extra_levels == ExtraLevels::P6P7FromPyramid,
            },
            None if config.extra_levels == ExtraLevels::MaxPool => {
                ExtraBlocks::MaxPool(MaxPool2d::new(arithmetic.level, subsample))
            }
            None => ExtraBlocks::None,
        };
        Ok(Self {
            inner_blocks: build(config.inner_blocks(in_channels))?,
            layer_blocks: build(config.layer_blocks(in_channels))?,
            upsample_add: UpsampleAdd::new(arithmetic.level),
            extra_blocks,
        })
    }

    #[cfg(any(feature = "training", feature = "candle"))]
    pub(crate) fn convs_mut(&mut self) -> impl Iterator<Item = &mut Conv2d> {
        let extra = match &mut self.extra_blocks {
            ExtraBlocks::P6P7 { p6, p7, .. } => vec![p6, p7],
            ExtraBlocks::MaxPool(_) | ExtraBlocks::None => Vec::new(),
        };
        self.inner_blocks.iter_mut().chain(&mut self.layer_blocks).chain(extra)
    }

    /// All levels' maps, finest first: [level][image]. `names` are what the observer is told.
    pub(crate) fn walk<B: Backend>(
        &self,
        walk: &mut Walk<'_, B>,
        stages: Vec<Vec<B::Map>>,
        names: &[String],
    ) -> Result<Vec<Vec<B::Map>>> {
        let mut levels: Vec<Vec<B::Map>> = Vec::new();
        let mut coarser: Vec<B::Map> = Vec::new();
        let blocks = self.inner_blocks.iter().zip(&self.layer_blocks);
        for (stage, (inner, layer)) in stages.iter().zip(blocks).rev() {
            let mut merged = walk.backend.conv(inner, stage, Then::Nothing)?;
            if !coarser.is_empty() {
                walk.backend.upsample_add(&self.upsample_add, &coarser, &mut merged)?;
            }
            levels.push(walk.backend.conv(layer, &merged, Then::Nothing)?);
            walk.replace(&mut coarser, merged);
        }
        walk.backend.give_all(coarser);
        levels.reverse();
        let (top, deepest) = (levels.last(), stages.last());
        let (Some(top), Some(deepest)) = (top, deepest) else { return Ok(Vec::new()) };
        match &self.extra_blocks {
            ExtraBlocks::P6P7 { p6, p7, relu, from_pyramid } => {
                let from = if *from_pyramid { top } else { deepest };
                let p6 = walk.backend.conv(p6, from, Then::Nothing)?;
                let positive = walk.backend.relu(relu, &p6)?;
                let p7 = walk.backend.conv(p7, &positive, Then::Nothing)?;
                walk.backend.give_all(positive);
                levels.extend([p6, p7]);
            }
            ExtraBlocks::MaxPool(pool) => {
                let pooled = walk.backend.max_pool(pool, top)?;
                levels.push(pooled);
            }
            ExtraBlocks::None => {}
        }
        walk.backend.give_all(stages.into_iter().flatten());
        for (name, level) in names.iter().zip(&levels) {
            walk.observe(name, level)?;
        }
        Ok(levels)
    }

    /// Channels of every level.
    pub fn out_channels(&self) -> usize {
        let Conv2dSpec { out_channels, .. } = *self.layer_blocks[0].spec();
        out_channels
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn p6_from_a_backbone_as_wide_as_the_pyramid_is_refused_as_torchvision_reads_it_otherwise() {
        let config = FpnConfig::default();
        let error = config.validate(&[128, 256]).unwrap_err().to_string();
        assert!(error.contains("p6_p7_from_pyramid"), "{error}");
        assert!(config.validate(&[128, 512]).is_ok());
    }

    #[test]
    fn channels_are_bounded() {
        for out_channels in [0, MAX_CHANNELS + 1, usize::MAX] {
            let config = FpnConfig { out_channels, ..FpnConfig::default() };
            let error = config.validate(&[64]).unwrap_err().to_string();
            assert!(error.contains("fpn.out_channels"), "{error}");
        }
    }
}
