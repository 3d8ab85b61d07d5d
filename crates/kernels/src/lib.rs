//! Bit-exact f32 kernels for object detection: the same input gives the same output bits on every CPU
//! level and thread count. [`contract`] says how, and why each rule is needed.
//!
//! | Module | What it computes |
//! |---|---|
//! | [`conv2d`] | convolution with bias, residual and ReLU; the gradients of its input and weights |
//! | [`pool`] | max-pooling |
//! | [`norm`] | group normalisation and its gradient |
//! | [`upsample`] | nearest-neighbour upsampling, added to a finer map |
//! | [`pointwise`] | exp, sigmoid, logarithms, ReLU and its gradient, addition |
//! | [`loss`] | the focal loss and its gradient |
//! | [`sum`](mod@sum) | many values to one, in a fixed order |
//! | [`layout`] | how activations lie in memory: channels in blocks of sixteen |
//!
//! With the feature `cuda`, each has a twin on NVIDIA's GPUs (`cuda`), and `select` picks the few values
//! that matter out of large maps there. With `cudnn`, a fast mode with convolutions by cuDNN is there too (`cudnn`):
//! close to the canonical results, not equal to them.
//!
//! Each kernel takes a [`Level`] (which CPU instructions to use; it changes the speed only), a spec (the
//! problem), and activations in the blocked layout; functions that end in `_nchw` take plain slices in
//! (c, y, x) order and convert. All run on rayon's ambient thread pool: the one the caller is inside of, else
//! the global one.
//!
//! ```
//! use retinanet_kernels::{Level, layout::{BlockedBuffer, BlockedShape}, pool::{MaxPool2dSpec, max_pool2d}};
//!
//! let input: Vec<f32> = (0..3 * 4 * 4).map(|i| i as f32).collect();
//! let input = BlockedBuffer::from_chw(BlockedShape::new(3, [4, 4]), &input)?;
//! let mut output = BlockedBuffer::zeroed(BlockedShape::new(3, [2, 2]));
//! let spec = MaxPool2dSpec { kernel: [3, 3], stride: [2, 2], padding: [1, 1] };
//! max_pool2d(Level::best(), &spec, input.as_ref(), &mut output.as_mut())?;
//! # Ok::<(), retinanet_kernels::Error>(())
//! ```

mod buffer;
pub mod contract;
pub mod conv2d;
#[cfg(feature = "cuda")]
pub mod cuda;
#[cfg(feature = "cudnn")]
pub mod cudnn;
mod error;
mod float_env;
mod gemm;
pub mod layout;
mod level;
pub mod loss;
pub mod norm;
mod parallel;
#[doc(hidden)]
#[cfg(not(target_family = "wasm"))]
pub mod peak;
pub mod pointwise;
pub mod pool;
#[cfg(feature = "cuda")]
pub mod select;
mod simd;
mod strips;
pub mod sum;
#[cfg(test)]
mod testing;
pub mod upsample;

pub use buffer::{AlignedBuffer, zeros};
pub mod resize;
pub use error::{Error, Result};
pub use float_env::with_ieee;
pub use level::{LEVEL_VARIABLE, Level};
pub use pointwise::{exp, ln, log1p, sigmoid};
pub use simd::fma;

/// This crate's version, for reports.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");
