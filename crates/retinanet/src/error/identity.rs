//! What a checkpoint does not tell about itself, or tells otherwise than it is used.

use std::path::PathBuf;

/// A checkpoint does not tell something that its model needs, or tells that it is to be used otherwise.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum IdentityError {
    /// Nothing says which batch-norm eps the weights were made with.
    #[error(
        "checkpoint {path:?}: nothing says which batch-norm eps belongs to these weights ({reason}). \
         State it with `DetectorBuilder::batch_norm_eps`: 0 for torchvision's published \
         retinanet_resnet50_fpn weights and models tuned from them with frozen batch norm, 1e-5 for models \
         built with weights=None"
    )]
    UnknownBatchNormEps {
        /// The file.
        path: PathBuf,
        /// Why it cannot be told from the file.
        reason: String,
    },
    /// The batch-norm eps that was stated is not the one that is known of the file.
    #[error(
        "checkpoint {path:?}: the batch-norm eps was stated as {stated:?}, but {known_from} says {known:?}; \
         leave `DetectorBuilder::batch_norm_eps` out"
    )]
    OtherBatchNormEps {
        /// The file.
        path: PathBuf,
        /// What was stated.
        stated: f64,
        /// What is known.
        known: f64,
        /// Who says so.
        known_from: &'static str,
    },
    /// A RetinaNet of another framework.
    #[error(
        "checkpoint {path:?} is a RetinaNet of {framework} by the names of its tensors, and not \
         torchvision's: {differences}. Computed as torchvision's, its answers would be wrong, so it is not \
         loaded. Run it with {framework}, or train torchvision's model on the same data"
    )]
    OtherFramework {
        /// The file.
        path: PathBuf,
        /// The framework's name.
        framework: &'static str,
        /// What it computes otherwise.
        differences: &'static str,
    },
}
