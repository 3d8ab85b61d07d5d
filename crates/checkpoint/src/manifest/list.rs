//! The checkpoints known by name.

use std::io::Read;
use std::path::Path;

use super::entry::ManifestEntry;
use super::model::{ManifestModel, NoModel};
use super::rows;
use crate::error::{FetchError, Result};
use crate::files::open_regular;

const MAX_MANIFEST_BYTES: u64 = 1 << 20;

/// The checkpoints known by name.
///
/// ```
/// use retinanet_checkpoint::Manifest;
/// let text = r#"
///     version = 1
///     [[checkpoint]]
///     name = "mine"
///     licence = "MIT"
///     [[checkpoint.source]]
///     hub = "owner/name"
///     revision = "main"
///     file = "model.safetensors"
///     format = "safetensors"
///     size_mib = 12.5
///     sha256 = "0123abcd"
/// "#;
/// let manifest: Manifest = Manifest::parse(text, "example")?;
/// assert_eq!(manifest.get("mine")?.sources[0].cache_file(), Some("model.safetensors"));
/// # Ok::<(), retinanet_checkpoint::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Manifest<M = NoModel> {
    entries: Vec<ManifestEntry<M>>,
}

impl<M: ManifestModel> Manifest<M> {
    /// The manifest that comes with the program.
    ///
    /// # Panics
    ///
    /// If [`ManifestModel::BUILTIN`] is no manifest, which a test of the program shows.
    pub fn builtin() -> Self {
        Self::parse_in(M::BUILTIN, "built-in", None).expect("the built-in manifest is tested")
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
}

impl<M> Manifest<M> {
    /// All checkpoints, in the manifest's order.
    pub fn entries(&self) -> &[ManifestEntry<M>] {
        &self.entries
    }

    /// The checkpoint called `name`.
    ///
    /// # Errors
    /// [`FetchError::UnknownCheckpoint`], with the names that look like it.
    pub fn get(&self, name: &str) -> Result<&ManifestEntry<M>> {
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
