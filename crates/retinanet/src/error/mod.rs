//! What can go wrong: the crate's one error type, grouped by whose fault it is, and each group's own.
//!
//! They stand below all rooms, which name them to their users (`image::ImageError`, say).

mod annotation;
mod batch;
mod data;
mod detector;
mod determinism;
mod eval;
mod evidence;
mod identity;
mod image;
mod label;
mod model;
mod op;
mod postprocess;
#[cfg(feature = "training")]
mod training;

pub use annotation::{VocProblem, YoloProblem};
pub use batch::BatchError;
pub use data::DataError;
pub use detector::DetectorError;
pub use determinism::{DeterminismError, SettingProblem};
pub use eval::EvalError;
pub use evidence::EvidenceError;
pub use identity::IdentityError;
pub use image::ImageError;
pub use label::{LabelError, MAX_CATEGORIES, MAX_NAME_BYTES};
pub use model::ModelError;
pub use op::OpError;
pub use postprocess::PostprocessError;
#[cfg(feature = "training")]
pub use training::TrainingError;

/// Everything that can go wrong in this crate. Each group names the file, tensor or value at fault
/// and what to do next.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// An image could not be read, decoded, transformed or written.
    #[error(transparent)]
    Image(#[from] ImageError),
    /// A file could not be written.
    #[error(transparent)]
    Write(#[from] retinanet_checkpoint::WriteError),
    /// A label is not one of the model's categories.
    #[error(transparent)]
    Label(#[from] LabelError),
    /// A checkpoint could not be read, does not fit the model, or is damaged.
    #[error(transparent)]
    Weights(#[from] retinanet_checkpoint::WeightsError),
    /// A checkpoint could not be found or downloaded.
    #[error(transparent)]
    Fetch(#[from] retinanet_checkpoint::FetchError),
    /// A checkpoint does not tell something that its model needs.
    #[error(transparent)]
    Identity(#[from] IdentityError),
    /// A detector cannot be built as asked.
    #[error(transparent)]
    Detector(#[from] DetectorError),
    /// A model configuration that cannot be built.
    #[error(transparent)]
    Model(#[from] ModelError),
    /// The network's outputs cannot be turned into detections.
    #[error(transparent)]
    Postprocess(#[from] PostprocessError),
    /// Something that would break the promise of equal bits.
    #[error(transparent)]
    Determinism(#[from] DeterminismError),
    /// Images could not be listed or loaded.
    #[error(transparent)]
    Data(#[from] DataError),
    /// A batch's output cannot be written, continued or joined.
    #[error(transparent)]
    Batch(#[from] BatchError),
    /// A log of many images is none, was changed, or cannot be re-run.
    #[error(transparent)]
    Evidence(#[from] EvidenceError),
    /// Annotations cannot be read, or detections do not fit them.
    #[error(transparent)]
    Eval(#[from] EvalError),
    /// A layer was handed something that it cannot work on.
    #[error(transparent)]
    Op(#[from] OpError),
    /// A network cannot be trained as asked.
    #[cfg(feature = "training")]
    #[error(transparent)]
    Training(#[from] TrainingError),
    /// A kernel refused its arguments.
    #[error(transparent)]
    Kernel(#[from] retinanet_kernels::Error),
    /// candle reported an error.
    #[cfg(feature = "candle")]
    #[error(transparent)]
    Candle(#[from] candle_core::Error),
}

impl Error {
    /// Whether a failure belongs to the image, so that other images can be gone on with.
    pub(crate) fn is_about_an_image(&self) -> bool {
        let of_a_stage =
            |error: &DeterminismError| matches!(error, DeterminismError::NotANumber { .. });
        match self {
            Self::Image(_) | Self::Postprocess(_) => true,
            Self::Determinism(error) => of_a_stage(error),
            _ => false,
        }
    }
}

impl From<retinanet_checkpoint::Error> for Error {
    fn from(error: retinanet_checkpoint::Error) -> Self {
        use retinanet_checkpoint::Error as File;
        match error {
            File::Weights(error) => Self::Weights(error),
            File::Fetch(error) => Self::Fetch(error),
            File::Write(error) => Self::Write(error),
        }
    }
}

/// A `Result` with this crate's [`enum@Error`].
pub type Result<T, E = Error> = std::result::Result<T, E>;
