//! How a network's operations compute.

use retinanet_kernels::Level;
#[cfg(feature = "cuda")]
use retinanet_kernels::cuda::Gpu;
#[cfg(feature = "cudnn")]
use retinanet_kernels::cudnn::CudnnGpu;

use crate::determinism::Determinism;

/// Where and with which instructions the operations compute, and whether they may round more than f32
/// does.
#[derive(Debug, Clone, Copy)]
pub struct Arithmetic<'a> {
    /// The CPU instructions. They never change a canonical result.
    pub level: Level,
    /// Whether convolutions may be computed from bfloat16 where this CPU is faster at it: the fast
    /// mode. Without it every result is canonical.
    pub fast: bool,
    /// The GPU that gets the weights; without one, they stay on the CPU.
    #[cfg(feature = "cuda")]
    pub(crate) gpu: Option<&'a Gpu>,
    /// The GPU that gets the weights for cuDNN, in its layout and format.
    #[cfg(feature = "cudnn")]
    pub(crate) cudnn: Option<&'a CudnnGpu>,
    #[cfg(not(feature = "cuda"))]
    marker: std::marker::PhantomData<&'a ()>,
}

#[cfg(feature = "cuda")]
impl<'a> Arithmetic<'a> {
    /// The same, with the weights on a GPU: for a [`Detector`](crate::Detector) on it.
    #[must_use]
    pub fn on(self, gpu: &'a Gpu) -> Self {
        Self { gpu: Some(gpu), ..self }
    }

    /// The same, with the weights on a GPU for cuDNN: for a [`Detector`](crate::Detector) that convolves
    /// with it.
    #[cfg(feature = "cudnn")]
    #[must_use]
    pub fn on_cudnn(self, gpu: &'a CudnnGpu) -> Self {
        Self { cudnn: Some(gpu), ..self }
    }
}

impl Arithmetic<'_> {
    /// What `determinism` asks for, on the CPU with the instructions of `level`.
    pub fn new(determinism: &Determinism, level: Level) -> Self {
        Self { fast: !determinism.is_strict(), ..Self::from(level) }
    }

    /// On the CPU with the instructions of `level`.
    #[cfg(feature = "candle")]
    pub(crate) fn on_cpu(level: Level, fast: bool) -> Self {
        Self { fast, ..Self::from(level) }
    }

    /// Whether the weights stay on the CPU, where candle's tensors are.
    #[cfg(feature = "candle")]
    pub(crate) fn is_on_cpu(&self) -> bool {
        #[cfg(feature = "cudnn")]
        if self.cudnn.is_some() {
            return false;
        }
        #[cfg(feature = "cuda")]
        if self.gpu.is_some() {
            return false;
        }
        true
    }
}

impl From<Level> for Arithmetic<'_> {
    /// Canonical arithmetic on the CPU.
    fn from(level: Level) -> Self {
        Self {
            level,
            fast: false,
            #[cfg(feature = "cuda")]
            gpu: None,
            #[cfg(feature = "cudnn")]
            cudnn: None,
            #[cfg(not(feature = "cuda"))]
            marker: std::marker::PhantomData,
        }
    }
}
