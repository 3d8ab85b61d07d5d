//! The GPU side without a GPU: the kernels' source is run on the CPU and compared with its CPU twins bit
//! for bit, and compiled to PTX where NVRTC is installed.

mod emulator;
mod kernels;
mod network;
mod ptx;
