//! What a set of tensors is: which architecture, how many classes, which batch-norm eps.

use std::collections::BTreeSet;
use std::fmt;

use retinanet_checkpoint::{Checkpoint, ExpectedTensor, Mismatch, Shapes};

use super::framework::Framework;

/// The architecture a checkpoint belongs to, told from its tensors' names and shapes.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum IdentifiedAs {
    /// torchvision's `retinanet_resnet50_fpn`.
    RetinanetResnet50Fpn,
    /// torchvision's `retinanet_resnet50_fpn_v2`.
    RetinanetResnet50FpnV2,
    /// Its own metadata describes it under the key `config`.
    SelfDescribed,
    /// A RetinaNet of another framework, which is not loaded: it computes otherwise.
    OtherFramework(Framework),
    /// Anything else.
    Unknown {
        /// The first thing that differs from the two known ones.
        reason: String,
    },
}

/// What a set of tensors is.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Identity {
    /// The architecture.
    pub architecture: IdentifiedAs,
    /// Number of classes including the background, from the shape of `cls_logits`.
    pub num_classes: Option<usize>,
    /// Anchors at each location, from the shape of `bbox_reg`.
    pub anchors_per_location: Option<usize>,
}

/// The metadata key whose value, JSON, describes the model.
pub(super) const CONFIG_KEY: &str = "config";

/// The first hex digits of the sha256 of files that torchvision publishes, the eps they need.
/// torchvision overwrites the eps of its v1 weights with 0 after loading them.
const PUBLISHED_EPS: [(&str, f64); 3] = [
    ("eeacb38b", 0.0),
    ("5905b1c5", 1e-5),
    // The hub mirror of the first.
    ("2f3593e7a2a1c15c5f2f7e6327e3c3d9de3cb4839922956ffec14b22f362b448", 0.0),
];

/// The eps of a published file with this sha256.
pub(super) fn published_eps(sha256: &str) -> Option<f64> {
    PUBLISHED_EPS.iter().find(|row| sha256.starts_with(row.0)).map(|row| row.1)
}

impl Identity {
    /// Looks at the names and shapes of a file, and at its metadata.
    pub(super) fn of(file: &Checkpoint) -> Self {
        Self::of_shapes(&file.shapes(), file.metadata().contains_key(CONFIG_KEY))
    }

    /// Looks at torchvision's names and their shapes.
    fn of_shapes(shapes: &Shapes<'_>, self_described: bool) -> Self {
        let first_side = |name| shapes.get(name).and_then(|shape| shape.first().copied());
        let anchors_per_location = first_side("head.regression_head.bbox_reg.weight")
            .filter(|channels| channels % 4 == 0)
            .map(|channels| channels / 4)
            .filter(|&anchors| anchors > 0);
        let num_classes = first_side("head.classification_head.cls_logits.weight")
            .zip(anchors_per_location)
            .filter(|(channels, anchors)| channels % anchors == 0)
            .map(|(channels, anchors)| channels / anchors);
        let architecture = if let Some(framework) = Framework::recognise(shapes.keys().copied()) {
            IdentifiedAs::OtherFramework(framework)
        } else if self_described {
            IdentifiedAs::SelfDescribed
        } else {
            torchvision_model(shapes)
                .unwrap_or_else(|reason| IdentifiedAs::Unknown { reason: reason.into() })
        };
        Self { architecture, num_classes, anchors_per_location }
    }
}

fn torchvision_model(shapes: &Shapes<'_>) -> Result<IdentifiedAs, &'static str> {
    let has = |name: &str| shapes.contains_key(name);
    let side =
        |name: &str, side: usize| shapes.get(name).and_then(|shape| shape.get(side)).copied();
    if !shapes.keys().any(|name| name.starts_with("backbone.body.")) {
        return Err("no tensor is named backbone.body.*");
    }
    if !has("head.classification_head.cls_logits.weight") {
        return Err("there is no classification head");
    }
    let resnet50 = has("backbone.body.layer3.5.conv3.weight")
        && !has("backbone.body.layer3.6.conv3.weight")
        && has("backbone.body.layer4.2.conv3.weight");
    if !resnet50 {
        return Err("the backbone is not a ResNet-50");
    }
    if side("backbone.fpn.inner_blocks.2.0.weight", 0) != Some(256) {
        return Err("the FPN has not 256 channels over C3 to C5");
    }
    let group_norm = has("head.classification_head.conv.0.1.weight");
    let bias = has("head.classification_head.conv.0.0.bias");
    match (side("backbone.fpn.extra_blocks.p6.weight", 1), group_norm, bias) {
        (Some(256), false, true) => Ok(IdentifiedAs::RetinanetResnet50Fpn),
        (Some(2048), true, false) => Ok(IdentifiedAs::RetinanetResnet50FpnV2),
        (Some(256 | 2048), ..) => Err("P6 and the heads are those of different versions"),
        _ => Err("P6 is made neither from C5 nor from P5"),
    }
}

impl fmt::Display for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.architecture {
            IdentifiedAs::RetinanetResnet50Fpn => f.write_str("a retinanet_resnet50_fpn")?,
            IdentifiedAs::RetinanetResnet50FpnV2 => f.write_str("a retinanet_resnet50_fpn_v2")?,
            IdentifiedAs::SelfDescribed => f.write_str("a self-described model")?,
            IdentifiedAs::OtherFramework(framework) => {
                write!(f, "a RetinaNet of {framework}, which computes otherwise")?;
            }
            IdentifiedAs::Unknown { reason } => write!(f, "another model ({reason})")?,
        }
        match self.num_classes {
            Some(classes) => write!(f, " with {classes} classes"),
            None => Ok(()),
        }
    }
}

