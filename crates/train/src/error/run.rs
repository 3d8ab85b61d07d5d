//! Runs that cannot begin, go on or be trusted.

use std::io;
use std::path::PathBuf;

/// Something is wrong with a run or one of its files.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RunError {
    /// There is a run already.
    #[error("{folder:?} has a run already; go on with it (--resume), or choose another folder")]
    HasRun {
        /// The folder.
        folder: PathBuf,
    },
    /// There is no run to go on with.
    #[error("{folder:?} has no run with a saved state; begin one without --resume")]
    NoRun {
        /// The folder.
        folder: PathBuf,
    },
    /// The folder cannot be read.
    #[error("cannot read the folder {path:?}")]
    Folder {
        /// The folder.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The log is none, or was changed.
    #[error("training log {path:?}{}: {reason}", line.map(|line| format!(", line {line}")).unwrap_or_default())]
    Log {
        /// The file.
        path: PathBuf,
        /// Which line, from 1.
        line: Option<usize>,
        /// What is wrong.
        reason: String,
    },
    /// A saved state is not the one that was logged.
    #[error(
        "the state of step {step} is not the one in the log: {part} differs; one of the two files was changed"
    )]
    OtherState {
        /// The step.
        step: u64,
        /// The first part that differs.
        part: String,
    },
    /// Regressions that are weighted.
    #[error(
        "the model weights regressions by {weights:?}; only models with weights of 1, as torchvision's are, can be trained"
    )]
    BoxWeights {
        /// The weights.
        weights: [f32; 4],
    },
    /// A picture to be evaluated on is not there.
    #[error(
        "the validation image {path:?} is missing; mend `data.validation_images`, or the annotations"
    )]
    NoValidationImage {
        /// The file.
        path: PathBuf,
    },
    /// A picture's loss is no number.
    #[error(
        "the {loss} loss of image {image} is {value}: {}",
        match layer {
            Some(layer) => format!("{layer} is the first layer whose output is not finite"),
            None => "the network's outputs are finite, but too large".to_owned(),
        }
    )]
    NotFinite {
        /// The image's id.
        image: i64,
        /// `classification` or `box`.
        loss: &'static str,
        /// What it came to.
        value: f32,
        /// The network's first stage with a value that is not finite.
        layer: Option<String>,
    },
    /// A step cannot be made.
    #[error(
        "step {step} (images {}) failed: {reason}. The last saved state is as it was; a lower learning rate, or gradient \
         clipping (`optimiser.clip_norm`), may help against numbers that are not finite",
        images.iter().map(i64::to_string).collect::<Vec<_>>().join(", ")
    )]
    Step {
        /// Its number, from 1.
        step: u64,
        /// The ids of its images.
        images: Vec<i64>,
        /// What went wrong.
        reason: String,
    },
    /// Another rank cannot go on.
    #[error(
        "rank {rank} failed {doing}; its own message says why. The last saved state is as it was"
    )]
    OtherRank {
        /// Which one: the first that failed.
        rank: usize,
        /// What it was doing.
        doing: String,
    },
    /// A rank has something else than the others.
    #[error(
        "rank {rank} does not have the same {part} as rank {usual}; all ranks need the same release, recipe, files and options, and \
         machines that compute without faults"
    )]
    RankDiffers {
        /// The rank.
        rank: usize,
        /// The first of those that most ranks agree with.
        usual: usize,
        /// What is not the same.
        part: String,
    },
    /// A rank is not there any more.
    #[error("rank {rank} has left the run. The last saved state is as it was; go on with --resume")]
    RankGone {
        /// Which one.
        rank: usize,
    },
    /// Message passing cannot be used.
    #[error("MPI cannot be used: {reason}")]
    Mpi {
        /// Why.
        reason: String,
    },
}
