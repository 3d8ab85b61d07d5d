//! The matrix kernel under every convolution: a register tile of pixels x output channels, each
//! output one fused chain over k.
//!
//! For each of `P` pixels and `N` vectors of output channels the tile keeps one accumulator and
//! walks k upwards: one broadcast input value times one vector of weights. Where input value k of a
//! pixel lies is a table (`offsets`), so the same tile serves strided and planar convolutions; where
//! it is k's place in a block of channels ([`accumulate_blocks`]), 1x1 convolutions and the products
//! of Winograd's form. A tile started at k > 0 resumes the accumulators it stored.

// Indexed loops, and no closures, where vectors are handled: an iterator's or closure's body is a
// function of its own that does not have the CPU level's instructions until it is inlined.
#![allow(clippy::needless_range_loop, clippy::manual_map)]

mod blocks;
mod chunk;
mod deferred;
#[cfg(target_arch = "x86_64")]
mod lists;
#[cfg(target_arch = "x86_64")]
pub(crate) mod pairs;
#[cfg(test)]
mod tests;

pub(crate) use blocks::{BlockProducts, Sums, accumulate_blocks};
pub(crate) use chunk::CHUNK;
#[cfg(target_arch = "x86_64")]
pub(crate) use lists::{Lists, finish_sums, group_pixels, lists_len};

use crate::buffer::{AlignedBuffer, Shared};
use crate::parallel;
use crate::simd::{LANES, Pair, Simd};
use deferred::chains;

/// How far ahead of their use weights are asked for: 4 KiB.
const AHEAD: usize = 1024;

/// Outputs of at least this many values are stored past the caches.
pub(crate) const STREAM: usize = 1024 * 1024;

/// A k x n matrix of weights packed as [n / 32][k][32], zero where n ends.
#[derive(Clone, Debug)]
pub(crate) struct PackedMatrix {
    k: usize,
    n: usize,
    data: AlignedBuffer,
}

impl PackedMatrix {
    /// Packs the transpose of `values`, a row-major n x k matrix.
    pub(crate) fn pack(k: usize, n: usize, values: &[f32]) -> Self {
        let data = AlignedBuffer::zeroed(n.div_ceil(CHUNK) * k * CHUNK);
        let mut packed = Self { k, n, data };
        packed.repack(values);
        packed
    }

    /// Packs other values of the same shape, in the same memory.
    pub(crate) fn repack(&mut self, values: &[f32]) {
        let (k, n) = (self.k, self.n);
        // What is zero past the last column stays so.
        let shared = Shared::new(self.data.as_mut_slice());
        parallel::for_each(n.div_ceil(CHUNK), |chunk| {
            // SAFETY: each task has its own chunk.
            let packed = unsafe { shared.part(chunk * k * CHUNK, k * CHUNK) };
            let rows = values[chunk * CHUNK * k..].chunks_exact(k).take(CHUNK);
            // In pieces whose packed rows stay in cache while column after column fills them.
            for first in (0..k).step_by(LANES) {
                for (column, values) in rows.clone().enumerate() {
                    for (row, value) in values[first..k.min(first + LANES)].iter().enumerate() {
                        packed[(first + row) * CHUNK + column] = *value;
                    }
                }
            }
        });
    }

    /// The length of the chains.
    pub(crate) fn k(&self) -> usize {
        self.k
    }

    /// Groups of 32 output channels.
    pub(crate) fn chunks(&self) -> usize {
        self.n.div_ceil(CHUNK)
    }

    /// The weights of one chunk, [k][32].
    pub(crate) fn chunk(&self, chunk: usize) -> &[f32] {
        &self.data.as_slice()[chunk * self.k * CHUNK..][..self.k * CHUNK]
    }
}

/// The widths of register tiles there are, besides a level's widest: a row of 34 pixels is three
/// tiles of 12, not three of 14.
const NARROW: [usize; 2] = [9, 12];

/// The register tile, at most `widest` pixels, that wastes least on a row of `pixels`.
pub(crate) fn tile_width(widest: usize, pixels: usize) -> usize {
    let even = pixels.div_ceil(pixels.div_ceil(widest).max(1));
    NARROW.into_iter().find(|width| *width < widest && even <= *width).unwrap_or(widest)
}

/// What happens to an accumulator once its chain is done, each step rounded on its own.
#[derive(Clone, Copy)]
pub(crate) struct Finish<'a> {
    /// Added first: one value per output channel, padded to a whole chunk.
    pub(crate) bias: Option<&'a [f32]>,
    /// `x < 0 ? +0 : x`, last.
    pub(crate) relu: bool,
    /// Stores past the caches; the task must fence.
    pub(crate) stream: bool,
}

/// Where a register tile's results go: `valid` pixels of the first of `vectors` blocks start at
/// `out`, the next block's lie `plane` values further; the residual, if any, lies likewise.
#[derive(Clone, Copy)]
pub(crate) struct Target {
    pub(crate) out: *mut f32,
    pub(crate) plane: usize,
    pub(crate) residual: Option<*const f32>,
    pub(crate) residual_plane: usize,
    pub(crate) valid: usize,
    pub(crate) vectors: usize,
}

/// Fresh accumulators: +0.
#[inline(always)]
pub(crate) fn zeros<S: Simd, const P: usize, const N: usize>(s: S) -> [[S::V; N]; P] {
    [[s.splat(0.0); N]; P]
}

