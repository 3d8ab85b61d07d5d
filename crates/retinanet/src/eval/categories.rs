//! Which of the annotations' categories a model's label is.

use super::annotations::by_name;
use super::{CocoCategory, CocoDetection, EvalError, GroundTruth};
use crate::Result;
use crate::detection::{Detection, Detections};
use crate::labels::Categories;

/// How many names an error lists.
const MAX_LISTED: usize = 5;

/// From a model's class ids to the annotations' category ids, matched by equal names.
///
/// torchvision's COCO labels are COCO's own category ids (91 places, ten of them unused), so matching
/// COCO's annotations by name leaves their ids as they are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CategoryMap {
    /// For each class id.
    to_annotations: Vec<Option<i64>>,
    only_in_model: Vec<String>,
    only_in_annotations: Vec<String>,
}

impl CategoryMap {
    /// Matches the model's labels with the annotations' categories.
    ///
    /// # Errors
    /// [`EvalError::AmbiguousCategory`] if two of the annotations' categories share a name;
    /// [`EvalError::NoCommonCategory`] if nothing matches.
    pub fn new(model: &Categories, truth: &GroundTruth) -> Result<Self> {
        Self::between(model, truth.categories())
    }

    pub(crate) fn between(model: &Categories, categories: &[CocoCategory]) -> Result<Self> {
        let by_name = by_name(categories)?;
        let labels = model.names().iter();
        // A label that several class ids share (COCO's `N/A`) selects none of them.
        let unique = |name: &String| model.id_of(name).is_ok();
        let to_annotations: Vec<Option<i64>> = labels
            .map(|name| by_name.get(name.as_str()).copied().filter(|_| unique(name)))
            .collect();
        if to_annotations.iter().all(Option::is_none) {
            let model = listed(model.names().iter().filter(|name| is_label(name)));
            let annotations = listed(categories.iter().map(|category| &category.name));
            return Err(EvalError::NoCommonCategory { model, annotations }.into());
        }
        let unmatched = model.names().iter().zip(&to_annotations);
        let only_in_model = unmatched
            .filter(|(name, id)| id.is_none() && is_label(name))
            .map(|(name, _)| name.clone())
            .collect();
        let missing = |name: &&String| model.id_of(name).is_err();
        let only_in_annotations = categories.iter().map(|category| &category.name);
        let only_in_annotations = only_in_annotations.filter(missing).cloned().collect();
        Ok(Self { to_annotations, only_in_model, only_in_annotations })
    }

    /// The category id of a class id; `None` if the annotations do not know the label.
    pub fn category_id(&self, label_id: usize) -> Option<i64> {
        self.to_annotations.get(label_id).copied().flatten()
    }

    /// Labels of the model that the annotations do not know: their detections are not scored. The
    /// background and COCO's `N/A` are not listed.
    pub fn only_in_model(&self) -> &[String] {
        &self.only_in_model
    }

    /// Categories that the model does not know: they count, with nothing found, unless
    /// [`GroundTruth::only_categories`] leaves them out.
    pub fn only_in_annotations(&self) -> &[String] {
        &self.only_in_annotations
    }

    /// An image's detections in COCO's terms, without those whose label the annotations do not know.
    pub fn translate(&self, image_id: i64, found: &Detections) -> Vec<CocoDetection> {
        let one = |found: &Detection| {
            let id = self.category_id(found.label_id)?;
            Some(CocoDetection::new(image_id, id, found))
        };
        found.iter().filter_map(one).collect()
    }
}

fn is_label(name: &str) -> bool {
    name != "__background__" && name != "N/A"
}

fn listed<'a>(names: impl Iterator<Item = &'a String>) -> String {
    let names: Vec<&String> = names.collect();
    let first = names.iter().take(MAX_LISTED).map(|name| format!("{name:?}"));
    let mut text = first.collect::<Vec<_>>().join(", ");
    if names.len() > MAX_LISTED {
        text.push_str(&format!(" and {} more", names.len() - MAX_LISTED));
    }
    if text.is_empty() { "none".to_owned() } else { text }
}
