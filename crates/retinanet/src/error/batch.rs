//! Runs over many images.

use std::io;
use std::path::PathBuf;

/// A batch's output cannot be begun, continued or joined.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BatchError {
    /// The output is there already.
    #[error(
        "{path:?} is there already; ask to continue it (`--resume`) or to replace it (`--overwrite`), or write to another file"
    )]
    Exists {
        /// The output.
        path: PathBuf,
    },
    /// The output is a folder, a device or a pipe, which cannot be continued.
    #[error("{path:?} is not a regular file; a batch needs one, to be able to continue it")]
    NotAFile {
        /// The output.
        path: PathBuf,
    },
    /// One file was named for the results and for their log.
    #[error("{path:?} cannot be the results and their log; write the log to another file")]
    Twofold {
        /// The file.
        path: PathBuf,
    },
    /// The log that was begun with an output is gone.
    #[error(
        "{path:?}, the log of {output:?}, is not there any more; restore it, or begin both anew (`--overwrite`)"
    )]
    NoLog {
        /// The log.
        path: PathBuf,
        /// The output.
        output: PathBuf,
    },
    /// Another process writes to it.
    #[error("{path:?} is being written by another process; wait for its end, or stop it")]
    Busy {
        /// The output.
        path: PathBuf,
    },
    /// The output, or a shard, cannot be read.
    #[error("cannot read {path:?}: {source}; check the path and its permissions")]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// What is beside the output and says what it was made with cannot be understood.
    #[error(
        "{path:?} does not say what the output beside it was made with: {reason}; write to another file, or ask to replace it (`--overwrite`)"
    )]
    Sidecar {
        /// The file beside the output.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// The run that began the output was another one.
    #[error(
        "{path:?} was begun with another `{field}`: {before} then, {now} now; run it as before, or write to another file"
    )]
    Changed {
        /// The output.
        path: PathBuf,
        /// What changed.
        field: String,
        /// Its value then.
        before: String,
        /// Its value now.
        now: String,
    },
    /// The detector was not made from a file, so nothing tells whether its weights changed.
    #[error(
        "{path:?} cannot be continued: the detector's weights come from no file, so nothing tells whether they are the same; build it from a checkpoint"
    )]
    UnknownWeights {
        /// The output.
        path: PathBuf,
    },
    /// The output holds something that this run did not write.
    #[error("{path:?} is damaged: line {line} {reason}; restore it, or begin anew in another file")]
    Damaged {
        /// The output.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
        /// What is wrong with it.
        reason: String,
    },
    /// A shard that is not finished.
    #[error(
        "{path:?} is not finished: it has {found} of its {expected} images; continue it with `--resume`"
    )]
    Unfinished {
        /// The shard.
        path: PathBuf,
        /// How many images it has.
        found: usize,
        /// How many it should have.
        expected: usize,
    },
    /// The shards given are not the shards of one run, each once.
    #[error("{path:?} {reason}; give each shard of one run once, in any order")]
    NotAShard {
        /// One of the files.
        path: PathBuf,
        /// What does not fit.
        reason: String,
    },
    /// Images that COCO annotations do not know.
    #[error(
        "{missing} of {images} images are not in the annotations {path:?}, {example:?} for one; names are relative to {root:?}: give the folder that the annotations' `file_name`s start at"
    )]
    UnknownImages {
        /// The annotations.
        path: PathBuf,
        /// How many images they lack.
        missing: usize,
        /// Of how many.
        images: usize,
        /// The first of them.
        example: String,
        /// The folder the names start at.
        root: PathBuf,
    },
    /// Annotations that are none, or that contradict themselves.
    #[error("{path:?} cannot be used as COCO annotations: {reason}")]
    Annotations {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// An image that would be counted twice.
    #[error("{name:?} is listed twice; COCO results count every image once")]
    Twice {
        /// The image.
        name: String,
    },
}
