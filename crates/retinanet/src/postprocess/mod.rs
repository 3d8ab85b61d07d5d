//! From logits to detections.

mod error;
pub use error::PostprocessError;
