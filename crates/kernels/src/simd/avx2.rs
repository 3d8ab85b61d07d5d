//! AVX2 and FMA: two registers are one vector.

use std::arch::x86_64::*;

use super::{Arithmetic, Kernel, Simd};

/// The AVX2 level. Only [`run`] makes one.
#[derive(Clone, Copy)]
pub(crate) struct Avx2(());

/// Runs a kernel compiled with AVX2 and FMA.
///
/// # Safety
/// The CPU has AVX2 and FMA.
#[target_feature(enable = "avx2,fma")]
pub(crate) unsafe fn run<K: Kernel>(kernel: K) -> K::Output {
    kernel.run(Avx2(()))
}

impl Arithmetic for Avx2 {
    type V = [__m256; 2];

    #[inline(always)]
    fn splat(self, x: f32) -> Self::V {
        // SAFETY: `self` proves AVX2.
        unsafe { [_mm256_set1_ps(x); 2] }
    }

    #[inline(always)]
    fn add(self, a: Self::V, b: Self::V) -> Self::V {
        // SAFETY: `self` proves AVX2.
        unsafe { [_mm256_add_ps(a[0], b[0]), _mm256_add_ps(a[1], b[1])] }
    }

    #[inline(always)]
    fn sub(self, a: Self::V, b: Self::V) -> Self::V {
        // SAFETY: `self` proves AVX2.
        unsafe { [_mm256_sub_ps(a[0], b[0]), _mm256_sub_ps(a[1], b[1])] }
    }

    #[inline(always)]
    fn fma(self, a: Self::V, b: Self::V, c: Self::V) -> Self::V {
        // SAFETY: `self` proves FMA.
        unsafe { [_mm256_fmadd_ps(a[0], b[0], c[0]), _mm256_fmadd_ps(a[1], b[1], c[1])] }
    }
}

impl Simd for Avx2 {
    const TILE_PIXELS: usize = 6;
    type Wide = super::wide::Two;

    #[inline(always)]
    unsafe fn load(self, p: *const f32) -> Self::V {
        // SAFETY: `self` proves AVX2; the caller promises 16 readable values.
        unsafe { [_mm256_loadu_ps(p), _mm256_loadu_ps(p.add(8))] }
    }

    #[inline(always)]
    unsafe fn store(self, p: *mut f32, v: Self::V) {
        // SAFETY: `self` proves AVX2; the caller promises 16 writable values.
        unsafe {
            _mm256_storeu_ps(p, v[0]);
            _mm256_storeu_ps(p.add(8), v[1]);
        }
    }

    #[inline(always)]
    unsafe fn stream(self, p: *mut f32, v: Self::V) {
        // SAFETY: `self` proves AVX2; the caller promises 16 writable, aligned values.
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
        // SAFETY: `self` proves AVX2.
        unsafe { [_mm256_mul_ps(a[0], b[0]), _mm256_mul_ps(a[1], b[1])] }
    }

    #[inline(always)]
    fn div(self, a: Self::V, b: Self::V) -> Self::V {
        // SAFETY: `self` proves AVX2.
        unsafe { [_mm256_div_ps(a[0], b[0]), _mm256_div_ps(a[1], b[1])] }
    }

    #[inline(always)]
    fn select_lt(self, a: Self::V, b: Self::V, yes: Self::V, no: Self::V) -> Self::V {
        // SAFETY: `self` proves AVX2.
        unsafe {
            [
                _mm256_blendv_ps(no[0], yes[0], _mm256_cmp_ps::<_CMP_LT_OQ>(a[0], b[0])),
                _mm256_blendv_ps(no[1], yes[1], _mm256_cmp_ps::<_CMP_LT_OQ>(a[1], b[1])),
            ]
        }
    }

    #[inline(always)]
    fn shift_to_exponent(self, x: Self::V) -> Self::V {
        // SAFETY: `self` proves AVX2.
        unsafe {
            [
                _mm256_castsi256_ps(_mm256_slli_epi32::<23>(_mm256_castps_si256(x[0]))),
                _mm256_castsi256_ps(_mm256_slli_epi32::<23>(_mm256_castps_si256(x[1]))),
            ]
        }
    }

    #[inline(always)]
    fn relu(self, x: Self::V) -> Self::V {
        // SAFETY: `self` proves AVX2.
        unsafe {
            let zero = _mm256_setzero_ps();
            x.map(|x| _mm256_andnot_ps(_mm256_cmp_ps::<_CMP_LT_OQ>(x, zero), x))
        }
    }

    #[inline(always)]
    fn max_first(self, first: Self::V, x: Self::V) -> Self::V {
        let half = |first, x| {
            // SAFETY: `self` proves AVX2.
            unsafe {
                let greater = _mm256_cmp_ps::<_CMP_GT_OQ>(x, first);
                let nan = _mm256_cmp_ps::<_CMP_UNORD_Q>(x, x);
                _mm256_blendv_ps(first, x, _mm256_or_ps(greater, nan))
            }
        };
        [half(first[0], x[0]), half(first[1], x[1])]
    }
}
