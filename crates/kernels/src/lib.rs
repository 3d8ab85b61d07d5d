//! Bit-exact f32 kernels.

mod buffer;
pub mod conv2d;
mod error;
mod float_env;
mod gemm;
pub mod layout;
mod level;
mod parallel;
mod simd;

pub use buffer::AlignedBuffer;
pub use error::{Error, Result};
pub use float_env::with_ieee;
pub use level::{LEVEL_VARIABLE, Level};
pub use simd::fma;

/// This crate's version, for reports.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");
