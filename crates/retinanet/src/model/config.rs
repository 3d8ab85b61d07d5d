//! The whole model's configuration.

use serde::{Deserialize, Serialize};

use super::batch_norm::BatchNormConfig;
use super::{
    AnchorConfig, ExtraLevels, FpnConfig, HeadConfig, ModelError, ResNetConfig, ResNetDepth,
};
use crate::image::TransformConfig;
use crate::postprocess::PostprocessConfig;

/// More classes than any data set has.
const MAX_CLASSES: usize = 1 << 16;

/// A RetinaNet: everything but the weights.
///
/// [`RetinaNetConfig::resnet50_fpn`] and [`RetinaNetConfig::resnet50_fpn_v2`] are torchvision's two
/// models; any other value of the parts is a `torchvision.models.detection.RetinaNet` built from
/// them. [`RetinaNetConfig::to_json`] and [`RetinaNetConfig::from_json`] write and read it.
///
/// ```
/// use retinanet::model::{RetinaNetConfig, ResNetDepth};
///
/// let mut config = RetinaNetConfig::resnet50_fpn_v2();
/// config.backbone.depth = ResNetDepth::ResNet101;
/// config.num_classes = 3;
/// config.validate()?;
/// # Ok::<(), retinanet::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RetinaNetConfig {
    /// The ResNet and the stages it returns.
    pub backbone: ResNetConfig,
    /// The feature pyramid over them.
    pub fpn: FpnConfig,
    /// The anchors of each of its levels.
    pub anchors: AnchorConfig,
    /// The heads.
    pub head: HeadConfig,
    /// Classes, the background (index 0) included.
    pub num_classes: usize,
    /// How an image becomes the network's input.
    pub transform: TransformConfig,
    /// How the network's output becomes detections.
    pub postprocess: PostprocessConfig,
    /// The classes' names, `num_classes` of them, where the configuration brings them along.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub categories: Option<Vec<String>>,
}

impl RetinaNetConfig {
    /// `retinanet_resnet50_fpn` (v1) as torchvision builds it for its COCO weights: frozen batch
    /// norm with eps 0, P6 from P5, heads without norm, 91 classes.
    pub fn resnet50_fpn() -> Self {
        Self {
            backbone: ResNetConfig {
                depth: ResNetDepth::ResNet50,
                returned_layers: vec![2, 3, 4],
                batch_norm: BatchNormConfig::FROZEN_EPS_0,
            },
            fpn: FpnConfig { out_channels: 256, extra_levels: ExtraLevels::P6P7FromPyramid },
            head: HeadConfig { num_convs: 4, group_norm: None },
            ..Self::resnet50_fpn_v2()
        }
    }

    /// `retinanet_resnet50_fpn_v2`: plain batch norm with eps 1e-5, P6 from C5, heads with
    /// GroupNorm, 91 classes.
    pub fn resnet50_fpn_v2() -> Self {
        Self {
            backbone: ResNetConfig::default(),
            fpn: FpnConfig::default(),
            anchors: AnchorConfig::default(),
            head: HeadConfig::default(),
            num_classes: 91,
            transform: TransformConfig::default(),
            postprocess: PostprocessConfig::default(),
            categories: None,
        }
    }

    /// The number n of each pyramid level, finest first; a level-n map has one pixel for 2^n input
    /// pixels.
    pub fn pyramid_levels(&self) -> Vec<usize> {
        let mut levels = self.backbone.returned_levels();
        let deepest = levels.last().copied().unwrap_or(0);
        levels.extend((1..=self.fpn.extra_levels.count()).map(|above| deepest + above));
        levels
    }

    /// Checks that the network's parts fit together.
    ///
    /// # Errors
    /// [`ModelError::Config`] naming the first field that does not.
    pub fn validate(&self) -> crate::Result<()> {
        Ok(self.check()?)
    }

    pub(crate) fn check(&self) -> Result<(), ModelError> {
        self.backbone.validate()?;
        self.fpn.validate(&self.backbone.returned_channels())?;
        let num_anchors = self.anchors.num_anchors()?;
        let (levels, anchor_levels) = (self.pyramid_levels(), self.anchors.sizes.len());
        if levels.len() != anchor_levels {
            let count = levels.len();
            let reason = format!(
                "has {anchor_levels} levels where backbone and FPN make {count}: {levels:?}"
            );
            return Err(ModelError::config("anchors.sizes", reason));
        }
        if !(1..=MAX_CLASSES).contains(&self.num_classes) {
            let reason = format!("is {}; expected 1 to {MAX_CLASSES}", self.num_classes);
            return Err(ModelError::config("num_classes", reason));
        }
        let channels = self.fpn.out_channels;
        // An overflow is too many outputs, which the heads refuse.
        let logits = num_anchors.saturating_mul(self.num_classes);
        self.head.validate(channels, logits)?;
        self.head.validate(channels, num_anchors.saturating_mul(4))?;
        if let Some(categories) = &self.categories
            && categories.len() != self.num_classes
        {
            let reason = format!(
                "has {} names where `num_classes` is {} (the background counts)",
                categories.len(),
                self.num_classes
            );
            return Err(ModelError::config("categories", reason));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(change: impl FnOnce(&mut RetinaNetConfig)) -> String {
        let mut config = RetinaNetConfig::resnet50_fpn_v2();
        change(&mut config);
        config.validate().unwrap_err().to_string()
    }

    #[test]
    fn both_published_models_are_valid_and_span_p3_to_p7() {
        for config in [RetinaNetConfig::resnet50_fpn(), RetinaNetConfig::resnet50_fpn_v2()] {
            config.validate().unwrap();
            assert_eq!(config.pyramid_levels(), [3, 4, 5, 6, 7]);
        }
    }

    #[test]
    fn parts_that_do_not_fit_together_are_named() {
        let levels = message(|c| c.fpn.extra_levels = ExtraLevels::MaxPool);
        assert!(levels.contains("anchors.sizes"), "{levels}");
        assert!(levels.contains("make 4"), "{levels}");
        let classes = message(|c| c.num_classes = usize::MAX);
        assert!(classes.contains("`num_classes`"), "{classes}");
        let names = message(|c| c.categories = Some(vec!["person".to_owned()]));
        assert!(names.contains("`categories` has 1 names"), "{names}");
        let eps = message(|c| c.backbone.batch_norm.eps = f64::NAN);
        assert!(eps.contains("backbone.batch_norm.eps"), "{eps}");
        let groups = message(|c| c.fpn.out_channels = 100);
        assert!(groups.contains("head.group_norm.groups"), "{groups}");
    }
}
