//! Checkpoints: manifest, download, reading, renaming.

mod error;
mod fetch_error;
pub use error::WeightsError;
pub use fetch_error::FetchError;
