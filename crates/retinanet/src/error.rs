//! The crate's one error type, grouped by whose fault it is.

/// Everything that can go wrong in this crate. Each group names the file, tensor or value at fault
/// and what to do next.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// An image could not be read, decoded, transformed or written.
    #[error(transparent)]
    Image(#[from] crate::image::ImageError),
    /// A file could not be written.
    #[error(transparent)]
    Write(#[from] crate::files::WriteError),
    /// A label is not one of the model's categories.
    #[error(transparent)]
    Label(#[from] crate::labels::LabelError),
    /// A checkpoint could not be read, does not fit the model, or is damaged.
    #[error(transparent)]
    Weights(#[from] crate::weights::WeightsError),
    /// A checkpoint could not be found or downloaded.
    #[error(transparent)]
    Fetch(#[from] crate::weights::FetchError),
    /// A detector cannot be built as asked.
    #[error(transparent)]
    Detector(#[from] crate::detector::DetectorError),
    /// A model configuration that cannot be built.
    #[error(transparent)]
    Model(#[from] crate::model::ModelError),
    /// The network's outputs cannot be turned into detections.
    #[error(transparent)]
    Postprocess(#[from] crate::postprocess::PostprocessError),
    /// Something that would break the promise of equal bits.
    #[error(transparent)]
    Determinism(#[from] crate::determinism::DeterminismError),
    /// Images could not be listed or loaded.
    #[error(transparent)]
    Data(#[from] crate::data::DataError),
    /// A batch's output cannot be written, continued or joined.
    #[error(transparent)]
    Batch(#[from] crate::batch::BatchError),
    /// Annotations cannot be read, or detections do not fit them.
    #[error(transparent)]
    Eval(#[from] crate::eval::EvalError),
    /// A kernel refused its arguments.
    #[error(transparent)]
    Kernel(#[from] retinanet_kernels::Error),
    /// candle reported an error.
    #[error(transparent)]
    Candle(#[from] candle_core::Error),
}

impl From<crate::ops::OpError> for Error {
    fn from(error: crate::ops::OpError) -> Self {
        Self::Candle(error.into())
    }
}

/// A `Result` with this crate's [`enum@Error`].
pub type Result<T, E = Error> = std::result::Result<T, E>;
