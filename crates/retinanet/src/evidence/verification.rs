//! What re-running a log's images showed.

use std::fmt;

use super::header::LogHeader;
use crate::determinism::{Digest, Environment, Mode, StageDifference};

/// How many images the text names; all are in the lists.
const MAX_SHOWN: usize = 20;

/// What re-running a log's images showed. `Display` tells it in words.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct LogVerification {
    /// How many images were re-run and compared.
    pub checked: usize,
    /// The images that are not as the log says, in its order.
    pub different: Vec<LoggedDifference>,
    /// The number and name of each image that could not be compared, and why.
    pub not_compared: Vec<(usize, String, String)>,
    /// The SHA-256 of the weights here, where they are not the log's, and why they cannot even be loaded. Then
    /// nothing was re-run.
    pub weights: Option<(String, Option<String>)>,
    /// What the log says of all images.
    pub there: LogHeader,
    /// This environment; `None` where the weights cannot be used.
    pub here: Option<Environment>,
}

/// An image that is not as the log says.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct LoggedDifference {
    /// Its number in the log, from 0.
    pub index: usize,
    /// Its name.
    pub image: String,
    /// What differs, causes before consequences.
    pub differences: Vec<LineDifference>,
}

/// One thing about an image that is not as the log says.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum LineDifference {
    /// The image file is another.
    ImageFile {
        /// The log's SHA-256.
        expected: Digest,
        /// This file's.
        found: Digest,
    },
    /// The file, which is another, gives no answer.
    NotRerun {
        /// Why not.
        now: String,
    },
    /// The log has an error, and here there is an answer.
    AnsweredNow {
        /// The log's error.
        then: String,
    },
    /// The first stage whose bits differ; those after it say nothing more.
    Stage(StageDifference),
    /// All stages are equal, but width, height or number of detections in the log are not those digested.
    Counts,
}

impl LogVerification {
    pub(super) fn new(there: LogHeader) -> Self {
        Self {
            checked: 0,
            different: Vec::new(),
            not_compared: Vec::new(),
            weights: None,
            there,
            here: None,
        }
    }

    /// Whether every image that was to be re-run is as the log says, bit for bit.
    pub fn is_same(&self) -> bool {
        self.weights.is_none() && self.different.is_empty() && self.not_compared.is_empty()
    }

    /// Whether something is not as the log says: what could not be compared is not counted.
    pub fn is_different(&self) -> bool {
        self.weights.is_some() || !self.different.is_empty()
    }
}

impl fmt::Display for LogVerification {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let expected = self.there.weights_sha256;
        if let Some((found, unusable)) = &self.weights {
            write!(
                f,
                "different: the log is of another model: the weights' sha256 is {found}, the log's is {expected}; nothing was re-run"
            )?;
            return unusable.as_ref().map_or(Ok(()), |reason| write!(f, ": {reason}"));
        }
        let (checked, different) = (self.checked, self.different.len());
        if different > 0 {
            write!(
                f,
                "different: {different} of {checked} images re-run are not as the log says:"
            )?;
            for one in self.different.iter().take(MAX_SHOWN) {
                write!(f, "\n- {one}")?;
            }
            and_more(f, different)?;
        } else if checked == 0 && !self.not_compared.is_empty() {
            write!(f, "nothing was compared")?;
        } else {
            write!(
                f,
                "same: all {checked} images re-run are as the log says, every stage to the bit"
            )?;
        }
        if !self.not_compared.is_empty() {
            write!(f, "\nnot compared: {}", self.not_compared.len())?;
            for (_, image, reason) in self.not_compared.iter().take(MAX_SHOWN) {
                match reason.contains(image.as_str()) {
                    true => write!(f, "\n- {reason}")?,
                    false => write!(f, "\n- {image}: {reason}")?,
                }
            }
            and_more(f, self.not_compared.len())?;
        }
        if different == 0 {
            return Ok(());
        }
        if self.there.mode == Mode::Fast {
            write!(f, "\nthe log was made in the fast mode, which promises no bits")?;
        }
        if let Some(device) = &self.there.mode_device {
            write!(f, "\nit was made on {device}, and its bits are that device's")?;
        }
        let changed = self.there.versions.changed_from_current();
        if !changed.is_empty() {
            write!(f, "\nversions that differ:")?;
            for (part, there, here) in changed {
                write!(f, "\n  {part}: {there} in the log, {here} here")?;
            }
        }
        Ok(())
    }
}

fn and_more(f: &mut fmt::Formatter<'_>, count: usize) -> fmt::Result {
    match count.saturating_sub(MAX_SHOWN) {
        0 => Ok(()),
        more => write!(f, "\n- and {more} more"),
    }
}

impl fmt::Display for LoggedDifference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: ", self.image)?;
        for (number, difference) in self.differences.iter().enumerate() {
            let before = if number == 0 { "" } else { "; " };
            write!(f, "{before}{difference}")?;
        }
        Ok(())
    }
}

impl fmt::Display for LineDifference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ImageFile { expected, found } => {
                write!(f, "the image file's sha256 is {found}, the log's is {expected}")
            }
            Self::NotRerun { now } => write!(f, "nothing was re-run: {now}"),
            Self::AnsweredNow { then } => {
                write!(f, "there is an answer here, and in the log the error {then:?}")
            }
            Self::Stage(part) => write!(f, "log against here: {part}"),
            Self::Counts => f.write_str(
                "every stage is equal, but the log's width, height or number of detections is not",
            ),
        }
    }
}
