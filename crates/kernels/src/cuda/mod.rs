//! The kernels on an NVIDIA GPU: bit for bit the results of their CPU twins.
//!
//! Each kernel's folder has its GPU twin beside it, a `.cu` and the `cuda.rs` that launches it; here is
//! what they share. An output is computed by one thread, in the order that [`contract`](crate::contract)
//! fixes, from operations that IEEE 754 rounds; tile sizes and launch shapes decide only who computes it.
//!
//! The sources are compiled by NVRTC when a GPU is first used, for that GPU, and kept on disk; building
//! this crate needs no CUDA toolkit, and a program built with the feature `cuda` starts on a machine
//! without a GPU.

mod driver;
mod items;
mod library;
mod map;
mod memory;
mod nvidia;
mod source;

pub use crate::error::CudaError;
pub use driver::{Argument, Driver, Launch, Parameter};
pub use map::Map;
pub use memory::Gpu;
pub use nvidia::{DeviceInfo, Nvidia};
pub use source::{COMPILER_OPTIONS, compile, prepare, source};

pub(crate) use items::{ITEMS, Item, Items, int};
#[cfg(feature = "cudnn")]
pub(crate) use map::addressable;
pub(crate) use map::plane;
pub(crate) use memory::Buffer;
#[cfg(feature = "cudnn")]
pub(crate) use nvidia::Stream;
#[cfg(feature = "cudnn")]
pub(crate) use source::Module;
