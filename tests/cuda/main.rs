//! The GPU side without a GPU: the kernels' source is run on the CPU and compared with its CPU twins bit
//! for bit, and compiled to PTX where NVRTC is installed. With `RETINANET_CUDA_DEVICE=0`, the comparisons in
//! `kernels` run on that GPU instead.

mod emulator;
#[cfg(feature = "cudnn")]
mod fast_layers;
#[cfg(feature = "cudnn")]
mod fast_network;
mod gpus;
mod kernels;
#[cfg(feature = "cudnn")]
mod naive_library;
mod network;
mod ptx;
