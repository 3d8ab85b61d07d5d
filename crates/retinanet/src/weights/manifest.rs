//! What this crate's manifest says about a checkpoint's model.

use retinanet_checkpoint::ManifestModel;
use serde::Deserialize;

/// The text of `weights-manifest.toml` this crate was built with.
pub const BUILTIN_MANIFEST: &str = include_str!("../../weights-manifest.toml");

/// The checkpoints known by name.
///
/// ```
/// use retinanet::weights::Manifest;
/// let manifest = Manifest::builtin();
/// let entry = manifest.get("retinanet_resnet50_fpn_v2.coco_v1")?;
/// assert_eq!(entry.model.norm_eps, Some(1e-5));
/// # Ok::<(), retinanet::Error>(())
/// ```
pub type Manifest = retinanet_checkpoint::Manifest<KnownModel>;

/// One checkpoint of a [`Manifest`].
pub type ManifestEntry = retinanet_checkpoint::ManifestEntry<KnownModel>;

/// What a [`Manifest`] says about a checkpoint's model.
#[derive(Clone, Debug, PartialEq)]
pub struct KnownModel {
    /// Which model it is.
    pub architecture: Architecture,
    /// The batch norm's epsilon, which no weights file carries; `None` where the manifest is silent.
    pub norm_eps: Option<f64>,
    /// The names of its classes.
    pub categories: ManifestCategories,
    /// The score threshold its publisher uses; `None` for torchvision's.
    pub score_thresh: Option<f64>,
    /// The threshold of non-maximum suppression its publisher uses; `None` for torchvision's.
    pub nms_thresh: Option<f64>,
    /// What its publisher measured.
    pub reference: Option<Reference>,
}

/// The model a checkpoint belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Architecture {
    /// torchvision's `retinanet_resnet50_fpn`.
    RetinanetResnet50Fpn,
    /// torchvision's `retinanet_resnet50_fpn_v2`.
    RetinanetResnet50FpnV2,
    /// The file's own metadata carries the configuration.
    InFile,
}

impl Architecture {
    /// The name used in manifests.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::RetinanetResnet50Fpn => "retinanet_resnet50_fpn",
            Self::RetinanetResnet50FpnV2 => "retinanet_resnet50_fpn_v2",
            Self::InFile => "in_file",
        }
    }
}

/// The names of a checkpoint's classes.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ManifestCategories {
    /// torchvision's 91 names (`"coco_v1"`).
    CocoV1,
    /// A list, as long as the model has classes; in torchvision's models index 0 is the background.
    Names(Vec<String>),
}

/// An average precision its publisher measured.
#[derive(Clone, Debug, PartialEq, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Reference {
    /// On which pictures.
    pub dataset: String,
    /// Box AP at IoU 0.50:0.95, in percent.
    pub box_ap: f64,
}

/// A [`KnownModel`] as TOML has it.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
#[doc(hidden)]
pub struct ModelRow {
    architecture: Architecture,
    norm_eps: Option<f64>,
    categories: CategoriesRow,
    score_thresh: Option<f64>,
    nms_thresh: Option<f64>,
    reference: Option<Reference>,
}

#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum CategoriesRow {
    Known(String),
    Names(Vec<String>),
}

impl ManifestModel for KnownModel {
    type Row = ModelRow;

    const BUILTIN: &'static str = BUILTIN_MANIFEST;

    fn from_row(row: ModelRow) -> Result<Self, String> {
        if row.norm_eps.is_some_and(|eps| !(0.0..1.0).contains(&eps)) {
            return Err("norm_eps must be at least 0 and less than 1".to_owned());
        }
        if row.reference.as_ref().is_some_and(|r| !(0.0..=100.0).contains(&r.box_ap)) {
            return Err("box_ap is a percentage, 0 to 100".to_owned());
        }
        for (key, value) in [("score_thresh", row.score_thresh), ("nms_thresh", row.nms_thresh)] {
            if value.is_some_and(|value| !(0.0..=1.0).contains(&value)) {
                return Err(format!("{key} must be 0 to 1"));
            }
        }
        let categories = match row.categories {
            CategoriesRow::Known(known) if known == "coco_v1" => ManifestCategories::CocoV1,
            CategoriesRow::Known(known) => {
                return Err(format!(
                    "categories {known:?} is not known; write \"coco_v1\" or a list of names"
                ));
            }
            CategoriesRow::Names(names) if names.is_empty() => {
                return Err("categories is an empty list".to_owned());
            }
            CategoriesRow::Names(names) => ManifestCategories::Names(names),
        };
        let ModelRow { architecture, norm_eps, score_thresh, nms_thresh, reference, .. } = row;
        Ok(Self { architecture, norm_eps, categories, score_thresh, nms_thresh, reference })
    }
}

#[cfg(test)]
mod tests;
