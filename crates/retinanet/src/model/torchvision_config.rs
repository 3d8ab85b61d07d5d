//! The configuration of a torchvision model in its constructor's words, as self-describing
//! checkpoints carry it in their metadata.

#[cfg(test)]
mod tests;

use std::fmt::Debug;

use serde::Deserialize;

use super::{
    AnchorConfig, BatchNormConfig, ExtraLevels, FpnConfig, GroupNormConfig, HeadConfig, ModelError,
    ResNetConfig, ResNetDepth, RetinaNetConfig,
};
use crate::image::TransformConfig;
use crate::postprocess::PostprocessConfig;

const MODEL: &str = "torchvision.models.detection.RetinaNet";

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Document {
    model: String,
    backbone: Backbone,
    fpn: Fpn,
    anchors: Anchors,
    head: Head,
    num_classes: usize,
    categories: Option<Vec<String>>,
    transform: Transform,
    postprocess: Postprocess,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Backbone {
    r#type: String,
    depth: u32,
    block: Option<String>,
    returned_stages: Vec<String>,
    strides: Option<Vec<usize>>,
    norm: String,
    norm_eps: f64,
    layer4: Option<bool>,
    input: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Fpn {
    in_channels: Option<Vec<usize>>,
    out_channels: usize,
    extra_levels: Option<String>,
    extra_levels_in: Option<String>,
    strides: Option<Vec<usize>>,
    norm: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Anchors {
    base_sizes: Option<Vec<f32>>,
    sizes: Vec<Vec<f32>>,
    aspect_ratios: Vec<Vec<f32>>,
    num_per_location: Option<usize>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Head {
    num_convs: usize,
    norm: Option<String>,
    group_norm_groups: Option<usize>,
    group_norm_eps: Option<f32>,
    box_loss: Option<String>,
    box_coder_weights: Option<[f32; 4]>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Transform {
    min_size: usize,
    max_size: usize,
    size_divisible: Option<usize>,
    fixed_size: Option<[usize; 2]>,
    image_mean: [f32; 3],
    image_std: [f32; 3],
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Postprocess {
    score_thresh: f64,
    nms_thresh: f64,
    detections_per_img: usize,
    topk_candidates: usize,
}

/// Reads the form; what it says twice must agree.
pub(super) fn read(text: &str) -> Result<RetinaNetConfig, ModelError> {
    let document: Document = serde_json::from_str(text).map_err(ModelError::syntax)?;
    supported("model", &document.model, &[MODEL], MODEL)?;
    let backbone = document.backbone.read()?;
    let fpn = document.fpn.read(&backbone)?;
    let anchors = document.anchors.read()?;
    let (head, box_coder_weights) = document.head.read()?;
    let postprocess = PostprocessConfig {
        score_thresh: document.postprocess.score_thresh,
        nms_thresh: document.postprocess.nms_thresh,
        detections_per_img: document.postprocess.detections_per_img,
        topk_candidates: document.postprocess.topk_candidates,
        box_coder_weights,
    };
    Ok(RetinaNetConfig {
        backbone,
        fpn,
        anchors,
        head,
        num_classes: document.num_classes,
        transform: document.transform.read(),
        postprocess,
        categories: document.categories,
    })
}

/// Refuses a `value` that is not one of `known`.
fn supported(
    part: &'static str,
    value: &str,
    known: &[&str],
    supported: &'static str,
) -> Result<(), ModelError> {
    if known.contains(&value) {
        return Ok(());
    }
    Err(ModelError::UnsupportedPart { part, value: format!("{value:?}"), supported })
}

/// Refuses a `stated` value that contradicts what the other parts make.
fn agree<T: PartialEq + Debug>(field: &str, stated: &T, made: &T) -> Result<(), ModelError> {
    if stated == made {
        return Ok(());
    }
    let reason = format!("is {stated:?} where the other parts make {made:?}");
    Err(ModelError::config(field, reason))
}

fn strides(levels: &[usize]) -> Vec<usize> {
    levels.iter().map(|level| 1 << level).collect()
}

impl Backbone {
    fn read(self) -> Result<ResNetConfig, ModelError> {
        supported("backbone.type", &self.r#type, &["resnet"], "\"resnet\"")?;
        let depth = ResNetDepth::try_from(self.depth)?;
        if let Some(block) = &self.block {
            let known = ["basic", "bottleneck"];
            supported("backbone.block", block, &known, "\"basic\", \"bottleneck\"")?;
            let made = known[usize::from(depth.has_bottlenecks())];
            agree("backbone.block", &block.as_str(), &made)?;
        }
        if let Some(input) = &self.input {
            supported("backbone.input", input, &["RGB"], "\"RGB\"")?;
        }
        let norms = ["frozen_batch_norm", "batch_norm"];
        let names = "\"frozen_batch_norm\", \"batch_norm\"";
        supported("backbone.norm", &self.norm, &norms, names)?;
        let stages = ["layer1", "layer2", "layer3", "layer4"];
        let names = "\"layer1\" to \"layer4\"";
        let mut returned_layers = Vec::new();
        for stage in &self.returned_stages {
            supported("backbone.returned_stages", stage, &stages, names)?;
            let position = stages.iter().position(|name| name == stage);
            returned_layers.extend(position.map(|position| position + 1));
        }
        let config = ResNetConfig {
            depth,
            returned_layers,
            batch_norm: BatchNormConfig { frozen: self.norm == norms[0], eps: self.norm_eps },
        };
        config.validate()?;
        if let Some(stated) = &self.strides {
            agree("backbone.strides", stated, &strides(&config.returned_levels()))?;
        }
        if let Some(stated) = &self.layer4 {
            // Stages after the last one returned are never built.
            agree("backbone.layer4", stated, &config.returned_layers.contains(&4))?;
        }
        Ok(config)
    }
}

impl Fpn {
    fn read(self, backbone: &ResNetConfig) -> Result<FpnConfig, ModelError> {
        if let Some(norm) = &self.norm {
            supported("fpn.norm", norm, &[], "null")?;
        }
        let in_channels = backbone.returned_channels();
        if let Some(stated) = &self.in_channels {
            agree("fpn.in_channels", stated, &in_channels)?;
        }
        let extra_levels = match (self.extra_levels.as_deref(), &self.extra_levels_in) {
            (Some("p6p7"), Some(source)) => p6_p7_source(source)?,
            (Some("p6p7"), None) => {
                let reason = "is missing; say whether P6 starts at \"last_backbone_feature\" or \
                              at \"last_pyramid_feature\"";
                return Err(ModelError::config("fpn.extra_levels_in", reason));
            }
            (Some("max_pool"), None) => ExtraLevels::MaxPool,
            (None, None) => ExtraLevels::None,
            (None | Some("max_pool"), Some(_)) => {
                let reason = "is only for \"p6p7\"";
                return Err(ModelError::config("fpn.extra_levels_in", reason));
            }
            (Some(other), _) => {
                return Err(ModelError::UnsupportedPart {
                    part: "fpn.extra_levels",
                    value: format!("{other:?}"),
                    supported: "\"p6p7\", \"max_pool\", null",
                });
            }
        };
        if let Some(stated) = &self.strides {
            let mut levels = backbone.returned_levels();
            let deepest = levels.last().copied().unwrap_or(0);
            levels.extend((1..=extra_levels.count()).map(|above| deepest + above));
            agree("fpn.strides", stated, &strides(&levels))?;
        }
        let config = FpnConfig { out_channels: self.out_channels, extra_levels };
        config.validate(&in_channels)?;
        Ok(config)
    }
}

fn p6_p7_source(source: &str) -> Result<ExtraLevels, ModelError> {
    match source {
        "last_backbone_feature" | "last_backbone_feature (use_P5=false)" => {
            Ok(ExtraLevels::P6P7FromBackbone)
        }
        "last_pyramid_feature" | "last_pyramid_feature (use_P5=true)" => {
            Ok(ExtraLevels::P6P7FromPyramid)
        }
        other => Err(ModelError::UnsupportedPart {
            part: "fpn.extra_levels_in",
            value: format!("{other:?}"),
            supported: "\"last_backbone_feature\", \"last_pyramid_feature\"",
        }),
    }
}

impl Anchors {
    fn read(self) -> Result<AnchorConfig, ModelError> {
        let config = AnchorConfig { sizes: self.sizes, aspect_ratios: self.aspect_ratios };
        let count = config.num_anchors()?;
        if let Some(stated) = &self.num_per_location {
            agree("anchors.num_per_location", stated, &count)?;
        }
        if let Some(stated) = &self.base_sizes {
            let first = config.sizes.iter().filter_map(|sizes| sizes.first().copied());
            agree("anchors.base_sizes", stated, &first.collect())?;
        }
        Ok(config)
    }
}

impl Head {
    /// The heads and the box coder's weights.
    fn read(self) -> Result<(HeadConfig, [f32; 4]), ModelError> {
        if let Some(loss) = &self.box_loss {
            // Only training computes it.
            let known = ["l1", "smooth_l1", "ciou", "diou", "giou"];
            let names = "\"l1\", \"smooth_l1\", \"ciou\", \"diou\", \"giou\"";
            supported("head.box_loss", loss, &known, names)?;
        }
        let group_norm = match (&self.norm, self.group_norm_groups, self.group_norm_eps) {
            (None, None, None) => None,
            (Some(norm), groups, eps) => {
                supported("head.norm", norm, &["group_norm"], "\"group_norm\", null")?;
                let missing = |field: &str| ModelError::config(field, "is missing");
                Some(GroupNormConfig {
                    groups: groups.ok_or_else(|| missing("head.group_norm_groups"))?,
                    eps: eps.ok_or_else(|| missing("head.group_norm_eps"))?,
                })
            }
            (None, _, _) => {
                let reason = "is null, but the group norm's numbers are given";
                return Err(ModelError::config("head.norm", reason));
            }
        };
        let config = HeadConfig { num_convs: self.num_convs, group_norm };
        // torchvision's RetinaNet has no other weights than these.
        Ok((config, self.box_coder_weights.unwrap_or([1.0; 4])))
    }
}

impl Transform {
    fn read(self) -> TransformConfig {
        TransformConfig {
            min_size: self.min_size,
            max_size: self.max_size,
            // Width first, both there and here.
            fixed_size: self.fixed_size,
            // The default of torchvision's `GeneralizedRCNNTransform`.
            size_divisible: self.size_divisible.unwrap_or(32),
            image_mean: self.image_mean,
            image_std: self.image_std,
        }
    }
}
