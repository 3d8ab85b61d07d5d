//! The register tile in pairs of bfloat16, for the fast mode: each sum takes two k at a time.

// See gemm: no iterators or closures over vectors.
#![allow(clippy::needless_range_loop)]

use super::AHEAD;
use super::blocks::{BlockProducts, Sums};
use crate::simd::{Avx512, LANES, Pairs, Simd};

/// Pairs of a block of channels.
pub(crate) const PAIRS: usize = LANES / 2;

/// Rounds to nearest even; NaN stays NaN.
pub(crate) fn to_bf16(x: f32) -> u16 {
    let bits = x.to_bits();
    if x.is_nan() {
        return (bits >> 16) as u16 | 0x40;
    }
    ((bits + 0x7fff + (bits >> 16 & 1)) >> 16) as u16
}

/// Two channels at a time: a block is whole, its pairs past the last channel are zero.
impl BlockProducts for Pairs {
    type S = Avx512;
    const PLACES: usize = PAIRS;

    #[inline(always)]
    fn simd(self) -> Avx512 {
        self.f32()
    }

    #[inline(always)]
    fn places(_: usize) -> usize {
        PAIRS
    }

    #[inline(always)]
    unsafe fn add_products<const P: usize, const N: usize>(
        self,
        acc: &mut [[Sums<Self>; N]; P],
        values: *const f32,
        step: usize,
        weights: *const f32,
    ) {
        // SAFETY: promised by the caller.
        unsafe { add_products(self, acc, values.cast(), step, weights.cast()) };
    }
}

/// Adds one pair's products: pixel p's pair is at `values + p * step`.
///
/// # Safety
/// Each pixel's pair is readable, and so are `N` vectors of weights.
#[inline(always)]
pub(crate) unsafe fn add_products<const P: usize, const N: usize>(
    pairs: Pairs,
    acc: &mut [[Sums<Pairs>; N]; P],
    values: *const u32,
    step: usize,
    weights: *const u32,
) {
    // SAFETY: promised by the caller; a prefetch may go anywhere.
    unsafe {
        let mut row = [pairs.load(weights); N];
        for n in 0..N {
            row[n] = pairs.load(weights.add(n * LANES));
            pairs.f32().prefetch(weights.wrapping_add(AHEAD + n * LANES).cast());
        }
        for p in 0..P {
            for n in 0..N {
                acc[p][n] = pairs.dot(acc[p][n], values.add(p * step), row[n]);
            }
        }
    }
}
