//! One value that says how repeatable an answer must be.

mod error;
pub use error::DeterminismError;
