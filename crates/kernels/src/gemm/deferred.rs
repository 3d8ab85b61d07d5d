//! The register tile's chains where fused multiply-adds are emulated: in `f64`, a run of k at a time, and what may
//! have been rounded wrongly is found once a run and redone.
//!
//! # Why the bits are right
//! Sums are kept as `f64`, scaled by 2^-896. An `f32` so scaled has its own exponent's bits as an `f64` exponent, and
//! the `f64` grid, 29 bits finer, is the `f32` grid under it everywhere: among the subnormal numbers of both, too, where
//! both grids stop becoming finer. So adding half of an `f32` step to the bits and clearing the last 29 is rounding to
//! the nearest `f32`, subnormal results included, except at the middle of two of them.
//!
//! Let `p` be an exact product so scaled, `c` the sum before, and `m` the middle of any two neighbours, all as `f64`
//! has them or could have them with more bits; the sum computed is `s = round(round(p) + c)`. Below 2^-1022 in size,
//! `round(p)` may lose bits; above, `p` has 48 and loses none.
//! - `p + c = m`: all three are multiples of 2^-1046 (`m` and `c` by their size), so `p` is an `f64`, and `s = m`.
//! - `p + c < m`: where `round(p) = p`, rounding the sum is monotone and leaves `m` as it is, so `s <= m`. Else `p` is
//!   below 2^-1022 in size. There, multiples of 2^-1046 are `f64`s: if `m - c` is that small, `round(p) <= m - c`, as
//!   rounding `p` is monotone; if it is larger, then so it is. Either way `s <= m`.
//! - `p + c > m`: likewise, `s >= m`.
//!
//! Unless `s` is such an `m`, it lies on the same side of all of them as `p + c`, and rounds to the same `f32`. An `m` has
//! a one and 28 zeros as its last bits; after half a step is added, 29 zeros: this is looked for at every step, by
//! marks that are only read after a run. A marked run is done again with such sums rounded to even, which is right where they
//! are exact; where one is not, by exact steps. Two more things are left, and are seen at the end of a run:
//! - Overflow: there is no infinity on the way. If no product is above 2^100 and the last sum is at most 2^126, no sum
//!   of the run was above 2^127. A NaN and an infinity stay to the end.
//! - A product that `round(p)` loses altogether is a zero with its sign. The sum is wrong only where it is a zero too, in
//!   its sign; any later product but 0 makes it right again. So only zeros at the end of a run are doubtful, and only
//!   where such a product was.

use super::chunk::CHUNK;
use crate::simd::{Doubles, LANES, Simd, fma};

/// Steps of a chain between two looks at the marks.
const RUN: usize = 64;

/// 2^-896: the `f64` exponent becomes that of an `f32`.
const SCALE: f64 = f64::from_bits((1023 - 896) << 52);
/// 2^896.
const UNSCALE: f64 = f64::from_bits((1023 + 896) << 52);
/// 2^100: products up to here cannot make a sum overflow within a run.
const LARGE_PRODUCT: f64 = f64::from_bits((1023 + 100) << 52);
/// 2^126, scaled.
const LARGE_SUM: f64 = f64::from_bits((1023 + 126 - 896) << 52);
/// 2^-100, scaled: a sum from here on that is in the middle is of a product that `f64` has whole.
const SMALL_SUM: f64 = f64::from_bits((1023 - 100 - 896) << 52);
/// 2^-178: products from here on are not lost.
const SMALL_PRODUCT: f64 = f64::from_bits((1023 - 178) << 52);

/// Adds `len` products to the accumulators: value k of pixel p is at `place(k) + p * step`, row k of the weights at
/// `weights + k * 32`.
///
/// # Safety
/// These are readable for each pixel of the tile and `N` vectors of weights.
#[inline(always)]
pub(super) unsafe fn chains<D: Doubles, S: Simd, const P: usize, const N: usize>(
    s: S,
    acc: &mut [[S::V; N]; P],
    place: impl Fn(usize) -> *const f32,
    step: usize,
    len: usize,
    weights: *const f32,
) {
    let mut sums = [[[0.0; LANES]; N]; P];
    for p in 0..P {
        for n in 0..N {
            s.write(&mut sums[p][n], 0, acc[p][n]);
        }
    }
    let mut values = [[D::splat(0.0); P]; RUN];
    for first in (0..len).step_by(RUN) {
        let steps = RUN.min(len - first);
        let mut run =
            Run { steps, step, weights: weights.wrapping_add(first * CHUNK), bounded: false };
        // SAFETY: promised by the caller.
        unsafe {
            let greatest = widen(&mut values[..steps], |k| place(first + k), step);
            run.bounded = greatest * run.greatest_weight(N) <= LARGE_PRODUCT;
            for n in 0..N {
                for lane in (0..LANES).step_by(2) {
                    run.pair(&values, &mut sums, n, lane, |k| place(first + k));
                }
            }
        }
    }
    for p in 0..P {
        for n in 0..N {
            acc[p][n] = s.read(&sums[p][n], 0);
        }
    }
}

