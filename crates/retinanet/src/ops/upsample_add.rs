//! The FPN's top-down step: nearest upsampling to the finer map's size, plus the lateral.

use retinanet_kernels::Level;

/// Upsamples a coarse map to exactly the size of a finer one and adds the finer one.
///
/// Both are (N, C, H, W), f32, with equal N and C; the output has the finer map's shape. The source
/// of row y is min(floor(y * (coarse height / fine height)), coarse height - 1), the ratio and the
/// product rounded to f32, columns alike: `torch.nn.functional.interpolate(mode="nearest")`.
#[derive(Debug, Clone, Copy)]
pub struct UpsampleAdd {
    pub(crate) level: Level,
}

impl UpsampleAdd {
    /// The operation at a CPU level.
    pub fn new(level: Level) -> Self {
        Self { level }
    }
}
