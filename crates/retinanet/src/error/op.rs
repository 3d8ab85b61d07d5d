//! Layers and tensors that do not go together.

/// A tensor handed to an operation is not one it can work on.
///
/// candle's modules answer in candle's error type; there this travels as `Error::Wrapped` and keeps its
/// message.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum OpError {
    /// The tensor is not of shape (N, C, H, W).
    #[error("{op}: {what} has shape {shape:?}; expected four dimensions (N, C, H, W)")]
    Rank {
        /// The operation.
        op: &'static str,
        /// Which of its tensors.
        what: &'static str,
        /// The shape it has.
        shape: Vec<usize>,
    },
    /// A shape that does not fit the operation or its other tensor.
    #[error("{op}: {what} has shape {shape:?}; expected {expected}")]
    Shape {
        /// The operation.
        op: &'static str,
        /// Which of its tensors.
        what: &'static str,
        /// The shape it has.
        shape: Vec<usize>,
        /// What it should be.
        expected: String,
    },
    /// Not f32.
    #[error("{op}: {what} is {dtype}; convert it with `to_dtype(DType::F32)`")]
    DType {
        /// The operation.
        op: &'static str,
        /// Which of its tensors.
        what: &'static str,
        /// The dtype it has, as candle names it.
        dtype: &'static str,
    },
    /// A device this operation has no implementation for.
    #[error(
        "{op}: {what} is on {device}, where this operation has no implementation; move it with `to_device(&Device::Cpu)`"
    )]
    Device {
        /// The operation.
        op: &'static str,
        /// Which of its tensors.
        what: &'static str,
        /// Where it is.
        device: String,
    },
    /// The gradient of a convolution's input, of which the weights were packed and not kept.
    #[cfg(feature = "candle")]
    #[error(
        "{op}: no gradient, for this network's weights were packed and not kept; build it from a `VarBuilder`"
    )]
    NotKept {
        /// The operation.
        op: &'static str,
    },
    /// Weights that are candle variables, where packed ones are wanted.
    #[cfg(feature = "candle")]
    #[error("{op}: the weights are variables; pack them with `RetinaNet::packed`")]
    Variables {
        /// The operation.
        op: &'static str,
    },
    /// Weights on a GPU, but tensors of candle's.
    #[cfg(feature = "cuda")]
    #[error(
        "{op}: the weights are on a GPU, where only `Detector` computes with them; for tensors, build the model without a GPU"
    )]
    OnGpu {
        /// The operation.
        op: &'static str,
    },
    /// Weights on the CPU, but a detection on a GPU.
    #[cfg(feature = "cuda")]
    #[error("{op}: the weights are on the CPU; build the model with the detector's GPU")]
    OnCpu {
        /// The operation.
        op: &'static str,
    },
    /// Weights on a GPU, but for other kernels than a detection's.
    #[cfg(feature = "cudnn")]
    #[error(
        "{op}: the weights are on a GPU for other kernels than the detector's (canonical ones, or cuDNN in f32, f16 or bf16); build the model as the detector is built"
    )]
    OtherKernels {
        /// The operation.
        op: &'static str,
    },
    /// The output would have more elements than can be addressed.
    #[error("{op}: an output of shape {shape:?} is too large")]
    TooLarge {
        /// The operation.
        op: &'static str,
        /// The output's shape.
        shape: [usize; 4],
    },
}
