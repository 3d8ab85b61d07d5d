//! The classification and regression heads, shared by all levels.

use serde::{Deserialize, Serialize};

use super::ModelError;
use super::conv_site::{ConvSite, Shift, build_each, same_conv};
use super::group_norm::{GroupNormConfig, GroupNormSite};
use super::plan::{Backend, Then, Walk};
#[cfg(any(feature = "training", feature = "candle"))]
use super::site::LayerMut;
use super::site::Site;
use super::tensor_source::{TensorSource, TensorsAt};
use crate::Result;
use crate::determinism::Init;
use crate::ops::{Arithmetic, Conv2d, GroupNorm};

/// -ln((1 - p) / p) for p = 0.01: at first, every anchor is an object with this probability (Lin et
/// al., "Focal Loss for Dense Object Detection", section 4.1).
const PRIOR_LOGIT: f64 = -4.59511985013459;

/// The initialisation of the heads' convolutions (the same paper).
const HEAD_INIT: Init = Init::Normal { mean: 0.0, stdev: 0.01 };

/// More convolutions than any head has.
const MAX_CONVS: usize = 64;
/// More output channels than a head can sensibly have (anchors x classes).
const MAX_OUTPUTS: usize = 1 << 20;

/// The shape of both heads.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HeadConfig {
    /// 3x3 convolutions before the last one.
    pub num_convs: usize,
    /// The norm after each of them. With one, the convolutions have no bias.
    pub group_norm: Option<GroupNormConfig>,
}

impl Default for HeadConfig {
    /// Four convolutions with GroupNorm: torchvision's v2 head.
    fn default() -> Self {
        Self { num_convs: 4, group_norm: Some(GroupNormConfig::default()) }
    }
}

impl HeadConfig {
    /// Checks heads over maps of `channels` with `outputs` channels in the last convolution.
    ///
    /// # Errors
    /// [`ModelError::Config`] naming the field.
    pub(crate) fn validate(&self, channels: usize, outputs: usize) -> Result<(), ModelError> {
        if self.num_convs > MAX_CONVS {
            let reason = format!("is {}; expected 0 to {MAX_CONVS}", self.num_convs);
            return Err(ModelError::config("head.num_convs", reason));
        }
        if let Some(GroupNormConfig { groups, eps }) = self.group_norm {
            if groups == 0 || !channels.is_multiple_of(groups) {
                let reason = format!("is {groups}, which does not divide {channels} channels");
                return Err(ModelError::config("head.group_norm.groups", reason));
            }
            if !(eps > 0.0 && eps <= 1.0) {
                let reason = format!("is {eps}; expected a value above 0, up to 1");
                return Err(ModelError::config("head.group_norm.eps", reason));
            }
        }
        if !(1..=MAX_OUTPUTS).contains(&outputs) {
            let reason = format!("would have {outputs} outputs; expected 1 to {MAX_OUTPUTS}");
            return Err(ModelError::config("head", reason));
        }
        Ok(())
    }
}

/// One of the two heads as a checkpoint stores it.
struct HeadSite<'a> {
    config: &'a HeadConfig,
    channels: usize,
    /// The last convolution's path.
    output: &'static str,
    outputs: usize,
    output_bias: f64,
}

impl HeadSite<'_> {
    fn conv(&self, index: usize) -> ConvSite {
        ConvSite {
            path: format!("conv.{index}.0"),
            spec: same_conv(self.channels, self.channels, 3, 1),
            init: HEAD_INIT,
            shift: match self.config.group_norm {
                Some(_) => Shift::None,
                None => Shift::Bias(0.0),
            },
        }
    }

    fn norm(&self, index: usize) -> Option<GroupNormSite> {
        self.config.group_norm.map(|config| GroupNormSite {
            path: format!("conv.{index}.1"),
            channels: self.channels,
            config,
        })
    }

    fn output(&self) -> ConvSite {
        ConvSite {
            path: self.output.to_owned(),
            spec: same_conv(self.channels, self.outputs, 3, 1),
            init: HEAD_INIT,
            shift: Shift::Bias(self.output_bias),
        }
    }

    /// All its layers, in torchvision's order.
    fn layers(&self) -> Vec<Site> {
        let mut layers = Vec::new();
        for index in 0..self.config.num_convs {
            layers.push(Site::Conv(self.conv(index)));
            layers.extend(self.norm(index).map(Site::GroupNorm));
        }
        layers.push(Site::Conv(self.output()));
        layers
    }

    fn build(&self, arithmetic: Arithmetic<'_>, tensors: &TensorsAt<'_>) -> Result<PredictionHead> {
        let layer = |&index: &usize| -> Result<(Conv2d, Option<GroupNorm>)> {
            let norm = self.norm(index);
            Ok((
                self.conv(index).build(arithmetic, tensors)?,
                norm.map(|norm| norm.build(arithmetic, tensors)).transpose()?,
            ))
        };
        Ok(PredictionHead {
            convs: build_each(&Vec::from_iter(0..self.config.num_convs), layer)?,
            output: self.output().build(arithmetic, tensors)?,
        })
    }
}

/// A head: a tower of 3x3 convolutions (each with an optional GroupNorm, then ReLU) and a last one
/// that predicts.
///
/// (N, channels, H, W) to (N, outputs, H, W).
#[derive(Debug, Clone)]
pub struct PredictionHead {
    /// The tower's convolutions and norms.
    pub(crate) convs: Vec<(Conv2d, Option<GroupNorm>)>,
    pub(crate) output: Conv2d,
}

