//! ReLU where no convolution or normalisation can take it along.

use retinanet_kernels::Level;

/// relu(x) = if x < 0 { +0 } else { x } of (N, C, H, W), f32: keeps -0 and NaN.
#[derive(Debug, Clone, Copy)]
pub struct Relu {
    pub(crate) level: Level,
}

impl Relu {
    /// The operation at a CPU level.
    pub fn new(level: Level) -> Self {
        Self { level }
    }
}
