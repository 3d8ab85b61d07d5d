//! The end of the tree: what the places hold becomes one.

use super::chunks::held;
use crate::simd::LANES;

/// The sum of a vector over the places that `chunks` chunks left; `at` is where it lies in the lowest.
#[inline(always)]
pub(super) fn total(sums: &[f32], stride: usize, chunks: usize, at: usize) -> [f32; LANES] {
    let mut total = [0.0; LANES];
    for (i, place) in held(chunks).enumerate() {
        let held = &sums[place * stride + at..][..LANES];
        for lane in 0..LANES {
            total[lane] = if i == 0 { held[lane] } else { held[lane] + total[lane] };
        }
    }
    total
}
