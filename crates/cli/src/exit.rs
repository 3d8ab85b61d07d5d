//! Exit codes, and the one place that prints why a command failed.

use std::io;

use retinanet::batch::BatchError;
use retinanet::determinism::DeterminismError;
use retinanet::evidence::EvidenceError;
use retinanet::image::ImageError;
use retinanet::weights::{FetchError, IdentityError};
use retinanet::{DetectorError, Error};

use crate::advice::in_options;
use crate::voice::complain;

/// How a command ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// Everything asked for was done.
    Done,
    /// A check was made and the answer is no.
    CheckFailed,
    /// The command line asks for something that cannot be.
    Usage,
    /// Something given could not be read or used, or an output could not be written.
    BadInput,
    /// Ctrl-C was pressed, and the command came to its end by itself.
    Interrupted,
}

impl Exit {
    /// The process's exit code.
    pub fn code(self) -> u8 {
        match self {
            Self::Done => 0,
            Self::CheckFailed => 1,
            Self::Usage => 2,
            Self::BadInput => 3,
            // What shells report for a command that Ctrl-C ended (128 + SIGINT).
            Self::Interrupted => 130,
        }
    }
}

/// What every command answers.
pub type Outcome<T = Exit> = Result<T, Failure>;

/// Why a command stopped.
#[derive(Debug)]
pub enum Failure {
    /// It has something to say.
    Told {
        /// The exit code.
        exit: Exit,
        /// One or more lines, without a newline at the end.
        message: String,
    },
    /// All processes of a run end for the same reason, which one of them says.
    Shared {
        /// The exit code.
        exit: Exit,
        /// As of `Told`.
        message: String,
    },
    /// It was said why.
    Said {
        /// The exit code.
        exit: Exit,
    },
    /// Whoever read the output has left (`| head`): nothing more to do, and no error.
    ReaderLeft,
}

impl Failure {
    /// The command line asks for something that cannot be.
    pub fn usage(message: impl Into<String>) -> Self {
        Self::Told { exit: Exit::Usage, message: message.into() }
    }

    /// Something given could not be read or used, or an output could not be written.
    pub fn bad_input(message: impl Into<String>) -> Self {
        Self::Told { exit: Exit::BadInput, message: message.into() }
    }

    /// A check was made and the answer is no.
    pub fn check_failed(message: impl Into<String>) -> Self {
        Self::Told { exit: Exit::CheckFailed, message: message.into() }
    }

    /// Writing to standard output failed.
    pub fn stdout(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::BrokenPipe => Self::ReaderLeft,
            _ => Self::bad_input(format!("cannot write to standard output: {error}")),
        }
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        let message = in_options(&error.to_string());
        match error {
            Error::Label(_)
            | Error::Fetch(FetchError::UnknownCheckpoint { .. })
            | Error::Identity(
                IdentityError::UnknownBatchNormEps { .. } | IdentityError::OtherBatchNormEps { .. },
            )
            | Error::Determinism(DeterminismError::Dtype { .. })
            | Error::Batch(BatchError::Exists { .. } | BatchError::Twofold { .. })
            | Error::Image(ImageError::Tiles { .. })
            | Error::Evidence(EvidenceError::Sample { .. } | EvidenceError::UnknownImage { .. })
            | Error::Detector(
                DetectorError::NoWeights
                | DetectorError::UnknownWeights { .. }
                | DetectorError::UnknownArchitecture { .. }
                | DetectorError::ArchitectureClash { .. }
                | DetectorError::Setting { .. }
                | DetectorError::Dtype { .. }
                | DetectorError::Device { .. },
            ) => Self::usage(message),
            Error::Evidence(
                EvidenceError::Broken { .. }
                | EvidenceError::Cut { .. }
                | EvidenceError::OtherHead { .. },
            ) => Self::check_failed(message),
            _ => Self::bad_input(message),
        }
    }
}

impl From<retinanet_train::Error> for Failure {
    fn from(error: retinanet_train::Error) -> Self {
        use retinanet_train::Error as Training;
        use retinanet_train::error::RunError;
        match error {
            Training::Library(error) => error.into(),
            Training::Run(
                RunError::HasRun { .. }
                | RunError::NoRun { .. }
                | RunError::NoStep { .. }
                | RunError::Occupied { .. },
            ) => Self::usage(error.to_string()),
            Training::Run(RunError::BrokenLog { .. } | RunError::OtherHead { .. }) => {
                Self::check_failed(error.to_string())
            }
            Training::Run(RunError::OtherRank { .. } | RunError::RankDiffers { .. }) => {
                Self::Shared { exit: Exit::BadInput, message: error.to_string() }
            }
            _ => Self::bad_input(error.to_string()),
        }
    }
}

impl From<retinanet::weights::Error> for Failure {
    fn from(error: retinanet::weights::Error) -> Self {
        Error::from(error).into()
    }
}

/// Prints a failure to standard error and turns the outcome into the process's exit code.
pub fn report(outcome: Outcome) -> u8 {
    let exit = match outcome {
        Ok(exit) => exit,
        Err(Failure::ReaderLeft) => Exit::Done,
        Err(Failure::Said { exit }) => exit,
        Err(Failure::Told { exit, message } | Failure::Shared { exit, message }) => {
            complain(&message);
            exit
        }
    };
    exit.code()
}