impl PredictionHead {
    #[cfg(any(feature = "training", feature = "candle"))]
    pub(crate) fn layers_mut(&mut self) -> impl Iterator<Item = LayerMut<'_>> {
        let tower = self.convs.iter_mut().flat_map(|(conv, norm)| {
            [LayerMut::Conv(conv)].into_iter().chain(norm.as_mut().map(LayerMut::GroupNorm))
        });
        tower.chain([LayerMut::Conv(&mut self.output)])
    }

    /// The predictions of every map; the observer is told of the tower as `{kind}/tower`.
    pub(crate) fn walk<B: Backend>(
        &self,
        walk: &mut Walk<'_, B>,
        pyramid: &[B::Map],
        kind: &str,
    ) -> Result<Vec<B::Map>> {
        let mut current: Vec<B::Map> = Vec::new();
        for (conv, norm) in &self.convs {
            let from = if current.is_empty() { pyramid } else { &current };
            let then = if norm.is_none() { Then::Relu } else { Then::Nothing };
            let mut output = walk.backend.conv(conv, from, then)?;
            if let Some(norm) = norm {
                walk.backend.group_norm_relu(norm, &mut output)?;
            }
            walk.replace(&mut current, output);
        }
        walk.observe(&format!("{kind}/tower"), &current)?;
        let from = if current.is_empty() { pyramid } else { &current };
        let output = walk.backend.conv(&self.output, from, Then::Nothing)?;
        walk.backend.give_all(current);
        Ok(output)
    }
}

/// Both heads: `torchvision.models.detection.retinanet.RetinaNetHead`.
#[derive(Debug, Clone)]
pub struct RetinaNetHead {
    /// Channel a * num_classes + k holds the logit of class k at anchor a.
    pub classification_head: PredictionHead,
    /// Channel a * 4 + c holds coordinate c (dx, dy, dw, dh) of anchor a.
    pub regression_head: PredictionHead,
}

/// Both heads with their prefixes.
fn heads(
    config: &HeadConfig,
    channels: usize,
    num_anchors: usize,
    num_classes: usize,
) -> Result<[(&'static str, HeadSite<'_>); 2], ModelError> {
    // An overflow is too many outputs, which validation refuses.
    let outputs = num_anchors.saturating_mul(num_classes);
    config.validate(channels, outputs)?;
    let boxes = num_anchors.saturating_mul(4);
    config.validate(channels, boxes)?;
    let classification =
        HeadSite { config, channels, output: "cls_logits", outputs, output_bias: PRIOR_LOGIT };
    let regression =
        HeadSite { config, channels, output: "bbox_reg", outputs: boxes, output_bias: 0.0 };
    Ok([("classification_head", classification), ("regression_head", regression)])
}

/// The layers of both heads, in torchvision's order.
pub(crate) fn sites(
    config: &HeadConfig,
    channels: usize,
    num_anchors: usize,
    num_classes: usize,
) -> Result<Vec<Site>, ModelError> {
    let heads = heads(config, channels, num_anchors, num_classes)?;
    let under = |(prefix, head): (&'static str, HeadSite)| -> Vec<Site> {
        head.layers().into_iter().map(|site| site.under(prefix)).collect()
    };
    Ok(heads.into_iter().flat_map(under).collect())
}

impl RetinaNetHead {
    /// Loads both heads over maps of `channels` from `source`, where `classification_head` and
    /// `regression_head` are found.
    ///
    /// # Errors
    /// [`ModelError`] when the configuration makes no head or a tensor is missing, mis-shaped or
    /// not finite.
    pub fn new(
        config: &HeadConfig,
        channels: usize,
        num_anchors: usize,
        num_classes: usize,
        arithmetic: Arithmetic<'_>,
        source: impl TensorSource,
    ) -> Result<Self> {
        let tensors = TensorsAt::root(&source);
        let [classification, regression] = heads(config, channels, num_anchors, num_classes)?;
        let build =
            |(prefix, site): (&'static str, HeadSite)| site.build(arithmetic, &tensors.at(prefix));
        let (classification_head, regression_head) =
            rayon::join(|| build(classification), || build(regression));
        Ok(Self { classification_head: classification_head?, regression_head: regression_head? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn convolutions_have_a_bias_only_without_a_norm() {
        let names = |group_norm| -> Vec<String> {
            let config = HeadConfig { num_convs: 1, group_norm };
            let sites = sites(&config, 32, 9, 3).unwrap();
            let tensors = sites.iter().flat_map(Site::tensors);
            let names = tensors.map(|tensor| tensor.name);
            names.filter(|name| name.starts_with("regression_head.conv")).collect()
        };
        let plain = ["regression_head.conv.0.0.weight", "regression_head.conv.0.0.bias"];
        assert_eq!(names(None), plain);
        let normed = [
            "regression_head.conv.0.0.weight",
            "regression_head.conv.0.1.weight",
            "regression_head.conv.0.1.bias",
        ];
        assert_eq!(names(Some(GroupNormConfig::default())), normed);
    }

    #[test]
    fn wrong_values_are_named() {
        let check = |config: HeadConfig, channels, anchors, classes| {
            let sites = sites(&config, channels, anchors, classes);
            sites.err().map(|error| error.to_string()).unwrap_or_default()
        };
        let config = HeadConfig::default();
        assert!(check(config.clone(), 40, 9, 91).contains("head.group_norm.groups"));
        assert!(check(config.clone(), 64, usize::MAX, 91).contains("outputs"));
        assert!(check(config, 64, 9, 0).contains("outputs"));
        let deep = HeadConfig { num_convs: 1000, group_norm: None };
        assert!(check(deep, 64, 9, 91).contains("head.num_convs"));
    }
}
