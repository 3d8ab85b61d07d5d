//! What the fast mode asks of a convolution library: the seam between it and cuDNN.

use std::fmt::Debug;

use super::Format;
use crate::Result;
use crate::conv2d::Conv2dSpec;
use crate::cuda::Gpu;

/// A convolution of one map, with all that follows it: `output = act(conv(input) + bias + residual)`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Convolution {
    /// The shape, with channels as they lie in memory: whole vectors of [`Format::lanes`].
    pub spec: Conv2dSpec,
    /// The input's height and width.
    pub input: [usize; 2],
    /// The output's.
    pub output: [usize; 2],
    /// Of maps, weights and bias.
    pub format: Format,
    /// Whether a residual is added.
    pub residual: bool,
    /// Whether ReLU is applied.
    pub relu: bool,
    /// Whether algorithm and precision are fixed.
    pub pinned: bool,
}

/// Where a convolution's values lie on the GPU, all aligned to 16 bytes.
#[derive(Debug, Clone, Copy)]
pub struct Operands {
    /// (y, x, channel).
    pub input: u64,
    /// (output channel, ky, kx, input channel).
    pub weights: u64,
    /// One per output channel.
    pub bias: u64,
    /// Like the output; 0 where there is none.
    pub residual: u64,
    /// (y, x, channel).
    pub output: u64,
}

/// Convolves on a GPU. [`Cudnn`](super::Cudnn) is the real one; a test may put another in its place.
pub trait ConvolutionLibrary: Send + Sync + Debug {
    /// Starts a convolution after all earlier work on `gpu`. Sums are f32.
    ///
    /// # Errors
    /// The library has no algorithm for it, the GPU has no room or failed.
    ///
    /// # Safety
    /// The operands lie on `gpu` and are as large as `convolution` says; the output overlaps none.
    unsafe fn convolve(
        &self,
        gpu: &Gpu,
        convolution: &Convolution,
        operands: &Operands,
    ) -> Result<()>;
}
