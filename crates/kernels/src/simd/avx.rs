//! AVX without fused multiply-add (Sandy Bridge, Ivy Bridge and other chips of their years): two registers are one
//! vector, and `fma` goes by way of `f64`.

// See gemm: no iterators or closures over vectors.
#![allow(clippy::needless_range_loop)]

use std::arch::x86_64::*;

use super::wide::{Four, Wide};
use super::{Arithmetic, Kernel, LANES, Simd, fma};

/// The AVX level. Only [`run`] makes one.
#[derive(Clone, Copy)]
pub(crate) struct Avx(());

/// Runs a kernel compiled with AVX.
///
/// # Safety
/// The CPU has AVX.
#[target_feature(enable = "avx")]
pub(crate) unsafe fn run<K: Kernel>(kernel: K) -> K::Output {
    kernel.run(Avx(()))
}

impl Arithmetic for Avx {
    type V = [__m256; 2];

    #[inline(always)]
    fn splat(self, x: f32) -> Self::V {
        // SAFETY: `self` proves AVX.
        unsafe { [_mm256_set1_ps(x); 2] }
    }

    #[inline(always)]
    fn add(self, a: Self::V, b: Self::V) -> Self::V {
        // SAFETY: `self` proves AVX.
        unsafe { [_mm256_add_ps(a[0], b[0]), _mm256_add_ps(a[1], b[1])] }
    }

    #[inline(always)]
    fn sub(self, a: Self::V, b: Self::V) -> Self::V {
        // SAFETY: `self` proves AVX.
        unsafe { [_mm256_sub_ps(a[0], b[0]), _mm256_sub_ps(a[1], b[1])] }
    }

    #[inline(always)]
    fn fma(self, a: Self::V, b: Self::V, c: Self::V) -> Self::V {
        by_doubles(self, a, b, c)
    }

    #[inline(always)]
    fn fma_power(self, power: f32, b: Self::V, c: Self::V) -> Self::V {
        let mut out = c;
        // SAFETY: `self` proves AVX.
        unsafe {
            let back = _mm256_set1_ps(1.0 / power);
            let mut inexact = _mm256_setzero_ps();
            for half in 0..2 {
                // Exact if the way back is: neither underflow nor overflow.
                let product = _mm256_mul_ps(b[half], _mm256_set1_ps(power));
                let unequal = _mm256_cmp_ps::<_CMP_NEQ_OQ>(_mm256_mul_ps(product, back), b[half]);
                inexact = _mm256_or_ps(inexact, unequal);
                out[half] = _mm256_add_ps(product, c[half]);
            }
            if _mm256_movemask_ps(inexact) != 0 {
                return by_doubles(self, self.splat(power), b, c);
            }
        }
        out
    }
}

impl Simd for Avx {
    const TILE_PIXELS: usize = 8;
    const EMULATED: bool = true;
    type Wide = Four;

    #[inline(always)]
    unsafe fn load(self, p: *const f32) -> Self::V {
        // SAFETY: `self` proves AVX; the caller promises 16 readable values.
        unsafe { [_mm256_loadu_ps(p), _mm256_loadu_ps(p.add(8))] }
    }

    #[inline(always)]
    unsafe fn store(self, p: *mut f32, v: Self::V) {
        // SAFETY: `self` proves AVX; the caller promises 16 writable values.
        unsafe {
            _mm256_storeu_ps(p, v[0]);
            _mm256_storeu_ps(p.add(8), v[1]);
        }
    }

    #[inline(always)]
    unsafe fn stream(self, p: *mut f32, v: Self::V) {
        // SAFETY: `self` proves AVX; the caller promises 16 writable, aligned values.
        unsafe {
            _mm256_stream_ps(p, v[0]);
            _mm256_stream_ps(p.add(8), v[1]);
        }
    }

    #[inline(always)]
    fn fence(self) {
        // SAFETY: SSE, which every x86-64 has.
        unsafe { _mm_sfence() }
    }

    #[inline(always)]
    fn prefetch(self, p: *const f32) {
        // SAFETY: SSE; a prefetch never faults.
        unsafe { _mm_prefetch::<_MM_HINT_T0>(p.cast()) }
    }

    #[inline(always)]
    fn mul(self, a: Self::V, b: Self::V) -> Self::V {
        // SAFETY: `self` proves AVX.
        unsafe { [_mm256_mul_ps(a[0], b[0]), _mm256_mul_ps(a[1], b[1])] }
    }

    #[inline(always)]
    fn div(self, a: Self::V, b: Self::V) -> Self::V {
        // SAFETY: `self` proves AVX.
        unsafe { [_mm256_div_ps(a[0], b[0]), _mm256_div_ps(a[1], b[1])] }
    }

    #[inline(always)]
    fn select_lt(self, a: Self::V, b: Self::V, yes: Self::V, no: Self::V) -> Self::V {
        // SAFETY: `self` proves AVX.
        unsafe {
            [
                _mm256_blendv_ps(no[0], yes[0], _mm256_cmp_ps::<_CMP_LT_OQ>(a[0], b[0])),
                _mm256_blendv_ps(no[1], yes[1], _mm256_cmp_ps::<_CMP_LT_OQ>(a[1], b[1])),
            ]
        }
    }

    #[inline(always)]
    fn shift_to_exponent(self, x: Self::V) -> Self::V {
        let mut out = x;
        for half in 0..2 {
            // SAFETY: `self` proves AVX, whose shifts of integers are half a register wide.
            unsafe {
                let bits = _mm256_castps_si256(x[half]);
                let low = _mm_slli_epi32::<23>(_mm256_castsi256_si128(bits));
                let high = _mm_slli_epi32::<23>(_mm256_extractf128_si256::<1>(bits));
                out[half] = _mm256_castsi256_ps(_mm256_set_m128i(high, low));
            }
        }
        out
    }

