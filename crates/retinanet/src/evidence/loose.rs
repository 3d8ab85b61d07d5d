//! A line that is made alone, by whoever detects, to be put into a log later.

use std::path::Path;

use serde::{Deserialize, Serialize};

use super::EvidenceError;
use super::file::open_on_record;
use super::header::LogHeader;
use super::line::{Answered, LogLine, MAX_LINE};
use crate::detection::Detections;
use crate::determinism::{Digest, StageDigests};
use crate::image::{DecodeLimits, DecodeOptions, Image};
use crate::{Detector, Result};

/// What a log will say about one image, made without the log: a worker answers it, as JSON for instance, and
/// [`assemble`](super::assemble) puts all of them together.
///
/// It knows what it was made with (versions, weights, configuration, categories, mode), so that lines of different
/// detectors do not get into one log.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LooseLine {
    pub(super) made_with: Digest,
    pub(super) line: LogLine,
}

impl LooseLine {
    /// Detects in an image file; `name` is the image's name in the list. The line, and what was found if something
    /// was: a file that cannot be read, decoded or resized, or that the network has no finite answer for, is a line
    /// with its error.
    ///
    /// # Errors
    /// A failure that is not the image's: of the device, of the network, of a detector made of a model.
    pub fn record(
        detector: &Detector,
        path: impl AsRef<Path>,
        name: &str,
        limits: &DecodeLimits,
    ) -> Result<(Self, Option<Detections>)> {
        let made_with = LogHeader::made_with(detector)?;
        let options = DecodeOptions { limits: limits.clone(), ..DecodeOptions::default() };
        let (file, image) = match open_on_record(path.as_ref(), name, &options, None) {
            Ok((file, image)) => (Some(file), image),
            Err(error) => (None, Err(error)),
        };
        let answer = image.and_then(|image| detect(detector, image));
        let (answer, found) = match answer {
            Ok((image, found, stages)) => (Ok(Answered::of(&image, &found, stages)), Some(found)),
            Err(error) if error.is_about_an_image() => (Err(error.to_string()), None),
            Err(error) => return Err(error),
        };
        Ok((Self { made_with, line: LogLine { image: name.to_owned(), file, answer } }, found))
    }

    /// What the log will say.
    pub fn line(&self) -> &LogLine {
        &self.line
    }

    /// As one line of JSON, without a newline.
    pub fn to_json(&self) -> String {
        serde_json::to_string(self).expect("a line has string keys only")
    }

    /// Reads what [`to_json`](Self::to_json) wrote.
    ///
    /// # Errors
    /// [`EvidenceError::NotALine`].
    pub fn from_json(json: &str) -> Result<Self, EvidenceError> {
        let refuse = |reason: String| EvidenceError::NotALine { reason };
        if json.len() as u64 > MAX_LINE {
            return Err(refuse(format!("it has more than {MAX_LINE} bytes")));
        }
        let plain = |error: serde_json::Error| error.to_string().escape_debug().to_string();
        let read: Self = serde_json::from_str(json).map_err(plain).map_err(refuse)?;
        if read.line.file.is_none() && read.line.answer.is_ok() {
            return Err(refuse("it has an answer, but no file".to_owned()));
        }
        Ok(read)
    }
}

fn detect(detector: &Detector, image: Image) -> Result<(Image, Detections, StageDigests)> {
    // A batch finds out before it detects, and says what is wrong in these words.
    detector.model().config().transform.output_sizes(image.height(), image.width())?;
    let (found, stages) = detector.detect_traced(&image)?;
    Ok((image, found, stages))
}
