//! Bit-exact f32 kernels.

mod error;
pub use error::{Error, Result};

/// This crate's version, for reports.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");
