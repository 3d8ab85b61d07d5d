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
    /// A folder, or a file in it, cannot be read.
    #[error("cannot read {path:?}: {source}")]
    Folder {
        /// Which one.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// There are models, and no run that they came of.
    #[error(
        "{path:?} is there already, and this run would replace it; choose another folder, or move it away"
    )]
    Occupied {
        /// The file.
        path: PathBuf,
    },
    /// Another process is at it.
    #[error(
        "another process is training in {folder:?}; wait for its end, or choose another folder"
    )]
    Busy {
        /// The folder.
        folder: PathBuf,
    },
    /// The log is none, or cannot be read.
    #[error("training log {path:?}: {reason}")]
    Log {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// The log was changed.
    #[error("training log {path:?}: line {line} {reason}")]
    BrokenLog {
        /// The file.
        path: PathBuf,
        /// Which line, from 1.
        line: usize,
        /// What is wrong with it.
        reason: String,
    },
    /// The log is another one than expected.
    #[error(
        "the log's head is {found}, not {expected}: it is another run's, it was written anew as a whole, or it went on"
    )]
    OtherHead {
        /// The hash of its last line.
        found: String,
        /// What was expected.
        expected: String,
    },
    /// A step that is not in the log.
    #[error("the log has {}, so {asked} cannot be looked at", match steps {
        0 => "no steps yet".to_owned(),
        1 => "step 1 alone".to_owned(),
        steps => format!("steps 1 to {steps}"),
    })]
    NoStep {
        /// What was asked for.
        asked: String,
        /// How many it has.
        steps: u64,
    },
    /// The run was begun with other data, or with other arithmetic.
    #[error("{what} of the run in {folder:?} is {logged}, and now it is {here}; {advice}")]
    OtherRun {
        /// What differs.
        what: &'static str,
        /// The folder.
        folder: PathBuf,
        /// What the log says.
        logged: String,
        /// What it is.
        here: String,
        /// What to do.
        advice: &'static str,
    },
    /// A saved state that cannot be read.
    #[error(
        "the state {path:?} cannot be used: {reason}; {}",
        match before {
            Some(step) => format!("remove it, and --resume goes on from the one before it, of step {step}"),
            None => "there is none before it, so the run has to begin anew, in another folder".to_owned(),
        }
    )]
    BadState {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        reason: String,
        /// The step of the state before it.
        before: Option<u64>,
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
        "step {step} (images {}) failed: {reason}. The last saved state is as it was{advice}",
        images.iter().map(i64::to_string).collect::<Vec<_>>().join(", ")
    )]
    Step {
        /// Its number, from 1.
        step: u64,
        /// The ids of its images.
        images: Vec<i64>,
        /// What went wrong.
        reason: String,
        /// What may help.
        advice: &'static str,
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