/// What a file and the model whose tensors it lacks seem to be, and what to do.
pub(super) fn diagnosis(
    file: &Checkpoint,
    expected: &[ExpectedTensor],
    mismatch: &Mismatch,
) -> String {
    let wanted: Shapes<'_> =
        expected.iter().map(|tensor| (tensor.name.as_str(), tensor.shape.as_slice())).collect();
    let (file, model) = (Identity::of(file), Identity::of_shapes(&wanted, false));
    let logits = BTreeSet::from([
        "head.classification_head.cls_logits.bias",
        "head.classification_head.cls_logits.weight",
    ]);
    let only_logits = mismatch.missing.is_empty()
        && mismatch.unexpected.is_empty()
        && mismatch.mis_shaped.iter().all(|tensor| logits.contains(tensor.name.as_str()));
    if let (true, Some(in_file), Some(in_model)) =
        (only_logits, file.num_classes, model.num_classes)
        && in_file != in_model
    {
        return format!(
            "The file has {in_file} classes (the background counts), the model {in_model}: \
             set num_classes to {in_file}, or give weights trained for {in_model}"
        );
    }
    let known =
        |identity: &Identity| !matches!(identity.architecture, IdentifiedAs::Unknown { .. });
    if known(&file) && file.architecture != model.architecture {
        return format!(
            "The file is {file}, the model is {model}: choose the architecture of the file"
        );
    }
    format!("The file looks like {file}, the model like {model}: check that they belong together")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_two_versions_are_told_apart_and_mixtures_are_unknown() {
        let common: [(&str, &[usize]); 5] = [
            ("backbone.body.layer3.5.conv3.weight", &[1024, 256, 1, 1]),
            ("backbone.body.layer4.2.conv3.weight", &[2048, 512, 1, 1]),
            ("backbone.fpn.inner_blocks.2.0.weight", &[256, 2048, 1, 1]),
            ("head.classification_head.cls_logits.weight", &[819, 256, 3, 3]),
            ("head.regression_head.bbox_reg.weight", &[36, 256, 3, 3]),
        ];
        let identity = |p6: &[usize], tower: &'static str| {
            let mut shapes = Shapes::from(common);
            shapes.insert("backbone.fpn.extra_blocks.p6.weight", p6);
            shapes.insert(tower, &[256]);
            Identity::of_shapes(&shapes, false)
        };
        let v1 = identity(&[256, 256, 3, 3], "head.classification_head.conv.0.0.bias");
        assert_eq!(v1.to_string(), "a retinanet_resnet50_fpn with 91 classes");
        assert_eq!((v1.num_classes, v1.anchors_per_location), (Some(91), Some(9)));
        let v2 = identity(&[256, 2048, 3, 3], "head.classification_head.conv.0.1.weight");
        assert_eq!(v2.architecture, IdentifiedAs::RetinanetResnet50FpnV2);
        let mixed = identity(&[256, 2048, 3, 3], "head.classification_head.conv.0.0.bias");
        assert!(matches!(mixed.architecture, IdentifiedAs::Unknown { .. }), "{mixed}");
        assert_eq!(
            Identity::of_shapes(&Shapes::new(), true).architecture,
            IdentifiedAs::SelfDescribed
        );
    }

    #[test]
    fn shapes_that_make_no_sense_give_no_class_count() {
        for (logits, boxes) in
            [(&[819][..], &[0][..]), (&[820], &[36]), (&[], &[36]), (&[9], &[35])]
        {
            let shapes = Shapes::from([
                ("head.classification_head.cls_logits.weight", logits),
                ("head.regression_head.bbox_reg.weight", boxes),
            ]);
            assert_eq!(Identity::of_shapes(&shapes, false).num_classes, None);
        }
    }
}
