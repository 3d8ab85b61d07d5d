//! A convolution's chains where fused multiply-adds are emulated on x86-64: pixel by pixel, over the values that are
//! not zero, in `f64`; a run of k that may have been rounded wrongly is done again.
//!
//! # Steps
//! A sum `c` of `f32` is held in `f64`, times a power of two. A step adds the product of two `f32`, which is exact, and
//! rounds the sum `s` to the 24 bits of an `f32`: `s - round(s * (1 - 2^-29))` is that, times 2^-29. For let `s` be `M`
//! units of its own last place, 2^52 <= M < 2^53. `M * (1 - 2^-29)` is rounded to a whole number of units, halfway to
//! an even one; or, from just below 2^52 on, to halves, but there `M * 2^-29` is 2^23 and less than 2^-6 beside, which
//! goes to 2^23. So the difference is `M * 2^-29` rounded to a whole number. It has 24 bits and is exact. Halfway, `M`
//! is a multiple of 2^28, and the difference is even where the rounded product is: this is rounding to nearest, ties to
//! even. Each step makes the sum smaller by 2^-29, and each value comes scaled to fit its step; after [`PART`] steps
//! the sum is scaled back.
//!
//! # Why the bits are right
//! A run's limits see to it that no product is above 2^100 or, unless it is 0, so small that its last bit is below 2^-149,
//! the last bit of all `f32`. So all sums are multiples of 2^-149, exact where an `f32` would be subnormal, and no power of
//! two leaves the range of `f64`. Sums are right but where `s`, already rounded to `f64`, is the middle of two `f32`
//! and was not exact ([`soft_fma_lanes`](crate::simd) has the proof). Such an `s` ends in a one and 28 zeros. What ends
//! in 28 zeros is looked for at every step, in lanes that are packed two registers in one; a run with such a step is done
//! once more, and exact sums are told from others. Overflow cannot come and go within a run if all products are at most
//! 2^100 and the last sum at most 2^126; NaN and infinity stay to the end.
//!
//! A value of 0 is left out: it adds +0 or -0 to a sum, which changes nothing but a sum of -0, and weights are
//! finite. A sum that cancels is +0, so that -0 is there only if a run starts from it.
//!
//! What does not hold to the limits, starts from -0, or is doubtful after all, is done by [`chains`].

// See gemm: no iterators or closures over vectors.
#![allow(clippy::needless_range_loop)]

use super::deferred::chains;
use super::{CHUNK, Finish, Target, finish};
use crate::simd::{LANES, Pair, Simd, Wide};

/// Values of k between two looks at what was seen.
const RUN: usize = 64;
/// Steps between two scalings: 2^29 to the power of these, and the numbers of `f32`, are in the range of `f64`.
const PART: usize = 32;

/// 1 - 2^-29.
const SHRINK: f64 = 1.0 - 1.0 / (1 << 29) as f64;
/// What the values of a part are multiplied by, step by step: 2^464 and down.
const SCALES: [f64; PART] = powers(464, -29);
/// What takes back a number of steps.
const BACK: [f64; PART + 1] = powers(0, 29);
/// 2^464: a sum's scale before a part.
const SCALE: f64 = SCALES[0];
/// 2^-464.
const UNSCALE: f64 = power(-464);
/// 2^100: products up to here cannot make a sum overflow within a run.
const LARGE_PRODUCT: f64 = power(100);
/// 2^-101: the last bits of products from here on are 2^-149 and above.
const SMALL_PRODUCT: f64 = power(-101);
/// 2^126, scaled.
const LARGE_SUM: f64 = power(126 + 464);

const fn power(of: i32) -> f64 {
    f64::from_bits(((1023 + of) as u64) << 52)
}

const fn powers<const N: usize>(first: i32, step: i32) -> [f64; N] {
    let mut powers = [0.0; N];
    let mut i = 0;
    while i < N {
        powers[i] = power(first + step * i as i32);
        i += 1;
    }
    powers
}

/// What a list's first places say of a run of one pixel.
struct Head {
    /// Values that are not zero.
    count: usize,
    /// The sizes of the least of them and of the greatest.
    least: f32,
    greatest: f32,
}

/// Places of an `f32` that a run of one pixel takes: head, values, rows of weights.
const SEGMENT: usize = 4 + 2 * RUN + RUN / 2;
/// Places of an `f32` that a run's weights take.
const WEIGHTS: usize = 2 * RUN * CHUNK;
/// Values that a group of pixels has at most, for lists that stay in a cache.
const GROUP: usize = 96 * 1024;

