//! The weights manifest: which checkpoints exist, where they come from and how to recognise them.

use std::io::Read;
use std::path::{Path, PathBuf};

use super::FetchError;
use crate::Result;
use crate::files::open_regular;

mod rows;

/// The text of `weights-manifest.toml` this crate was built with.
pub const BUILTIN_MANIFEST: &str = include_str!("../../weights-manifest.toml");

const MAX_MANIFEST_BYTES: u64 = 1 << 20;

/// The checkpoints known by name.
///
/// ```
/// use retinanet::weights::Manifest;
/// let manifest = Manifest::builtin();
/// let entry = manifest.get("retinanet_resnet50_fpn_v2.coco_v1")?;
/// assert_eq!(entry.norm_eps, Some(1e-5));
/// # Ok::<(), retinanet::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Manifest {
    entries: Vec<ManifestEntry>,
}

/// One checkpoint of a manifest.
#[derive(Clone, Debug, PartialEq)]
pub struct ManifestEntry {
    /// Its name, for example `retinanet_resnet50_fpn_v2.coco_v1`; also its folder in the cache.
    pub name: String,
    /// The model it belongs to.
    pub architecture: Architecture,
    /// The batch norm's epsilon, which no weights file carries; `None` where the manifest is silent.
    pub norm_eps: Option<f64>,
    /// The names of its classes.
    pub categories: ManifestCategories,
    /// Its licence, as an SPDX expression.
    pub licence: String,
    /// What its publisher measured.
    pub reference: Option<Reference>,
    /// A remark for people.
    pub note: String,
    /// The files that hold it, in the order to try.
    pub sources: Vec<Source>,
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
    /// A list; index 0 is the background.
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

impl Manifest {
    /// The manifest this crate was built with.
    pub fn builtin() -> Self {
        Self::parse_in(BUILTIN_MANIFEST, "built-in", None).expect("the built-in manifest is tested")
    }

    /// Reads a manifest of the user's own; its bundled files lie beside it.
    ///
    /// # Errors
    /// [`FetchError::ReadManifest`] and [`FetchError::Manifest`], naming the file and the field.
    pub fn from_path(path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref();
        let failed = |source| FetchError::ReadManifest { path: path.to_owned(), source };
        let mut text = String::new();
        let file = open_regular(path).map_err(failed)?;
        let read = file.take(MAX_MANIFEST_BYTES + 1).read_to_string(&mut text).map_err(failed)?;
        let name = path.display().to_string();
        if read as u64 > MAX_MANIFEST_BYTES {
            let problem = format!("it is larger than {MAX_MANIFEST_BYTES} bytes");
            return Err(FetchError::Manifest { manifest: name, problem }.into());
        }
        Ok(Self::parse_in(&text, &name, Some(path.parent().unwrap_or(Path::new(""))))?)
    }

    /// Reads a manifest from `text`; `name` is what errors call it. It has no bundled files.
    ///
    /// # Errors
    /// [`FetchError::Manifest`], naming the field.
    pub fn parse(text: &str, name: &str) -> Result<Self> {
        Ok(Self::parse_in(text, name, None)?)
    }

    fn parse_in(text: &str, name: &str, folder: Option<&Path>) -> Result<Self, FetchError> {
        let entries = rows::read(text, folder)
            .map_err(|problem| FetchError::Manifest { manifest: name.to_owned(), problem })?;
        Ok(Self { entries })
    }

    /// All checkpoints, in the manifest's order.
    pub fn entries(&self) -> &[ManifestEntry] {
        &self.entries
    }

    /// The checkpoint called `name`.
    ///
    /// # Errors
    /// [`FetchError::UnknownCheckpoint`], with the names that look like it.
    pub fn get(&self, name: &str) -> Result<&ManifestEntry> {
        if let Some(entry) = self.entries.iter().find(|entry| entry.name == name) {
            return Ok(entry);
        }
        let near = self.near(name);
        let (near, verb) = if near.is_empty() {
            (self.entries.iter().take(20).map(|entry| entry.name.clone()).collect(), "it has")
        } else {
            (near, "did you mean")
        };
        let hint = if near.is_empty() {
            "it is empty".to_owned()
        } else {
            format!("{verb} {}", near.join(", "))
        };
        Err(FetchError::UnknownCheckpoint { name: name.to_owned(), near, hint }.into())
    }

    fn near(&self, name: &str) -> Vec<String> {
        let asked: String = name.chars().take(200).flat_map(char::to_lowercase).collect();
        let mut scored: Vec<(f64, &str)> = self
            .entries
            .iter()
            .map(|entry| {
                (strsim::normalized_damerau_levenshtein(&asked, &entry.name), entry.name.as_str())
            })
            .filter(|(score, entry)| *score >= 0.5 || (asked.len() >= 3 && entry.contains(&asked)))
            .collect();
        scored.sort_by(|a, b| b.0.total_cmp(&a.0).then_with(|| a.1.cmp(b.1)));
        scored.into_iter().take(3).map(|(_, entry)| entry.to_owned()).collect()
    }
}

#[cfg(test)]
mod tests;
