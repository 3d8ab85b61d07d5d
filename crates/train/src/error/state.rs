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
    /// The state is of another recipe's run.
    #[error(
        "training state {path:?}: it belongs to the recipe with the digest {theirs:?}, not to {ours}; \
         go on with the recipe as it was"
    )]
    OtherRecipe {
        /// The file.
        path: PathBuf,
        /// The digest of its recipe.
        theirs: String,
        /// The digest of the recipe that was given.
        ours: String,
    },
}
