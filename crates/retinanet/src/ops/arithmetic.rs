//! How a network's operations compute.

use retinanet_kernels::Level;

use crate::determinism::Determinism;

/// Which CPU instructions the operations use, and whether they may round more than f32 does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Arithmetic {
    /// The instructions. They never change a canonical result.
    pub level: Level,
    /// Whether convolutions may be computed from bfloat16 where this CPU is faster at it: the fast
    /// mode. Without it every result is canonical.
    pub fast: bool,
}

impl Arithmetic {
    /// What `determinism` asks for, on the instructions of `level`.
    pub fn new(determinism: &Determinism, level: Level) -> Self {
        Self { level, fast: !determinism.is_strict() }
    }
}

impl From<Level> for Arithmetic {
    /// Canonical arithmetic.
    fn from(level: Level) -> Self {
        Self { level, fast: false }
    }
}
