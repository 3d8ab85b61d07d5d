//! The detector of a record, built again.

use super::record::{hash_file, sha256};
use crate::detector::{Detector, DetectorBuilder, GivenWeights};
use crate::determinism::{Determinism, Digest, Mode};
use crate::error::DetectorError;
use crate::labels::Categories;
use crate::model::RetinaNetConfig;
use crate::weights::FetchError;
use crate::{Error, Result};

/// What a record says about its detector.
pub(crate) struct Recorded<'a> {
    pub(crate) mode: Mode,
    pub(crate) seed: u64,
    pub(crate) weights_sha256: Digest,
    pub(crate) configuration: &'a RetinaNetConfig,
    pub(crate) categories: &'a [String],
}

/// A weights file that is there but was changed, so that it cannot be loaded.
pub(crate) struct Unusable {
    /// Its SHA-256; 64 hexadecimal digits.
    pub(crate) found: String,
    pub(crate) reason: String,
}

impl Recorded<'_> {
    /// The record's detector from the builder's weights; or, where their file is there but cannot be loaded because
    /// it was changed, that.
    pub(crate) fn rebuild(&self, builder: DetectorBuilder) -> Result<Result<Detector, Unusable>> {
        let determinism = match self.mode {
            Mode::Strict => Determinism::strict(self.seed),
            Mode::Fast => Determinism::fast().with_seed(self.seed),
        };
        let builder = builder
            .config(self.configuration.clone())
            .categories(Categories::new(self.categories.iter().cloned())?)
            .determinism(determinism);
        let given = builder.given_weights().cloned();
        let error = match builder.build() {
            Ok(detector) => return Ok(Ok(detector)),
            Err(error) => error,
        };
        let changed =
            |found: String, error: &Error| Ok(Err(Unusable { found, reason: error.to_string() }));
        match &error {
            Error::Fetch(
                FetchError::WrongHash { found, .. }
                | FetchError::ChangedSinceFirstUse { found, .. },
            )
            | Error::Detector(DetectorError::Changed { found, .. }) => {
                changed(found.clone(), &error)
            }
            // A device or a setting, not the file.
            Error::Detector(_) | Error::Determinism(_) => Err(error),
            _ => match given.as_ref().and_then(hash) {
                Some(found) if found != self.weights_sha256 => changed(found.to_string(), &error),
                _ => Err(error),
            },
        }
    }
}

/// The SHA-256 of a weights file; `None` where there is none of that name.
fn hash(given: &GivenWeights) -> Option<Digest> {
    match given {
        GivenWeights::Named(path) => hash_file(path).ok().map(|(found, _)| found),
        GivenWeights::InMemory(_, bytes) => Some(sha256(bytes)),
    }
}
