//! The network's layers over [`retinanet_kernels`]: shapes, and weights packed once, at construction.
//!
//! The order of every sum is the kernels crate's contract. With the feature `candle` each layer is a
//! candle operation, too, with its gradient; weights that are candle variables are packed in each forward pass.

mod arithmetic;
mod conv2d;
#[cfg(feature = "candle")]
pub(crate) mod differentiable;
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
