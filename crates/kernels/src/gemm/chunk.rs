//! How packed weights lie.

use crate::simd::LANES;

/// Output channels that lie side by side in packed weights.
pub(crate) const CHUNK: usize = 2 * LANES;