/// The pixels of a group, of `pixels` that have `k` values each: so many that weights are not widened for a few.
pub(crate) fn group_pixels(pixels: usize, k: usize) -> usize {
    let most = (GROUP / k.max(1)).clamp(32, 128);
    pixels.div_ceil(pixels.div_ceil(most).max(1)).max(1)
}

/// The values of some pixels that are not zero, run by run, in scratch.
pub(crate) struct Lists<'a> {
    weights: &'a mut [f64],
    segments: &'a mut [f32],
    pixels: usize,
    k: usize,
}

/// What scratch [`Lists`] need.
pub(crate) fn lists_len(pixels: usize, k: usize) -> usize {
    WEIGHTS + pixels * k.div_ceil(RUN) * SEGMENT
}

impl<'a> Lists<'a> {
    /// Lists of `k` values each of some pixels: value k of pixel p is at `place(p, k)`.
    ///
    /// # Safety
    /// These are readable.
    ///
    /// # Panics
    /// The scratch is not aligned to eight bytes, or less than [`lists_len`].
    #[inline(always)]
    pub(crate) unsafe fn new(
        scratch: &'a mut [f32],
        [pixels, k]: [usize; 2],
        place: impl Fn(usize, usize) -> *const f32,
    ) -> Self {
        let (weights, segments) = scratch.split_at_mut(WEIGHTS);
        let runs = k.div_ceil(RUN);
        for (index, segment) in segments.chunks_exact_mut(SEGMENT).take(pixels * runs).enumerate() {
            let (pixel, first) = (index / runs, index % runs * RUN);
            // SAFETY: promised by the caller.
            unsafe { fill(segment, RUN.min(k - first), |step| place(pixel, first + step)) };
        }
        assert!(segments.len() >= pixels * runs * SEGMENT);
        Self { weights: bytemuck::cast_slice_mut(weights), segments, pixels, k }
    }

    /// Adds the products with a chunk of weights, [k][32], to the sums, [pixel][32]; of the chunk's channels, the first
    /// `channels` are real. `place` is as before.
    ///
    /// # Safety
    /// The values that `place` names are those of the lists and readable, and the weights are readable.
    ///
    /// # Panics
    /// There are not that many sums.
    #[inline(always)]
    pub(crate) unsafe fn multiply<S: Simd>(
        &mut self,
        s: S,
        place: impl Fn(usize, usize) -> *const f32,
        weights: *const f32,
        channels: usize,
        sums: &mut [f32],
    ) {
        let runs = self.k.div_ceil(RUN);
        for run in 0..runs {
            let first = run * RUN;
            let steps = RUN.min(self.k - first);
            let packed = weights.wrapping_add(first * CHUNK);
            // SAFETY: promised by the caller.
            let [least, greatest] = unsafe { widen::<S::Wide>(self.weights, packed, steps) };
            for pixel in 0..self.pixels {
                let sums = &mut sums[pixel * CHUNK..][..CHUNK];
                let segment = &self.segments[(pixel * runs + run) * SEGMENT..][..SEGMENT];
                let head = read_head(segment);
                let mut minus_zero = false;
                for lane in 0..CHUNK {
                    minus_zero |= sums[lane].to_bits() == 1 << 31;
                }
                let bounded = f64::from(head.greatest) * greatest <= LARGE_PRODUCT
                    && f64::from(head.least) * least >= SMALL_PRODUCT;
                let usual = bounded && !minus_zero;
                let mut done = false;
                if usual {
                    // SAFETY: the segment is a list of this run, and the weights are this run's, widened.
                    done = unsafe { by_list::<S::Wide>(segment, self.weights, channels, sums) };
                }
                if !done {
                    // SAFETY: promised by the caller.
                    unsafe { by_steps(s, |k| place(pixel, first + k), steps, packed, sums) };
                }
            }
        }
    }
}

#[inline(always)]
fn read_head(segment: &[f32]) -> Head {
    let [count, least, greatest] = [segment[0], segment[1], segment[2]];
    Head { count: count.to_bits() as usize, least, greatest }
}