/// Adds the products of `offsets.len()` more k to the accumulators.
///
/// Pixel p's value k is at `input + offsets[k] + p * step`, where `step` is `STEP`, or, where that is 0,
/// the argument.
///
/// # Safety
/// All those values are readable for each pixel of the tile, and `weights` holds
/// `offsets.len()` rows of 32.
#[inline(always)]
pub(crate) unsafe fn accumulate<S: Simd, const P: usize, const N: usize, const STEP: usize>(
    s: S,
    acc: &mut [[S::V; N]; P],
    input: *const f32,
    step: usize,
    offsets: &[u32],
    weights: *const f32,
) {
    let step = if STEP == 0 { step } else { STEP };
    if S::EMULATED {
        let place = |k: usize| input.wrapping_add(offsets[k] as usize);
        // SAFETY: promised by the caller.
        unsafe { chains::<Pair, S, P, N>(s, acc, place, step, offsets.len(), weights) };
        return;
    }
    // The accumulators live in a local so that the compiler keeps them in registers.
    let mut local = *acc;
    let mut w = weights;
    for offset in offsets {
        // SAFETY: the caller promises that every pixel's value and the row of weights are readable.
        unsafe {
            add_products(s, &mut local, input.add(*offset as usize), step, w);
            w = w.add(CHUNK);
        }
    }
    *acc = local;
}

/// Adds one k's products: pixel p's value is at `values + p * step`.
///
/// # Safety
/// Each pixel's value is readable, and so are `N` vectors of weights.
#[inline(always)]
unsafe fn add_products<S: Simd, const P: usize, const N: usize>(
    s: S,
    acc: &mut [[S::V; N]; P],
    values: *const f32,
    step: usize,
    weights: *const f32,
) {
    // SAFETY: promised by the caller; a prefetch may go anywhere.
    unsafe {
        let mut row = [s.splat(0.0); N];
        for n in 0..N {
            row[n] = s.load(weights.add(n * LANES));
            s.prefetch(weights.wrapping_add(AHEAD + n * LANES));
        }
        for p in 0..P {
            let x = s.splat(*values.add(p * step));
            for n in 0..N {
                acc[p][n] = s.fma(x, row[n], acc[p][n]);
            }
        }
    }
}

/// Asks for the residual's values, which [`finish`] needs after a whole chain.
#[inline(always)]
pub(crate) fn prefetch_residual<S: Simd, const P: usize, const N: usize>(s: S, target: &Target) {
    if let Some(residual) = target.residual {
        for n in 0..N {
            for p in 0..P {
                s.prefetch(residual.wrapping_add(n * target.residual_plane + p * LANES));
            }
        }
    }
}

/// Loads accumulators that [`store`] left, to resume their chains.
///
/// # Safety
/// `target` describes readable values.
#[inline(always)]
pub(crate) unsafe fn resume<S: Simd, const P: usize, const N: usize>(
    s: S,
    target: &Target,
) -> [[S::V; N]; P] {
    let mut acc = zeros::<S, P, N>(s);
    for n in 0..N.min(target.vectors) {
        for p in 0..P.min(target.valid) {
            // SAFETY: pixel p < valid of vector n < vectors is readable by the caller's promise.
            acc[p][n] = unsafe { s.load(target.out.add(n * target.plane + p * LANES)) };
        }
    }
    acc
}

/// Stores unfinished accumulators.
///
/// # Safety
/// `target` describes writable values that no other task touches.
#[inline(always)]
pub(crate) unsafe fn store<S: Simd, const P: usize, const N: usize>(
    s: S,
    acc: &[[S::V; N]; P],
    target: &Target,
) {
    for n in 0..N.min(target.vectors) {
        for p in 0..P.min(target.valid) {
            // SAFETY: pixel p < valid of vector n < vectors is writable by the caller's promise.
            unsafe { s.store(target.out.add(n * target.plane + p * LANES), acc[p][n]) };
        }
    }
}

/// Finishes accumulators and stores the results. `channel` is the first output channel.
///
/// # Safety
/// `target` describes writable values that no other task touches, its residual readable ones, and
/// where `finish.stream` is set the output is aligned to 64 bytes.
#[inline(always)]
pub(crate) unsafe fn finish<S: Simd, const P: usize, const N: usize>(
    s: S,
    acc: &[[S::V; N]; P],
    target: &Target,
    finish: &Finish<'_>,
    channel: usize,
) {
    for n in 0..N.min(target.vectors) {
        let bias = match finish.bias {
            // SAFETY: the slice holds 16 values: the bias is padded to a whole chunk.
            Some(bias) => Some(unsafe { s.load(bias[channel + n * LANES..][..LANES].as_ptr()) }),
            None => None,
        };
        for p in 0..P.min(target.valid) {
            let mut v = acc[p][n];
            if let Some(bias) = bias {
                v = s.add(v, bias);
            }
            // SAFETY: pixel p < valid of vector n < vectors is ours by the caller's promise.
            unsafe {
                if let Some(residual) = target.residual {
                    v = s.add(v, s.load(residual.add(n * target.residual_plane + p * LANES)));
                }
                if finish.relu {
                    v = s.relu(v);
                }
                let out = target.out.add(n * target.plane + p * LANES);
                if finish.stream { s.stream(out, v) } else { s.store(out, v) }
            }
        }
    }
}
