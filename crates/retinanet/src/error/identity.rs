//! What a checkpoint does not tell about itself.

use std::path::PathBuf;

/// A checkpoint does not tell something that its model needs.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum IdentityError {
    /// Nothing says which batch-norm eps the weights were made with.
    #[error(
        "checkpoint {path:?}: nothing says which batch-norm eps belongs to these weights ({reason}). \
         State it: 0.0 for torchvision's published retinanet_resnet50_fpn weights and models tuned from \
         them with frozen batch norm, 1e-5 for models built with weights=None"
    )]
    UnknownBatchNormEps {
        /// The file.
        path: PathBuf,
        /// Why it cannot be told from the file.
        reason: String,
    },
}