    #[inline(always)]
    fn relu(self, x: Self::V) -> Self::V {
        let mut out = x;
        for half in 0..2 {
            // SAFETY: `self` proves AVX.
            unsafe {
                let negative = _mm256_cmp_ps::<_CMP_LT_OQ>(x[half], _mm256_setzero_ps());
                out[half] = _mm256_andnot_ps(negative, x[half]);
            }
        }
        out
    }

    #[inline(always)]
    fn max_first(self, first: Self::V, x: Self::V) -> Self::V {
        let mut out = x;
        for half in 0..2 {
            // SAFETY: `self` proves AVX.
            unsafe {
                let greater = _mm256_cmp_ps::<_CMP_GT_OQ>(x[half], first[half]);
                let nan = _mm256_cmp_ps::<_CMP_UNORD_Q>(x[half], x[half]);
                out[half] = _mm256_blendv_ps(first[half], x[half], _mm256_or_ps(greater, nan));
            }
        }
        out
    }
}

/// `a * b + c` of each lane: the exact product plus `c`, rounded to `f64` and then to `f32`. All lanes are redone where
/// this may have gone wrong in one of them, for the reasons of [`soft_fma_lanes`](super::portable::soft_fma_lanes); a
/// sum that is exact in `f64` is rounded once, which is right.
#[inline(always)]
fn by_doubles(s: Avx, a: [__m256; 2], b: [__m256; 2], c: [__m256; 2]) -> [__m256; 2] {
    let mut out = c;
    // SAFETY: `s` proves AVX.
    unsafe {
        let last = _mm256_castsi256_ps(_mm256_set1_epi32((1 << 29) - 1));
        let middle = _mm256_castsi256_ps(_mm256_set1_epi32(1 << 28));
        let size = _mm256_castsi256_ps(_mm256_set1_epi32(i32::MAX));
        let mut doubtful = _mm256_setzero_ps();
        let mut small = _mm256_setzero_ps();
        for half in 0..2 {
            let low = sum(
                _mm256_castps256_ps128(a[half]),
                _mm256_castps256_ps128(b[half]),
                _mm256_castps256_ps128(c[half]),
            );
            let high = sum(
                _mm256_extractf128_ps::<1>(a[half]),
                _mm256_extractf128_ps::<1>(b[half]),
                _mm256_extractf128_ps::<1>(c[half]),
            );
            out[half] = _mm256_set_m128(_mm256_cvtpd_ps(high), _mm256_cvtpd_ps(low));
            let ends = _mm256_shuffle_ps::<0x88>(_mm256_castpd_ps(low), _mm256_castpd_ps(high));
            let ends = _mm256_cmp_ps::<_CMP_EQ_OQ>(_mm256_and_ps(ends, last), middle);
            doubtful = _mm256_or_ps(doubtful, ends);
            let sized = _mm256_and_ps(out[half], size);
            let least = _mm256_set1_ps(f32::MIN_POSITIVE);
            small = _mm256_or_ps(small, _mm256_cmp_ps::<_CMP_LE_OQ>(sized, least));
        }
        if _mm256_movemask_ps(_mm256_or_ps(doubtful, small)) != 0 && rounded_twice(s, a, b, c) {
            let [mut x, mut y, mut z] = [[0.0; LANES]; 3];
            s.write(&mut x, 0, a);
            s.write(&mut y, 0, b);
            s.write(&mut z, 0, c);
            redo(&x, &y, &mut z);
            return s.read(&z, 0);
        }
    }
    out
}

/// The sums of the products, as `f64` has them.
///
/// # Safety
/// The CPU has AVX.
#[inline(always)]
unsafe fn sum(a: __m128, b: __m128, c: __m128) -> __m256d {
    // SAFETY: promised by the caller.
    unsafe {
        let product = _mm256_mul_pd(_mm256_cvtps_pd(a), _mm256_cvtps_pd(b));
        _mm256_add_pd(product, _mm256_cvtps_pd(c))
    }
}

/// Whether a sum is not exact in `f64` that is the middle of two `f32` or below their normal numbers.
#[inline(always)]
fn rounded_twice(s: Avx, a: [__m256; 2], b: [__m256; 2], c: [__m256; 2]) -> bool {
    let [mut x, mut y, mut z] = [[0.0; LANES]; 3];
    s.write(&mut x, 0, a);
    s.write(&mut y, 0, b);
    s.write(&mut z, 0, c);
    let mut wrong = Four::splat(0.0);
    for at in (0..LANES).step_by(Four::LANES) {
        // SAFETY: four of sixteen values.
        let [a, b, addend] = unsafe {
            [
                Four::widened(x.as_ptr().add(at)),
                Four::widened(y.as_ptr().add(at)),
                Four::widened(z.as_ptr().add(at)),
            ]
        };
        let product = a.mul(b);
        let sum = product.add(addend);
        // The sum is exact if it gives back what it is of: the error of Knuth's two-sum is zero then.
        let inexact = sum.sub(product).unequal(addend).or(sum.sub(addend).unequal(product));
        let normal = sum.beyond(Four::splat(f64::from(f32::MIN_POSITIVE)));
        let small = normal.and(Four::splat(1.0)).unequal(Four::splat(1.0));
        wrong = wrong.or(inexact.and(sum.middle().or(small)));
    }
    wrong.any()
}

/// [`fma`] of each lane; `c` becomes the answer.
#[cold]
#[inline(never)]
fn redo(a: &[f32; LANES], b: &[f32; LANES], c: &mut [f32; LANES]) {
    for lane in 0..LANES {
        c[lane] = fma(a[lane], b[lane], c[lane]);
    }
}
