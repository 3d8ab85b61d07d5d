//! Tensor names: torchvision's current ones, and two older or foreign spellings as data.

use super::framework::Framework;

/// Which spelling a checkpoint's names follow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Naming {
    /// torchvision's current names, which all others are translated to.
    Torchvision,
    /// torchvision's older names: `head.*_head.conv.{0,2,4,6}`, FPN blocks without `.0`.
    TorchvisionOld,
    /// The names of the hub mirror `ferrotorch/retinanet_resnet50_fpn`: `fpn.lateral3`, ...
    HubMirror,
    /// No names of torchvision's RetinaNet; they are kept as they are.
    Unrecognised,
}

impl Naming {
    /// What it is called.
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Torchvision => "torchvision",
            Self::TorchvisionOld => "torchvision (older names)",
            Self::HubMirror => "hub mirror",
            Self::Unrecognised => "not recognised",
        }
    }
}

impl std::fmt::Display for Naming {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

/// One translation.
enum Rule {
    /// A prefix is replaced.
    Moved(&'static str, &'static str),
    /// `FROM{first + step * i}.{weight,bias}` becomes `TO{i}.0.{weight,bias}`.
    Numbered { from: &'static str, first: usize, step: usize, to: &'static str },
}

use Rule::{Moved, Numbered};

const fn numbered(from: &'static str, first: usize, step: usize, to: &'static str) -> Rule {
    Numbered { from, first, step, to }
}

const CLASSIFICATION: &str = "head.classification_head.conv.";
const REGRESSION: &str = "head.regression_head.conv.";
const INNER: &str = "backbone.fpn.inner_blocks.";
const LAYER: &str = "backbone.fpn.layer_blocks.";

/// Old head towers were one `Sequential` of convolutions and ReLUs, so convolutions had even
/// numbers. Today's GroupNorm, `conv.{i}.1.weight`, has a second number and never matches.
const OLD: [Rule; 4] = [
    numbered(CLASSIFICATION, 0, 2, CLASSIFICATION),
    numbered(REGRESSION, 0, 2, REGRESSION),
    numbered(INNER, 0, 1, INNER),
    numbered(LAYER, 0, 1, LAYER),
];

const MIRROR: [Rule; 9] = [
    numbered("fpn.lateral", 3, 1, INNER),
    numbered("fpn.output", 3, 1, LAYER),
    Moved("fpn.p6.", "backbone.fpn.extra_blocks.p6."),
    Moved("fpn.p7.", "backbone.fpn.extra_blocks.p7."),
    numbered("classification_head.conv.", 0, 1, CLASSIFICATION),
    numbered("regression_head.conv.", 0, 1, REGRESSION),
    Moved("classification_head.cls_logits.", "head.classification_head.cls_logits."),
    Moved("regression_head.bbox_reg.", "head.regression_head.bbox_reg."),
    Moved("backbone.", "backbone.body."),
];

/// The mirror carries the ImageNet classifier along, which no detector has.
const MIRROR_PADDING: &str = "backbone.fc.";

impl Rule {
    fn apply(&self, name: &str) -> Option<String> {
        match *self {
            Moved(from, to) => Some(format!("{to}{}", name.strip_prefix(from)?)),
            Numbered { from, first, step, to } => {
                let (number, rest) = name.strip_prefix(from)?.split_once('.')?;
                if rest != "weight" && rest != "bias" {
                    return None;
                }
                let offset = number.parse::<usize>().ok()?.checked_sub(first)?;
                (offset % step == 0).then(|| format!("{to}{}.0.{rest}", offset / step))
            }
        }
    }
}

impl Naming {
    /// Recognises the spelling from the names that exist, which have no wrappers.
    pub(super) fn recognise<'a>(names: impl Iterator<Item = &'a str> + Clone) -> Self {
        if Framework::recognise(names.clone()).is_some() {
            return Self::Unrecognised;
        }
        let any = |test: &dyn Fn(&str) -> bool| names.clone().any(test);
        let current = any(&|name| name.starts_with("backbone.body.") || name.starts_with("head."));
        let mirror = any(&|name| {
            name.starts_with("fpn.")
                || name.starts_with("classification_head.")
                || name.starts_with("regression_head.")
        });
        let old = any(&|name| OLD.iter().any(|rule| rule.apply(name).is_some()));
        match (old, current, mirror) {
            (true, _, _) => Self::TorchvisionOld,
            (_, true, _) => Self::Torchvision,
            (_, _, true) => Self::HubMirror,
            _ => Self::Unrecognised,
        }
    }

