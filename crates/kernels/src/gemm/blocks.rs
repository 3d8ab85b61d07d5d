//! The register tile's walk over blocks of sixteen channels, for products of f32 and of pairs alike.

use super::deferred::chains;
use super::{CHUNK, add_products};
use crate::simd::{Arithmetic, LANES, Pair, Simd};

/// What the channels of a block are multiplied in: one at a time, or two.
pub(crate) trait BlockProducts: Copy {
    /// What the sums are in.
    type S: Simd;
    /// Places of one pixel in a block, each as large as an f32: sixteen channels, or their pairs.
    const PLACES: usize;

    /// The operations on the sums.
    fn simd(self) -> Self::S;

    /// The places that take part in a block, where `channels` channels are left.
    fn places(channels: usize) -> usize;

    /// Adds one place's products: pixel p's is at `values + p * step`.
    ///
    /// # Safety
    /// Each pixel's place is readable, and so are `N` vectors of weights.
    unsafe fn add_products<const P: usize, const N: usize>(
        self,
        acc: &mut [[Sums<Self>; N]; P],
        values: *const f32,
        step: usize,
        weights: *const f32,
    );
}

/// Sixteen sums.
pub(crate) type Sums<A> = <<A as BlockProducts>::S as Arithmetic>::V;

/// By the contract: one channel at a time.
impl<S: Simd> BlockProducts for S {
    type S = S;
    const PLACES: usize = LANES;

    #[inline(always)]
    fn simd(self) -> S {
        self
    }

    #[inline(always)]
    fn places(channels: usize) -> usize {
        LANES.min(channels)
    }

    #[inline(always)]
    unsafe fn add_products<const P: usize, const N: usize>(
        self,
        acc: &mut [[S::V; N]; P],
        values: *const f32,
        step: usize,
        weights: *const f32,
    ) {
        // SAFETY: promised by the caller.
        unsafe { add_products(self, acc, values, step, weights) };
    }
}

/// As [`accumulate`](super::accumulate), for k = 0..`channels` in blocks of sixteen that lie `stride`
/// values apart: place i of pixel p and block b is at `input + b * stride + p * PLACES + i`. Asks for
/// the pixels that lie `ahead` values after a block's while it works on the block.
///
/// # Safety
/// All places that take part are readable for each pixel of the tile, and `weights` holds a row of 32
/// for each.
#[inline(always)]
pub(crate) unsafe fn accumulate_blocks<A: BlockProducts, const P: usize, const N: usize>(
    products: A,
    acc: &mut [[Sums<A>; N]; P],
    input: *const f32,
    stride: usize,
    channels: usize,
    weights: *const f32,
    ahead: usize,
) {
    if A::S::EMULATED {
        let place = |k: usize| input.wrapping_add(k / LANES * stride + k % LANES);
        // SAFETY: promised by the caller. An emulated level multiplies one channel at a time.
        unsafe {
            chains::<Pair, A::S, P, N>(products.simd(), acc, place, A::PLACES, channels, weights);
        }
        return;
    }
    // The accumulators live in a local so that the compiler keeps them in registers.
    let mut local = *acc;
    let mut w = weights;
    for block in 0..channels.div_ceil(LANES) {
        let block_input = input.wrapping_add(block * stride);
        for place in 0..A::places(channels - block * LANES) {
            products.simd().prefetch(block_input.wrapping_add(ahead + place * LANES));
            // SAFETY: the caller promises that every pixel's place and the row of weights are readable.
            unsafe {
                products.add_products(&mut local, block_input.add(place), A::PLACES, w);
                w = w.add(CHUNK);
            }
        }
    }
    *acc = local;
}
