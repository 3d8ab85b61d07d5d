//! Where the images and the weights of a log were: a hint beside it, and no part of it.

use std::ffi::OsString;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::Result;
use crate::detector::Detector;
use crate::files::{open_regular, write_whole};

const KIND: &str = "retinanet-log-where-v1";
const MAX_BYTES: u64 = 1 << 20;

/// Leaves the hint beside a log.
pub(crate) fn leave_hint(log: &Path, images: &Path, detector: &Detector) -> Result<()> {
    let weights = detector.weights().unwrap_or(Path::new(""));
    Whereabouts::new(images, weights).write_beside(log)
}

/// Where things were when a log was made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Whereabouts {
    kind: String,
    /// The folder that the images' names start at.
    pub(super) images: PathBuf,
    /// The weights' file, or their name in the manifest.
    pub(super) weights: PathBuf,
}

impl Whereabouts {
    /// `weights` as they were given.
    pub(super) fn new(images: &Path, weights: &Path) -> Self {
        let is_file = weights.is_file();
        let absolute = is_file.then(|| std::path::absolute(weights).ok()).flatten();
        let weights = absolute.unwrap_or_else(|| weights.to_owned());
        Self { kind: KIND.to_owned(), images: images.to_owned(), weights }
    }

    /// The file beside a log.
    fn path_beside(log: &Path) -> PathBuf {
        let mut path = OsString::from(log);
        path.push(".where.json");
        path.into()
    }

    /// Writes it beside a log, if its paths have a text.
    pub(super) fn write_beside(&self, log: &Path) -> Result<()> {
        if let Ok(mut text) = serde_json::to_string_pretty(self) {
            text.push('\n');
            write_whole(Self::path_beside(log), text.as_bytes())?;
        }
        Ok(())
    }

    /// What is beside a log; `None` where nothing of use is.
    pub(super) fn read_beside(log: &Path) -> Option<Self> {
        let read = || -> io::Result<Vec<u8>> {
            let mut text = Vec::new();
            open_regular(&Self::path_beside(log))?.take(MAX_BYTES).read_to_end(&mut text)?;
            Ok(text)
        };
        let found: Self = serde_json::from_slice(&read().ok()?).ok()?;
        (found.kind == KIND).then_some(found)
    }
}
