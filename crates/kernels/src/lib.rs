//! Bit-exact f32 kernels.

mod error;
pub mod resize;
pub use error::{Error, Result};