/// Lists the `steps` values of a run.
///
/// # Safety
/// `place(k)` is readable.
#[inline(always)]
unsafe fn fill(segment: &mut [f32], steps: usize, place: impl Fn(usize) -> *const f32) {
    let (head, rest) = segment.split_at_mut(4);
    let (values, rows) = rest.split_at_mut(2 * RUN);
    let values: &mut [f64] = bytemuck::cast_slice_mut(values);
    let rows: &mut [u16] = bytemuck::cast_slice_mut(rows);
    let (values, rows) = (&mut values[..RUN], &mut rows[..RUN]);
    let (mut count, mut least, mut greatest) = (0, u32::MAX, 0);
    for k in 0..steps {
        // SAFETY: promised by the caller.
        let value = unsafe { *place(k) };
        let size = value.to_bits() & (u32::MAX >> 1);
        // `count` is at most k here. What is written for a zero is written over, or behind the list's end.
        values[count & (RUN - 1)] = f64::from(value) * SCALES[count & (PART - 1)];
        rows[count & (RUN - 1)] = (k * CHUNK) as u16;
        // A zero is no least value: it becomes the greatest.
        least = least.min(size.wrapping_sub(1));
        greatest = greatest.max(size);
        count += usize::from(size != 0);
    }
    let least = if greatest == 0 { f32::INFINITY } else { f32::from_bits(least + 1) };
    head[0] = f32::from_bits(count as u32);
    head[1] = least;
    head[2] = f32::from_bits(greatest);
}

/// Widens a run's weights, and answers the sizes of the least but 0 and the greatest.
///
/// # Safety
/// `steps` rows are readable.
#[inline(always)]
unsafe fn widen<W: Wide>(to: &mut [f64], weights: *const f32, steps: usize) -> [f64; 2] {
    let to = &mut to[..steps * CHUNK];
    let mut limits = W::unlimited();
    for k in 0..steps {
        for lane in (0..CHUNK).step_by(W::LANES) {
            let at = k * CHUNK + lane;
            // SAFETY: a row of 32 is readable, and there is room for it.
            unsafe { W::widened(weights.add(at)).store(to.as_mut_ptr().add(at)) };
        }
        // SAFETY: as above.
        unsafe { W::limits(weights.add(k * CHUNK), &mut limits) };
    }
    W::folded(limits)
}

/// Adds a run's products to the sums of one pixel, unless it answers false.
///
/// # Safety
/// The segment is a list, and the weights those of its run.
#[inline(always)]
unsafe fn by_list<W: Wide>(
    segment: &[f32],
    weights: &[f64],
    channels: usize,
    sums: &mut [f32],
) -> bool {
    let mut done = [0.0; CHUNK];
    done.copy_from_slice(sums);
    let vectors = channels.min(CHUNK).div_ceil(W::LANES);
    let mut vector = 0;
    while vector < vectors {
        let lane = vector * W::LANES;
        // SAFETY: as promised by the caller; `lane` and as many vectors more are inside a row.
        let (right, next) = unsafe {
            match vectors - vector {
                8.. => (piece::<W, 8>(segment, weights, lane, &mut done), 8),
                4.. => (piece::<W, 4>(segment, weights, lane, &mut done), 4),
                2.. => (piece::<W, 2>(segment, weights, lane, &mut done), 2),
                _ => (piece::<W, 1>(segment, weights, lane, &mut done), 1),
            }
        };
        if !right {
            return false;
        }
        vector += next;
    }
    sums.copy_from_slice(&done);
    true
}

/// The sums of `V` vectors of channels, unless it answers false.
///
/// # Safety
/// As for [`by_list`]; the vectors are inside a row.
#[inline(always)]
unsafe fn piece<W: Wide, const V: usize>(
    segment: &[f32],
    weights: &[f64],
    lane: usize,
    sums: &mut [f32; CHUNK],
) -> bool {
    let mut acc = [W::splat(0.0); V];
    for v in 0..V {
        // SAFETY: inside a row by the caller's promise.
        acc[v] = unsafe { W::widened(sums.as_ptr().add(lane + v * W::LANES)) }.mul(W::splat(SCALE));
    }
    let before = acc;
    // SAFETY: promised by the caller.
    if unsafe { steps(segment, weights.as_ptr().add(lane), &mut acc) } {
        acc = before;
        // SAFETY: promised by the caller.
        if unsafe { careful_steps(segment, weights.as_ptr().add(lane), &mut acc) } {
            return false;
        }
    }
    let mut large = W::splat(0.0);
    for v in 0..V {
        large = large.or(acc[v].beyond(W::splat(LARGE_SUM)));
    }
    if large.any() {
        return false;
    }
    for v in 0..V {
        // SAFETY: inside a row by the caller's promise.
        unsafe {
            acc[v].mul(W::splat(UNSCALE)).narrow(sums.as_mut_ptr().add(lane + v * W::LANES));
        }
    }
    true
}

/// The list's values and rows.
#[inline(always)]
fn listed(segment: &[f32]) -> (usize, *const f64, *const u16) {
    let (_, rest) = segment.split_at(4);
    let (values, rows) = rest.split_at(2 * RUN);
    (read_head(segment).count, values.as_ptr().cast(), rows.as_ptr().cast())
}

