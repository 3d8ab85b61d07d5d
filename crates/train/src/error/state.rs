//! What can go wrong with files of a run.

use std::path::PathBuf;

/// A training state cannot be read or written.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum StateError {
    /// The file is not a training state, or one of another kind.
    #[error("training state {path:?}: {reason}")]
    Invalid {
        /// The file.
        path: PathBuf,
        /// What is wrong, and what to do.
        reason: String,
    },
}
