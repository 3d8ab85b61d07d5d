//! The register tile: input channels x output channels, each sum one fused chain over positions.

// See gemm: no iterators or closures over vectors.
#![allow(clippy::needless_range_loop)]

use crate::simd::{LANES, Simd};

/// Positions that lie evenly: input channel p of number i at `input + i * input_step + p`, vector n of output channels
/// at `gradient + i * gradient_step + n * vector`.
#[derive(Clone, Copy)]
pub(super) struct Run {
    pub(super) input: *const f32,
    pub(super) input_step: usize,
    pub(super) gradient: *const f32,
    pub(super) gradient_step: usize,
    pub(super) vector: usize,
    pub(super) count: usize,
}

/// How many positions ahead of its use an input is asked for.
const AHEAD: usize = 24;

/// Adds the products of a run.
///
/// # Safety
/// All its values are readable, for each of `P` input channels and `N` vectors.
#[inline(always)]
pub(super) unsafe fn add_products<S: Simd, const P: usize, const N: usize>(
    s: S,
    acc: &mut [[S::V; N]; P],
    run: &Run,
) {
    // The accumulators live in a local so that the compiler keeps them in registers.
    let mut local = *acc;
    let Run { mut input, input_step, mut gradient, gradient_step, vector, count } = *run;
    for _ in 0..count {
        s.prefetch(input.wrapping_add(AHEAD * input_step));
        let mut row = [s.splat(0.0); N];
        for n in 0..N {
            // SAFETY: promised by the caller.
            row[n] = unsafe { s.load(gradient.add(n * vector)) };
        }
        for p in 0..P {
            // SAFETY: promised by the caller.
            let x = s.splat(unsafe { *input.add(p) });
            for n in 0..N {
                local[p][n] = s.fma(x, row[n], local[p][n]);
            }
        }
        input = input.wrapping_add(input_step);
        gradient = gradient.wrapping_add(gradient_step);
    }
    *acc = local;
}

/// Work on one register tile of any size.
pub(super) trait Tiles {
    /// Handles the input channels from `channel` of a block on, and the vectors from `vector` of a pair on.
    ///
    /// # Safety
    /// `P` channels of the block and `N` vectors of the pair exist in memory.
    unsafe fn tile<S: Simd, const P: usize, const N: usize>(
        &mut self,
        s: S,
        channel: usize,
        vector: usize,
    );
}

/// Covers the first `channels` input channels of a block of sixteen, and `vectors` (one or two) of output channels.
#[inline(always)]
pub(super) fn cover<S: Simd>(s: S, tiles: &mut impl Tiles, channels: usize, vectors: usize) {
    let mut channel = 0;
    while channel < channels.min(LANES) {
        let left = channels - channel;
        // SAFETY: a block has sixteen channels in memory, of which four or eight from a multiple of that on are
        // taken; so many vectors exist by the argument.
        unsafe {
            match (S::TILE_PIXELS, vectors) {
                (14, 2) if left > 4 => tiles.tile::<S, 8, 2>(s, channel, 0),
                (14, 2) => tiles.tile::<S, 4, 2>(s, channel, 0),
                (14, _) if left > 4 => tiles.tile::<S, 8, 1>(s, channel, 0),
                _ => {
                    for vector in 0..vectors {
                        tiles.tile::<S, 4, 1>(s, channel, vector);
                    }
                }
            }
        }
        channel += if S::TILE_PIXELS == 14 && left > 4 { 8 } else { 4 };
    }
}