    /// torchvision's current name of a tensor, or why the tensor is ignored.
    pub(super) fn translate(self, name: &str) -> Result<String, &'static str> {
        let rules: &[Rule] = match self {
            Self::TorchvisionOld => &OLD,
            Self::HubMirror if name.starts_with(MIRROR_PADDING) => {
                return Err("the ImageNet classifier, no part of a detector");
            }
            Self::HubMirror => &MIRROR,
            Self::Torchvision | Self::Unrecognised => &[],
        };
        Ok(rules.iter().find_map(|rule| rule.apply(name)).unwrap_or_else(|| name.to_string()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn translated(names: &[&str]) -> (Naming, Vec<Option<String>>) {
        let naming = Naming::recognise(names.iter().copied());
        (naming, names.iter().map(|name| naming.translate(name).ok()).collect())
    }

    fn check(naming: Naming, pairs: &[(&str, &str)]) {
        let stored: Vec<&str> = pairs.iter().map(|pair| pair.0).collect();
        let (found, names) = translated(&stored);
        assert_eq!(found, naming);
        for (name, (stored, expected)) in names.iter().zip(pairs) {
            assert_eq!(name.as_deref().unwrap_or(""), *expected, "{stored}");
        }
    }

    #[test]
    fn old_torchvision_names_become_current_ones() {
        check(
            Naming::TorchvisionOld,
            &[
                ("backbone.body.conv1.weight", "backbone.body.conv1.weight"),
                ("backbone.fpn.inner_blocks.2.bias", "backbone.fpn.inner_blocks.2.0.bias"),
                ("backbone.fpn.layer_blocks.0.weight", "backbone.fpn.layer_blocks.0.0.weight"),
                ("backbone.fpn.extra_blocks.p6.weight", "backbone.fpn.extra_blocks.p6.weight"),
                (
                    "head.classification_head.conv.0.weight",
                    "head.classification_head.conv.0.0.weight",
                ),
                ("head.classification_head.conv.6.bias", "head.classification_head.conv.3.0.bias"),
                ("head.regression_head.conv.4.weight", "head.regression_head.conv.2.0.weight"),
                // An odd number is no convolution of that layout: left for strict loading to refuse.
                ("head.regression_head.conv.1.weight", "head.regression_head.conv.1.weight"),
                ("head.regression_head.bbox_reg.bias", "head.regression_head.bbox_reg.bias"),
            ],
        );
    }

    #[test]
    fn current_names_stay_and_group_norm_is_not_taken_for_an_old_convolution() {
        let names = [
            "backbone.fpn.inner_blocks.0.0.weight",
            "head.classification_head.conv.2.0.weight",
            "head.classification_head.conv.0.1.weight",
            "head.classification_head.conv.2.1.bias",
        ];
        check(Naming::Torchvision, &names.map(|name| (name, name)));
        check(Naming::Unrecognised, &[("conv1.weight", "conv1.weight")]);
        assert_eq!(translated(&[]), (Naming::Unrecognised, vec![]));
    }

    #[test]
    fn the_mirror_s_names_become_torchvision_s_and_its_padding_is_ignored() {
        check(
            Naming::HubMirror,
            &[
                ("backbone.conv1.weight", "backbone.body.conv1.weight"),
                ("backbone.layer4.2.bn3.running_var", "backbone.body.layer4.2.bn3.running_var"),
                ("backbone.fc.weight", ""),
                ("fpn.lateral3.weight", "backbone.fpn.inner_blocks.0.0.weight"),
                ("fpn.output5.bias", "backbone.fpn.layer_blocks.2.0.bias"),
                ("fpn.p7.bias", "backbone.fpn.extra_blocks.p7.bias"),
                ("classification_head.conv.3.bias", "head.classification_head.conv.3.0.bias"),
                ("regression_head.conv.1.weight", "head.regression_head.conv.1.0.weight"),
                ("classification_head.cls_logits.bias", "head.classification_head.cls_logits.bias"),
                ("regression_head.bbox_reg.weight", "head.regression_head.bbox_reg.weight"),
            ],
        );
    }
}
