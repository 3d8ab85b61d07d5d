//! 2-D max pooling.

use retinanet_kernels::Level;
use retinanet_kernels::pool::MaxPool2dSpec;

/// 2-D max pooling: (N, C, H, W) to (N, C, H', W'), f32.
///
/// The first maximum is kept, so -0 and +0 keep their places, and a NaN goes through. Padding never
/// wins.
#[derive(Debug, Clone, Copy)]
pub struct MaxPool2d {
    pub(crate) level: Level,
    pub(crate) spec: MaxPool2dSpec,
}

impl MaxPool2d {
    /// A pooling of the given shape.
    pub fn new(level: Level, spec: MaxPool2dSpec) -> Self {
        Self { level, spec }
    }
}
