//! Who computes the network's layers: the CPU on maps in the kernels' own layout and in memory that is
//! reused, a GPU, or candle's tensors. The network is described once, by its parts' `walk`; all of these
//! give the same bits.
//!
//! All images of a call, and all levels of a head, go through a layer together, so that its weights
//! are read once; each keeps its own canvas, so that none can change another.

mod backend;
mod cpu;
#[cfg(feature = "cuda")]
mod cuda;
#[cfg(feature = "cudnn")]
mod cudnn;
mod workspace;

#[cfg(test)]
mod tests;

pub(crate) use backend::{Backend, FeatureMap, NoObserver, Observer, Predictions, Then, Walk};
pub(crate) use cpu::Canvas;
#[cfg(feature = "training")]
pub(crate) use cpu::conv_maps;
#[cfg(feature = "cuda")]
pub(crate) use cuda::OnGpu;
#[cfg(feature = "cudnn")]
pub(crate) use cudnn::{OnCudnn, canonical};
pub(crate) use workspace::{Map, Workspace};
