//! A log's first line: what all its images have in common.

use serde::{Deserialize, Serialize};

use super::EvidenceError;
use super::place::hash_line;
use crate::Result;
use crate::data::{ListDigest, Listing, Shard};
use crate::detector::Detector;
use crate::determinism::{Digest, Mode, Versions};
use crate::error::DeterminismError;
use crate::model::RetinaNetConfig;

/// How a log is recognised.
pub(super) const FORMAT: &str = "retinanet.log";
/// The first bytes of every log.
pub(super) const START: &[u8] = br#"{"format":"retinanet.log","#;
const VERSION: u64 = 1;

/// What all images of a log have in common, and what decides their bits.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LogHeader {
    format: String,
    version: u64,
    /// How many images the list has, of all shards.
    pub images: usize,
    /// [`Listing::digest`].
    pub list_sha256: Digest,
    shard: String,
    /// Numerics, and the versions of what takes part.
    pub versions: Versions,
    /// Strict or fast.
    pub mode: Mode,
    /// The device, in the fast mode and with cuDNN, where it takes part in the answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mode_device: Option<String>,
    /// SHA-256 of the weights file.
    pub weights_sha256: Digest,
    /// The model's configuration, with the score threshold that was asked for.
    pub configuration: RetinaNetConfig,
    /// The names of its classes.
    pub categories: Vec<String>,
}

impl LogHeader {
    /// What a detector and a share of a listing have.
    ///
    /// # Errors
    /// [`DeterminismError::ReceiptWithoutWeights`] for a detector made of a model.
    pub(crate) fn of(detector: &Detector, listing: &Listing, shard: Shard) -> Result<Self> {
        Self::of_list(detector, listing.len(), listing.digest(), shard)
    }

    /// The digest of what a detector decides about the lines: all but the list and the share of it.
    ///
    /// # Errors
    /// As [`of`](Self::of).
    pub(super) fn made_with(detector: &Detector) -> Result<Digest> {
        let no_list = ListDigest::new().finish();
        Ok(hash_line(&Self::of_list(detector, 0, no_list, Shard::default())?.to_line()))
    }

    fn of_list(
        detector: &Detector,
        images: usize,
        list_sha256: Digest,
        shard: Shard,
    ) -> Result<Self> {
        let environment = detector.environment();
        // In fast mode, or with pinned cuDNN.
        let bits_differ = !environment.problems.is_empty();
        Ok(Self {
            format: FORMAT.to_owned(),
            version: VERSION,
            images,
            list_sha256,
            shard: shard.to_string(),
            versions: environment.versions,
            mode: environment.mode,
            mode_device: bits_differ.then_some(environment.device),
            weights_sha256: environment
                .weights_sha256
                .ok_or(DeterminismError::ReceiptWithoutWeights)?,
            configuration: detector.model().config().clone(),
            categories: detector.categories().names().to_vec(),
        })
    }

    /// The share of the list that the log is about.
    pub fn shard(&self) -> Shard {
        // Checked where it is read, and written from a shard.
        self.shard.parse().unwrap_or_default()
    }

    /// The same for another share.
    pub(super) fn with_shard(&self, shard: Shard) -> Self {
        Self { shard: shard.to_string(), ..self.clone() }
    }

    /// The line, with its newline.
    pub(super) fn to_line(&self) -> Vec<u8> {
        let mut line = serde_json::to_vec(self).expect("a header has string keys only");
        line.push(b'\n');
        line
    }

    /// Reads a line without its newline.
    pub(super) fn parse(line: &[u8]) -> Result<Self, String> {
        if !line.starts_with(START) {
            return Err(format!("its first line does not begin a log (`format` {FORMAT:?})"));
        }
        let plain = |error: serde_json::Error| error.to_string().escape_debug().to_string();
        let header: Self = serde_json::from_slice(line).map_err(plain)?;
        if header.version != VERSION {
            let version = header.version;
            return Err(format!("its `version` is {version}; this release reads {VERSION}"));
        }
        header.shard.parse::<Shard>().map_err(|error| error.to_string())?;
        header.configuration.validate().map_err(|error| error.to_string())?;
        Ok(header)
    }
}

impl LogHeader {
    /// Refuses a header that does not fit a path's log; for errors that name the file.
    pub(super) fn read(line: &[u8], path: &std::path::Path) -> Result<Self, EvidenceError> {
        Self::parse(line).map_err(|reason| EvidenceError::NotALog { path: path.to_owned(), reason })
    }
}
