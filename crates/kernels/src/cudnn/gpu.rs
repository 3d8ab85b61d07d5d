//! A GPU with its convolution library.

use std::sync::Arc;

use super::{ConvolutionLibrary, Format};
use crate::cuda::Gpu;

/// A GPU, the library that convolves on it, and how. Cloning shares them.
#[derive(Debug, Clone)]
pub struct CudnnGpu {
    gpu: Gpu,
    library: Arc<dyn ConvolutionLibrary>,
    format: Format,
    pinned: bool,
}

impl CudnnGpu {
    /// `library` convolves on `gpu`, on maps of `format`; `pinned` fixes algorithm and precision.
    pub fn new(
        gpu: Gpu,
        library: Arc<dyn ConvolutionLibrary>,
        format: Format,
        pinned: bool,
    ) -> Self {
        Self { gpu, library, format, pinned }
    }

    /// The GPU.
    pub fn gpu(&self) -> &Gpu {
        &self.gpu
    }

    /// The format of maps and weights.
    pub fn format(&self) -> Format {
        self.format
    }

    /// Whether algorithm and precision are fixed.
    pub fn is_pinned(&self) -> bool {
        self.pinned
    }

    /// Whether weights that were laid out for one are right for the other.
    pub fn is_like(&self, other: &Self) -> bool {
        self.format == other.format && self.pinned == other.pinned
    }

    pub(super) fn library(&self) -> &dyn ConvolutionLibrary {
        &*self.library
    }
}
