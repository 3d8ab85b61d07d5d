//! The fast mode on an NVIDIA GPU: convolutions by cuDNN, on maps of f32, f16 or bf16 with the channels
//! of a pixel side by side. Results are close to the canonical ones, not equal to them.
//!
//! What is promised:
//! - Not pinned ([`CudnnGpu::new`] with `pinned` false): nothing about bits. cuDNN's algorithms are timed
//!   when a shape is first seen and the fastest is kept, so another run may take another; f32 may be
//!   multiplied in TF32.
//! - Pinned: one algorithm (implicit GEMM with precomputed indices), f32 multiplied and added in f32.
//!   The same GPU, driver and cuDNN give the same bits run after run; another machine may not.
//!
//! In both, the layers between convolutions add in one fixed order. cuDNN is loaded when it is first
//! used: building needs nothing of it. The calls go straight to the library, so that one that is missing,
//! lacks a function or answers an unknown status is an error, not a panic.

mod conv2d;
mod convolution;
mod descriptors;
mod format;
mod gpu;
mod group_norm;
mod layers;
mod library;
mod map;
mod nvidia;
mod source;

pub use conv2d::{CudnnConv2d, CudnnItem};
pub use convolution::{Convolution, ConvolutionLibrary, Operands};
pub use format::Format;
pub use gpu::CudnnGpu;
pub use group_norm::CudnnGroupNorm;
pub use layers::{finish_convolution, max_pool2d_cudnn, relu_cudnn, upsample_nearest_add_cudnn};
pub use map::Map;
pub use nvidia::Cudnn;
pub use source::{compile, prepare, source};
