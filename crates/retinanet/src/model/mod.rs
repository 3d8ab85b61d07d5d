//! The network: ResNet, FPN, heads, anchors.

mod error;
pub use error::ModelError;
