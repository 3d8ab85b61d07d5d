//! One image of a log, and the log's last line.

use serde::{Deserialize, Serialize};

use crate::detection::Detections;
use crate::determinism::{Digest, StageDigests};
use crate::image::Image;

/// The most bytes of a line.
pub(super) const MAX_LINE: u64 = 16 << 20;

/// The image file that a line speaks of.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FileRecord {
    /// The file's size.
    pub bytes: u64,
    /// SHA-256 of the file.
    pub sha256: Digest,
    /// Whether the picture was taken as stored, not turned upright as its EXIF data says: so annotations demanded it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub as_stored: bool,
}

/// What was found, by its digests.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Answered {
    /// Of the picture, in pixels.
    pub width: usize,
    /// Of the picture, in pixels.
    pub height: usize,
    /// How many detections.
    pub detections: usize,
    /// The digest of every stage; the last is that of the detections.
    pub stages: StageDigests,
}

impl Answered {
    /// What was found in a picture, and the stages on the way.
    pub(crate) fn of(image: &Image, found: &Detections, stages: StageDigests) -> Self {
        Self { width: image.width(), height: image.height(), detections: found.len(), stages }
    }
}

/// One image of a log.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct LogLine {
    /// Its name in the list.
    pub image: String,
    /// Its file; `None` where it could not be read.
    pub file: Option<FileRecord>,
    /// What was found, or why there is no answer.
    pub answer: Result<Answered, String>,
}

/// A line as it is written.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawLine {
    pub(super) previous: Digest,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) image: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) file: Option<FileRecord>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) answer: Option<Answered>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) error: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) end: Option<End>,
}

/// What the last line says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct End {
    /// Lines about images.
    pub(super) images: usize,
    /// Of these, those without an answer.
    pub(super) failed: usize,
}

/// What a line is about.
#[derive(Debug, PartialEq)]
pub(super) enum Content {
    Image(LogLine),
    End(End),
}

impl RawLine {
    pub(super) fn of_image(previous: Digest, line: LogLine) -> Self {
        let LogLine { image, file, answer } = line;
        let (answer, error) = match answer {
            Ok(answer) => (Some(answer), None),
            Err(error) => (None, Some(error)),
        };
        Self { previous, image: Some(image), file, answer, error, end: None }
    }

    pub(super) fn of_end(previous: Digest, end: End) -> Self {
        Self { previous, image: None, file: None, answer: None, error: None, end: Some(end) }
    }

    /// The line, with its newline.
    pub(super) fn to_line(&self) -> Vec<u8> {
        let mut line = serde_json::to_vec(self).expect("a line has string keys only");
        line.push(b'\n');
        line
    }

    /// Reads a line without its newline: the hash of the line before, and what this one is about.
    pub(super) fn parse(line: &[u8]) -> Result<(Digest, Content), String> {
        let plain = |error: serde_json::Error| {
            format!("is no line of a log: {}", error.to_string().escape_debug())
        };
        let raw: Self = serde_json::from_slice(line).map_err(plain)?;
        let previous = raw.previous;
        let content = match raw {
            Self { image: None, file: None, answer: None, error: None, end: Some(end), .. } => {
                Content::End(end)
            }
            Self {
                image: Some(image), file, answer: Some(answer), error: None, end: None, ..
            } if file.is_some() => Content::Image(LogLine { image, file, answer: Ok(answer) }),
            Self {
                image: Some(image), file, answer: None, error: Some(error), end: None, ..
            } => Content::Image(LogLine { image, file, answer: Err(error) }),
            _ => {
                return Err("is about neither one answer, nor one error, nor the end".to_owned());
            }
        };
        Ok((previous, content))
    }
}
