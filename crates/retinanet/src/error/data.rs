//! Lists of images, and their loading.

use std::io;
use std::path::PathBuf;

/// Images could not be listed, or a loader could not be set up.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DataError {
    /// A path that was given leads nowhere, or cannot be looked at.
    #[error("cannot read {path:?}: {source}; check the path and its permissions")]
    Input {
        /// What was given.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A folder, or something in it, cannot be read; its images would be missing without a word.
    #[error(
        "cannot list the folder {path:?}: {source}; make it readable, or give only the folders that are"
    )]
    Folder {
        /// The folder.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// There is nothing to do.
    #[error(
        "{given} names no image: {skipped} other files were left out; files whose name ends in {endings} are taken"
    )]
    NoImages {
        /// What was given, escaped.
        given: String,
        /// Files that are not called like images.
        skipped: usize,
        /// The endings.
        endings: String,
    },
    /// A pattern that cannot be understood.
    #[error("{pattern:?} is neither a file nor a pattern: {reason}")]
    Pattern {
        /// The pattern.
        pattern: String,
        /// What is wrong with it.
        reason: String,
    },
    /// A file that should hold one path a line does not.
    #[error("{path:?} is not a list of paths: line {line} {reason}; write one path a line")]
    List {
        /// The list.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// Two inputs have no folder in common (drives of Windows).
    #[error(
        "{path:?} has no folder in common with the other inputs; give them in runs of their own"
    )]
    NoCommonFolder {
        /// One of the two.
        path: PathBuf,
    },
    /// A share that does not exist.
    #[error(
        "shard {text:?} does not exist; write I/N with I from 0 to N - 1: `0/4` is the first of four"
    )]
    Shard {
        /// What was asked for.
        text: String,
    },
    /// A setting with a value that makes no sense.
    #[error("loader: `{setting}` is {value}; {needs}")]
    Setting {
        /// Which one.
        setting: &'static str,
        /// Its value.
        value: usize,
        /// What it must be.
        needs: &'static str,
    },
    /// The threads could not be started.
    #[error("{workers} workers could not be started: {reason}; ask for fewer")]
    Workers {
        /// How many.
        workers: usize,
        /// What the system said.
        reason: String,
    },
    /// The data set panicked over a sample: a fault of the program, kept to that sample.
    #[error("sample {index}: the worker that loaded it panicked: {message:?}")]
    Panicked {
        /// The sample.
        index: usize,
        /// What the panic said.
        message: String,
    },
}