/// Scales the values of a run, and answers the size of the greatest before that, NaN not counted.
///
/// # Safety
/// They are readable.
#[inline(always)]
unsafe fn widen<D: Doubles, const P: usize>(
    values: &mut [[D; P]],
    place: impl Fn(usize) -> *const f32,
    step: usize,
) -> f64 {
    let mut greatest = 0.0;
    for (k, values) in values.iter_mut().enumerate() {
        let from = place(k);
        for p in 0..P {
            // SAFETY: promised by the caller.
            let value = f64::from(unsafe { *from.add(p * step) });
            let size = value.abs();
            greatest = if size > greatest { size } else { greatest };
            values[p] = D::splat(value * SCALE);
        }
    }
    greatest
}

/// Some steps of all chains of a register tile.
struct Run {
    steps: usize,
    /// From a pixel to the next.
    step: usize,
    /// The first step's row.
    weights: *const f32,
    /// No product is above [`LARGE_PRODUCT`].
    bounded: bool,
}

impl Run {
    /// The size of the greatest of `vectors` vectors of weights, NaN not counted.
    ///
    /// # Safety
    /// They are readable.
    #[inline(always)]
    unsafe fn greatest_weight(&self, vectors: usize) -> f64 {
        let mut greatest = [0.0; LANES];
        for k in 0..self.steps {
            for n in 0..vectors {
                for lane in 0..LANES {
                    // SAFETY: promised by the caller.
                    let size = unsafe { *self.weights.add(k * CHUNK + n * LANES + lane) }.abs();
                    greatest[lane] = if size > greatest[lane] { size } else { greatest[lane] };
                }
            }
        }
        greatest.into_iter().fold(0.0, |most, size| if size > most { size } else { most }).into()
    }

    /// The chains of all pixels and two output channels.
    ///
    /// # Safety
    /// As for [`chains`]; `values` are the run's, scaled.
    #[inline(always)]
    unsafe fn pair<D: Doubles, const P: usize, const N: usize>(
        &self,
        values: &[[D; P]; RUN],
        sums: &mut [[[f32; LANES]; N]; P],
        n: usize,
        lane: usize,
        place: impl Fn(usize) -> *const f32,
    ) {
        // SAFETY: two of the row's values.
        let weights = unsafe { self.weights.add(n * LANES + lane) };
        let zero = D::splat(0.0);
        let mut acc = [zero; P];
        for p in 0..P {
            // SAFETY: two of sixteen values. -0 as the addend leaves a -0.
            acc[p] = unsafe { D::widened(sums[p][n][lane..lane + 2].as_ptr()) }
                .mul_add(D::splat(SCALE), D::splat(-0.0));
        }
        let before = acc;
        // SAFETY: promised by the caller.
        let mut doubt = unsafe { self.steps(&values[..self.steps], weights, &mut acc) };
        if doubt.is_marked() {
            acc = before;
            // SAFETY: promised by the caller.
            doubt = unsafe { self.steps_to_even(&values[..self.steps], weights, &mut acc) };
        }
        let mut done = [[0.0; 2]; P];
        let (mut usual, mut zeros) = (self.bounded && !doubt.is_marked(), false);
        for p in 0..P {
            for (sum, done) in acc[p].to_array().into_iter().zip(&mut done[p]) {
                usual &= sum.abs() <= LARGE_SUM;
                zeros |= sum == 0.0;
                *done = (sum * UNSCALE) as f32;
            }
        }
        // SAFETY: promised by the caller.
        if !usual || zeros && unsafe { self.lost_a_product(&done, weights, &place) } {
            for p in 0..P {
                let before = [sums[p][n][lane], sums[p][n][lane + 1]];
                // SAFETY: promised by the caller.
                done[p] = unsafe {
                    self.redone(before, weights, |k| place(k).wrapping_add(p * self.step))
                };
            }
        }
        for p in 0..P {
            sums[p][n][lane..lane + 2].copy_from_slice(&done[p]);
        }
    }

