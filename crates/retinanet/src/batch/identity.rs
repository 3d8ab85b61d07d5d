//! What decides an output's bytes, kept in a file beside it.

use std::ffi::OsString;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::BatchError;
use super::format::Format;
use crate::Result;
use crate::data::Shard;
use crate::determinism::{Digest, Mode, Versions};
use crate::evidence::first_difference;
use crate::files::{open_regular, write_atomically};

/// Written at the start of what is beside an output.
const KIND: &str = "retinanet-batch-v1";
/// The largest file that is read as one; a model's configuration is a few kilobytes, category names aside.
const MAX_BYTES: u64 = 64 << 20;

/// Everything that decides the bytes of an output file.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Identity {
    pub(super) kind: String,
    pub(super) format: Format,
    pub(super) shard: String,
    pub(super) images: usize,
    pub(super) list_sha256: Digest,
    /// Of the ids and sizes that COCO annotations gave.
    pub(super) annotations_sha256: Option<Digest>,
    pub(super) weights_sha256: Option<Digest>,
    pub(super) mode: Mode,
    /// In fast mode and with cuDNN, where it takes part in the answer.
    pub(super) mode_device: Option<String>,
    /// The only labels that are written; empty for all.
    pub(super) labels: Vec<String>,
    /// What else is written for each image.
    pub(super) extras: Vec<String>,
    pub(super) versions: Versions,
    /// The model's configuration.
    pub(super) config: Value,
    pub(super) categories: Vec<String>,
}

impl Identity {
    pub(super) fn kind() -> String {
        KIND.to_owned()
    }

    /// The file beside an output.
    pub(super) fn path_beside(output: &Path) -> PathBuf {
        let mut path = OsString::from(output);
        path.push(".run.json");
        path.into()
    }

    /// Writes it beside an output, whole or not at all.
    pub(super) fn write_beside(&self, output: &Path) -> Result<()> {
        let mut text = serde_json::to_string_pretty(self).expect("string keys only");
        text.push('\n');
        write_atomically(&Self::path_beside(output), |file| file.write_all(text.as_bytes()))?;
        Ok(())
    }

    /// Reads what is beside an output.
    pub(super) fn read_beside(output: &Path) -> Result<Self, BatchError> {
        let path = Self::path_beside(output);
        let refuse = |reason: String| BatchError::Sidecar { path: path.clone(), reason };
        let mut text = Vec::new();
        open_regular(&path)
            .and_then(|file| file.take(MAX_BYTES + 1).read_to_end(&mut text))
            .map_err(|error| refuse(error.to_string()))?;
        if text.len() as u64 > MAX_BYTES {
            return Err(refuse(format!("it has more than {MAX_BYTES} bytes")));
        }
        let identity: Self =
            serde_json::from_slice(&text).map_err(|error| refuse(error.to_string()))?;
        if identity.kind != KIND {
            return Err(refuse(format!("its kind is {:?}, expected {KIND:?}", identity.kind)));
        }
        Ok(identity)
    }

    pub(super) fn shard(&self, output: &Path) -> Result<Shard, BatchError> {
        self.shard.parse().map_err(|error: crate::Error| BatchError::Sidecar {
            path: Self::path_beside(output),
            reason: error.to_string(),
        })
    }

    /// Refuses an output that was begun as `before`; the error names the first difference.
    pub(super) fn check_same(&self, before: &Self, output: &Path) -> Result<(), BatchError> {
        let value = |identity| serde_json::to_value(identity).expect("string keys only");
        let Some((field, before, now)) = first_difference(&value(before), &value(self)) else {
            return Ok(());
        };
        Err(BatchError::Changed { path: output.to_owned(), field, before, now })
    }
}
