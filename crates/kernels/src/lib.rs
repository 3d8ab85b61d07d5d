//! Bit-exact f32 kernels.

mod error;
pub use error::{Error, Result};