    /// All steps; answers marks where a sum was in the middle of two neighbours.
    ///
    /// # Safety
    /// The weights are readable.
    #[inline(always)]
    unsafe fn steps<D: Doubles, const P: usize>(
        &self,
        values: &[[D; P]],
        weights: *const f32,
        acc: &mut [D; P],
    ) -> D {
        let mut doubt = D::splat(0.0);
        // The accumulators live in a local so that the compiler keeps them in registers.
        let mut local = *acc;
        for (k, values) in values.iter().enumerate() {
            // SAFETY: promised by the caller.
            let row = unsafe { D::widened(weights.add(k * CHUNK)) };
            for p in 0..P {
                let sum = values[p].mul_add(row, local[p]).add_half();
                local[p] = sum.cut();
                doubt = sum.mark(local[p], doubt);
            }
        }
        *acc = local;
        doubt
    }

    /// All steps, where sums are in the middle of two neighbours: these are rounded to even, which is right where the sum is
    /// exact. Answers marks where it is not, or where the product may not be.
    ///
    /// Weights of few digits, as half-precision files have them, often make such sums.
    ///
    /// # Safety
    /// The weights are readable.
    #[cold]
    #[inline(never)]
    unsafe fn steps_to_even<D: Doubles, const P: usize>(
        &self,
        values: &[[D; P]],
        weights: *const f32,
        acc: &mut [D; P],
    ) -> D {
        let (zero, minus) = (D::splat(0.0), D::splat(-1.0));
        let mut doubt = zero;
        for (k, values) in values.iter().enumerate() {
            // SAFETY: promised by the caller.
            let row = unsafe { D::widened(weights.add(k * CHUNK)) };
            for p in 0..P {
                // -0 as the addend leaves a -0.
                let product = values[p].mul_add(row, D::splat(-0.0));
                let sum = product.mul_add(D::splat(1.0), acc[p]);
                let half = sum.add_half();
                let middle = half.mark(half.cut(), zero);
                // The sum is exact if it gives back what it is of: the error of Knuth's two-sum is zero then.
                let [addend, back] = [product.mul_add(minus, sum), acc[p].mul_add(minus, sum)];
                let inexact = addend.unequal(acc[p], middle).or(back.unequal(product, middle));
                // A product below 2^-126 has no part in a middle of 2^-100.
                doubt = doubt.or(inexact).or(sum.below(SMALL_SUM, middle));
                acc[p] = sum.add_half_to_even().cut();
            }
        }
        doubt
    }

    /// Whether one of the sums that are zero has taken a product that is too small to be seen.
    ///
    /// # Safety
    /// As for [`chains`].
    #[cold]
    #[inline(never)]
    unsafe fn lost_a_product<const P: usize>(
        &self,
        sums: &[[f32; 2]; P],
        weights: *const f32,
        place: &impl Fn(usize) -> *const f32,
    ) -> bool {
        for lane in 0..2 {
            // SAFETY: promised by the caller.
            let weight = |k| unsafe { *weights.add(k * CHUNK + lane) };
            if (0..self.steps).all(|k| weight(k) == 0.0) {
                continue;
            }
            for p in (0..P).filter(|p| sums[*p][lane] == 0.0) {
                let lost = |k| {
                    // SAFETY: promised by the caller.
                    let value = unsafe { *place(k).add(p * self.step) };
                    let size = (f64::from(value) * f64::from(weight(k))).abs();
                    size < SMALL_PRODUCT && size > 0.0
                };
                if (0..self.steps).any(lost) {
                    return true;
                }
            }
        }
        false
    }

    /// Two chains by exact steps; value k is at `place(k)`.
    ///
    /// # Safety
    /// As for [`chains`].
    #[cold]
    #[inline(never)]
    unsafe fn redone(
        &self,
        before: [f32; 2],
        weights: *const f32,
        place: impl Fn(usize) -> *const f32,
    ) -> [f32; 2] {
        let mut sums = before;
        for k in 0..self.steps {
            // SAFETY: promised by the caller.
            let (value, row) = unsafe { (*place(k), weights.add(k * CHUNK)) };
            for lane in 0..2 {
                // SAFETY: promised by the caller.
                sums[lane] = fma(value, unsafe { *row.add(lane) }, sums[lane]);
            }
        }
        sums
    }
}
