//! What a manifest says about one checkpoint.

use std::path::PathBuf;

use super::model::NoModel;

/// One checkpoint of a manifest.
#[derive(Clone, Debug, PartialEq)]
pub struct ManifestEntry<M = NoModel> {
    /// Its name, which is also its folder in the cache.
    pub name: String,
    /// What the manifest says about its model, by the keys that are not this crate's.
    pub model: M,
    /// Its licence, as an SPDX expression.
    pub licence: String,
    /// A remark for people.
    pub note: String,
    /// The files that hold it, in the order to try.
    pub sources: Vec<Source>,
}

/// One file that holds a checkpoint.
#[derive(Clone, Debug, PartialEq)]
pub struct Source {
    /// Where it is.
    pub location: Location,
    /// Its container.
    pub format: SourceFormat,
    /// Its approximate size in MiB: bounds the download, never compared exactly.
    pub size_mib: Option<f64>,
    /// How to recognise it.
    pub sha256: ExpectedSha256,
}

impl Source {
    /// The name the file has in the cache; `None` for a bundled file, which is not copied there.
    pub fn cache_file(&self) -> Option<&str> {
        match &self.location {
            Location::Hub { file, .. } | Location::Url { file, .. } => Some(file),
            Location::Bundled { .. } => None,
        }
    }
}

/// Where a file is.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Location {
    /// A file of a model hub repository.
    Hub {
        /// `owner/name`.
        repo: String,
        /// A branch, tag or commit.
        revision: String,
        /// The file's name.
        file: String,
    },
    /// A plain download.
    Url {
        /// The address (https, or http on the loopback).
        url: String,
        /// The name the file gets in the cache.
        file: String,
    },
    /// A file that comes with the manifest.
    Bundled {
        /// Its path below the folder of the manifest.
        path: PathBuf,
        /// That folder; `None` for the built-in manifest, which has none.
        beside: Option<PathBuf>,
    },
}

/// The container a checkpoint is stored in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum SourceFormat {
    /// A `.safetensors` file.
    Safetensors,
    /// A PyTorch `.pth`, of either container.
    Pth,
}

/// The sha256 a file must have: all 64 hex digits, or the first 8 where no more is known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExpectedSha256(String);

impl ExpectedSha256 {
    /// Reads 64 or 8 hex digits; `None` for anything else.
    pub fn new(digits: &str) -> Option<Self> {
        let hex = digits.bytes().all(|b| b.is_ascii_hexdigit());
        (hex && matches!(digits.len(), 8 | 64)).then(|| Self(digits.to_ascii_lowercase()))
    }

    /// Whether all 64 digits are known; 8 only show corruption.
    pub fn is_full(&self) -> bool {
        self.0.len() == 64
    }

    /// Whether a file whose sha256 is `hex` (64 lower-case digits) may be this one.
    pub fn accepts(&self, hex: &str) -> bool {
        hex.len() == 64 && hex.starts_with(&self.0)
    }

    /// The digits, in lower case.
    pub fn digits(&self) -> &str {
        &self.0
    }
}