/// All steps; answers whether a sum ended in 28 zeros.
///
/// # Safety
/// The segment is a list; the rows of weights that it names have `V` vectors.
#[inline(always)]
unsafe fn steps<W: Wide, const V: usize>(
    segment: &[f32],
    weights: *const f64,
    acc: &mut [W; V],
) -> bool {
    let (count, values, rows) = listed(segment);
    let shrink = W::splat(SHRINK);
    // Two, so that no step waits for the one before.
    let mut seen = [W::unwatched(); 2];
    // The accumulators live in a local so that the compiler keeps them in registers.
    let mut local = *acc;
    let mut first = 0;
    while first < count {
        let end = count.min(first + PART);
        for step in first..end {
            // SAFETY: a list has `count` values and rows, and its rows are the weights'.
            let (value, row) =
                unsafe { (W::splat(*values.add(step)), weights.add(usize::from(*rows.add(step)))) };
            for pair in 0..V.div_ceil(2) {
                let (a, b) = (2 * pair, (2 * pair + 1).min(V - 1));
                // SAFETY: promised by the caller.
                let sum = local[a].add(value.mul(unsafe { W::load(row.add(a * W::LANES)) }));
                local[a] = sum.sub(sum.mul(shrink));
                let mut other = sum;
                if b != a {
                    // SAFETY: promised by the caller.
                    other = local[b].add(value.mul(unsafe { W::load(row.add(b * W::LANES)) }));
                    local[b] = other.sub(other.mul(shrink));
                }
                seen[pair % 2] = sum.watch(other, seen[pair % 2]);
            }
        }
        for v in 0..V {
            local[v] = local[v].mul(W::splat(BACK[end - first]));
        }
        first = end;
    }
    *acc = local;
    seen[0].has_seen() || seen[1].has_seen()
}

/// As [`steps`]; answers whether a sum that is not exact was the middle of two `f32`.
///
/// # Safety
/// As for [`steps`].
#[inline(always)]
unsafe fn careful_steps<W: Wide, const V: usize>(
    segment: &[f32],
    weights: *const f64,
    acc: &mut [W; V],
) -> bool {
    let (count, values, rows) = listed(segment);
    let mut doubtful = W::splat(0.0);
    for step in 0..count {
        // SAFETY: as in `steps`.
        let (value, row) =
            unsafe { (W::splat(*values.add(step)), weights.add(usize::from(*rows.add(step)))) };
        for v in 0..V {
            // SAFETY: promised by the caller.
            let product = value.mul(unsafe { W::load(row.add(v * W::LANES)) });
            let sum = acc[v].add(product);
            // It is exact if it gives back what it is of: the error of Knuth's two-sum is zero then.
            let inexact = sum.sub(product).unequal(acc[v]).or(sum.sub(acc[v]).unequal(product));
            doubtful = doubtful.or(sum.middle().and(inexact));
            acc[v] = sum.sub(sum.mul(W::splat(SHRINK)));
        }
        if step % PART == PART - 1 || step == count - 1 {
            for v in 0..V {
                acc[v] = acc[v].mul(W::splat(BACK[step % PART + 1]));
            }
        }
    }
    doubtful.any()
}

/// One pixel's run whatever its numbers are.
///
/// # Safety
/// As for [`chains`].
#[cold]
#[inline(never)]
unsafe fn by_steps<S: Simd>(
    s: S,
    place: impl Fn(usize) -> *const f32,
    steps: usize,
    weights: *const f32,
    sums: &mut [f32],
) {
    let mut acc = [[s.read(sums, 0), s.read(sums, LANES)]; 1];
    // SAFETY: promised by the caller.
    unsafe { chains::<Pair, S, 1, 2>(s, &mut acc, place, 0, steps, weights) };
    s.write(sums, 0, acc[0][0]);
    s.write(sums, LANES, acc[0][1]);
}

/// Finishes the sums of some pixels, [pixel][32], and stores the results; `channel` is their first.
///
/// # Safety
/// `target` describes, for each pixel, what [`finish`] asks for.
///
/// # Panics
/// There are not that many sums.
#[inline(always)]
pub(crate) unsafe fn finish_sums<S: Simd>(
    s: S,
    sums: &[f32],
    pixels: usize,
    target: impl Fn(usize) -> Target,
    how: &Finish<'_>,
    channel: usize,
) {
    for pixel in 0..pixels {
        let acc = [[s.read(sums, pixel * CHUNK), s.read(sums, pixel * CHUNK + LANES)]];
        // SAFETY: promised by the caller.
        unsafe { finish::<S, 1, 2>(s, &acc, &target(pixel), how, channel) };
    }
}
