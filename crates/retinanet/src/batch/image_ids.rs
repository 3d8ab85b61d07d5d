//! Which image has which id in COCO annotations.

use std::collections::{HashMap, HashSet};
use std::fs::File;
use std::io::BufReader;
use std::path::Path;

use serde::Deserialize;
use sha2::{Digest as _, Sha256};

use super::BatchError;
use crate::Result;
use crate::data::Listing;
use crate::determinism::Digest;

/// The COCO id of every image of a listing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ImageIds {
    /// `None`: the index.
    ids: Option<Vec<u64>>,
}

#[derive(Deserialize)]
struct Annotations {
    images: Vec<AnnotatedImage>,
}

#[derive(Deserialize)]
struct AnnotatedImage {
    id: u64,
    file_name: String,
}

impl ImageIds {
    /// The indices of the list.
    pub(super) fn indices() -> Self {
        Self { ids: None }
    }

    /// The ids that annotations give to the listing's names by their `file_name`s.
    pub(super) fn read(annotations: &Path, listing: &Listing) -> Result<Self> {
        let path = || annotations.to_owned();
        let refuse = |reason: String| BatchError::Annotations { path: path(), reason };
        let file =
            File::open(annotations).map_err(|source| BatchError::Read { path: path(), source })?;
        let read: Annotations = serde_json::from_reader(BufReader::with_capacity(1 << 20, file))
            .map_err(|error| refuse(error.to_string()))?;
        let mut by_name = HashMap::with_capacity(read.images.len());
        let mut seen = HashSet::with_capacity(read.images.len());
        for AnnotatedImage { id, file_name } in read.images {
            if !seen.insert(id) {
                return Err(refuse(format!("the image id {id} is there twice")).into());
            }
            if let Some(other) = by_name.insert(file_name.clone(), id) {
                let reason = format!("{file_name:?} has two ids, {other} and {id}");
                return Err(refuse(reason).into());
            }
        }
        let (mut ids, mut unknown, mut listed) = (Vec::new(), Vec::new(), HashSet::new());
        for index in 0..listing.len() {
            let name = listing.name(index);
            match by_name.get(name.as_ref()) {
                Some(&id) if listed.insert(id) => ids.push(id),
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
        Ok(Self { ids: Some(ids) })
    }

    pub(super) fn get(&self, index: usize) -> u64 {
        self.ids.as_ref().map_or(index as u64, |ids| ids[index])
    }

    /// Of the ids in the list's order; none where they are the indices.
    pub(super) fn digest(&self) -> Option<Digest> {
        let mut hash = Sha256::new_with_prefix("retinanet-image-ids-v1");
        for id in self.ids.as_ref()? {
            hash.update(id.to_le_bytes());
        }
        Some(Digest::from_bytes(hash.finalize().into()))
    }
}
