//! What can go wrong: the crate's one error type, grouped by whose fault it is, and each group's own.

mod fetch;
mod mismatch;
mod weights;
mod write;

pub use fetch::FetchError;
pub use mismatch::{MisShaped, Mismatch, Unmatched};
pub use weights::WeightsError;
pub use write::WriteError;

/// Everything that can go wrong in this crate. Each group names the file, tensor or value at fault
/// and what to do next.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A checkpoint could not be read, does not fit the model, or is damaged.
    #[error(transparent)]
    Weights(#[from] WeightsError),
    /// A checkpoint could not be found or downloaded.
    #[error(transparent)]
    Fetch(#[from] FetchError),
    /// A file could not be written.
    #[error(transparent)]
    Write(#[from] WriteError),
}

/// A `Result` with this crate's [`enum@Error`].
pub type Result<T, E = Error> = std::result::Result<T, E>;
