//! Logs of many images.

use std::io;
use std::path::PathBuf;

/// A log is none, was changed since it was written, or cannot be re-run.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EvidenceError {
    /// The log cannot be read.
    #[error("cannot read {path:?}: {source}; check the path and its permissions")]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The file is no log, or one that this release does not read.
    #[error("{path:?} is not a usable log: {reason}; give the file that `--receipts` wrote")]
    NotALog {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// A line does not fit the lines before it.
    #[error("the log {path:?} was changed: line {line} {reason}")]
    Broken {
        /// The log.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
        /// What does not fit.
        reason: String,
    },
    /// The log has no end.
    #[error(
        "the log {path:?} has no end{}: it has lines about {found} of {expected} images. Its run is not finished (`--resume` goes on), or it was cut",
        if *torn { ", and breaks off in the middle of a line" } else { "" }
    )]
    Cut {
        /// The log.
        path: PathBuf,
        /// Images with a whole line.
        found: usize,
        /// Images there should be.
        expected: usize,
        /// Whether the last line is incomplete.
        torn: bool,
    },
    /// A text is no line that was made elsewhere.
    #[error("this is no line for a log: {reason}; give it as the worker that made it wrote it")]
    NotALine {
        /// What is wrong with it.
        reason: String,
    },
    /// A line that was made elsewhere cannot be part of the log.
    #[error("line {line} cannot be part of the log {path:?}: {reason}")]
    Unfit {
        /// The log.
        path: PathBuf,
        /// The line that it would be, from 1.
        line: usize,
        /// What does not fit, and what to do.
        reason: String,
    },
    /// The log's head is not the one that was expected.
    #[error(
        "the head of the log {path:?} is {found}, expected {expected}: it is another log, or one that was written anew"
    )]
    OtherHead {
        /// The log.
        path: PathBuf,
        /// The head that was expected.
        expected: String,
        /// The head that it has.
        found: String,
    },
    /// A name that the log has no line about.
    #[error("the log {path:?} has no image {name:?}; its names look like {example:?}")]
    UnknownImage {
        /// The log.
        path: PathBuf,
        /// What was asked for.
        name: String,
        /// One of its images.
        example: String,
    },
    /// What says how many images are to be re-run says nothing.
    #[error(
        "{text:?} is no sample: give a percentage above 0 and at most 100 (`1%`, `0.5%`), or a number of images from 1 (`20`)"
    )]
    Sample {
        /// What was given.
        text: String,
    },
    /// Nothing says where the images or the weights are.
    #[error("nothing says where the {what} of the log {path:?} are: {advice}")]
    Nowhere {
        /// Images or weights.
        what: &'static str,
        /// The log.
        path: PathBuf,
        /// What to do.
        advice: String,
    },
}
