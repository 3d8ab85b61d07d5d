//! Which image and which category has which id in COCO annotations.

use std::collections::{HashMap, HashSet};
use std::path::Path;
use std::sync::Arc;

use serde::Deserialize;
use sha2::{Digest as _, Sha256};

use super::BatchError;
use crate::Result;
use crate::data::Listing;
use crate::detection::Detections;
use crate::determinism::Digest;
use crate::eval::{CategoryMap, CocoCategory, CocoDetection, CocoImage, read_annotations};
use crate::labels::Categories;

/// The ids of a listing's images and of a model's labels in COCO results.
#[derive(Debug, Clone)]
pub(super) struct CocoIds {
    /// `None`: the index in the list, and the class id.
    annotated: Option<Annotated>,
}

#[derive(Debug, Clone)]
struct Annotated {
    /// Of each image of the listing.
    images: Vec<i64>,
    /// Of each image of the listing, where it is stated: width and height.
    sizes: Arc<[Option<[u64; 2]>]>,
    /// `None` where the annotations list no categories: the class id.
    categories: Option<CategoryMap>,
}

#[derive(Deserialize)]
struct Layout {
    images: Vec<CocoImage>,
    categories: Option<Vec<CocoCategory>>,
}

impl CocoIds {
    /// The indices of the list and the class ids.
    pub(super) fn indices() -> Self {
        Self { annotated: None }
    }

    /// The ids that annotations give to the listing's names by their `file_name`s, and to the model's labels
    /// by their names.
    pub(super) fn read(annotations: &Path, listing: &Listing, model: &Categories) -> Result<Self> {
        let path = || annotations.to_owned();
        let refuse = |reason: String| BatchError::Annotations { path: path(), reason };
        let read: Layout = serde_json::from_slice(&read_annotations(annotations)?)
            .map_err(|error| refuse(error.to_string()))?;
        let mut by_name = HashMap::with_capacity(read.images.len());
        let mut seen = HashSet::with_capacity(read.images.len());
        for image in &read.images {
            let CocoImage { id, file_name, .. } = image;
            if !seen.insert(id) {
                return Err(refuse(format!("the image id {id} is there twice")).into());
            }
            if let Some(other) = by_name.insert(file_name.as_str(), image) {
                let reason = format!("{file_name:?} has two ids, {} and {id}", other.id);
                return Err(refuse(reason).into());
            }
        }
        let (mut found, mut unknown, mut listed) = (Vec::new(), Vec::new(), HashSet::new());
        for index in 0..listing.len() {
            let name = listing.name(index);
            match by_name.get(name.as_ref()) {
                Some(image) if listed.insert(image.id) => found.push(*image),
                Some(_) => return Err(BatchError::Twice { name: name.into_owned() }.into()),
                None => unknown.push(index),
            }
        }
        if let Some(&first) = unknown.first() {
            return Err(BatchError::UnknownImages {
                path: path(),
                missing: unknown.len(),
                images: listing.len(),
                example: listing.name(first).into_owned(),
                root: listing.root().to_owned(),
            }
            .into());
        }
        let categories = read.categories.as_deref();
        let annotated = Annotated {
            images: found.iter().map(|image| image.id).collect(),
            sizes: found.iter().map(|image| image.size()).collect(),
            categories: categories.map(|known| CategoryMap::between(model, known)).transpose()?,
        };
        Ok(Self { annotated: Some(annotated) })
    }

    /// The sizes annotated: a picture may have been annotated in another frame than the upright one.
    pub(super) fn sizes(&self) -> Option<Arc<[Option<[u64; 2]>]>> {
        self.annotated.as_ref().map(|annotated| Arc::clone(&annotated.sizes))
    }

    /// Labels of the model that are no category of the annotations: no results hold them.
    pub(super) fn only_in_model(&self) -> &[String] {
        let map = self.annotated.as_ref().and_then(|annotated| annotated.categories.as_ref());
        map.map_or(&[], CategoryMap::only_in_model)
    }

    /// What was found in the listing's image `index`, as results.
    pub(super) fn results(&self, index: usize, found: &Detections) -> Vec<CocoDetection> {
        let (image_id, map) = match &self.annotated {
            Some(annotated) => (annotated.images[index], annotated.categories.as_ref()),
            None => (index as i64, None),
        };
        match map {
            Some(map) => map.translate(image_id, found),
            None => found
                .iter()
                .map(|one| CocoDetection::new(image_id, one.label_id as i64, one))
                .collect(),
        }
    }

    /// Of everything the annotations decide; none without annotations.
    pub(super) fn digest(&self, model: &Categories) -> Option<Digest> {
        let Annotated { images, sizes, categories } = self.annotated.as_ref()?;
        let mut hash = Sha256::new_with_prefix("retinanet-coco-ids-v1");
        for (id, size) in images.iter().zip(sizes.iter()) {
            hash.update(id.to_le_bytes());
            // No image has a side of 0.
            hash.update(size.unwrap_or_default().map(u64::to_le_bytes).concat());
        }
        let map = |label_id| categories.as_ref().map(|map| map.category_id(label_id));
        for label_id in 0..model.names().len() {
            hash.update(format!("{:?};", map(label_id)));
        }
        Some(Digest::from_bytes(hash.finalize().into()))
    }
}
