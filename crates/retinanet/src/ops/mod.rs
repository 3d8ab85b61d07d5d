//! candle custom operations over [`retinanet_kernels`].
//!
//! Each operation takes f32 tensors of shape (N, C, H, W) and walks the batch image by image, so
//! that an image's bits never depend on its neighbours. The order of every sum is the kernels
//! crate's contract. Packed weights live in the operation; the tensors they came from are dropped.
//!
//! The operations are recorded in candle's graph but have no backward pass yet: asking for a
//! gradient is candle's `BackwardNotSupported` error, never a silent zero.

mod arithmetic;
mod batch;
mod conv2d;
mod group_norm;
mod max_pool2d;
mod relu;
mod upsample_add;

pub use crate::error::OpError;
pub use arithmetic::Arithmetic;
pub use conv2d::Conv2d;
pub use group_norm::GroupNorm;
pub use max_pool2d::MaxPool2d;
pub use relu::Relu;
pub use retinanet_kernels::Level;
pub use retinanet_kernels::conv2d::Conv2dSpec;
#[cfg(feature = "cuda")]
pub use retinanet_kernels::cuda::{CudaError, Gpu, Nvidia};
#[cfg(feature = "cudnn")]
pub use retinanet_kernels::cudnn::{ConvolutionLibrary, Cudnn, CudnnGpu};
pub use retinanet_kernels::norm::GroupNormSpec;
pub use retinanet_kernels::pool::MaxPool2dSpec;
pub use upsample_add::UpsampleAdd;
