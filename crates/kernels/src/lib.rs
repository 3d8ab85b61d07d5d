//! Bit-exact f32 kernels.

mod buffer;
pub mod conv2d;
mod error;
mod float_env;
mod gemm;
pub mod layout;
mod level;
pub mod norm;
mod parallel;
pub mod pointwise;
pub mod pool;
mod simd;
mod strips;
#[cfg(test)]
mod testing;
pub mod upsample;

pub use buffer::AlignedBuffer;
pub mod resize;
pub use error::{Error, Result};
pub use float_env::with_ieee;
pub use level::{LEVEL_VARIABLE, Level};
pub use pointwise::{exp, sigmoid};
pub use simd::fma;

/// This crate's version, for reports.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");
