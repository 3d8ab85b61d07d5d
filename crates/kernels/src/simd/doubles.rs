//! Two `f64` at a time, for chains of fused multiply-adds on CPUs that have no such instruction.

/// Two lanes of `f64`. All instructions are such that the target always has them.
pub(crate) trait Doubles: Copy {
    /// Both lanes equal to `x`.
    fn splat(x: f64) -> Self;
    /// Two `f32` as they are.
    ///
    /// # Safety
    /// `p` points to two readable values.
    unsafe fn widened(p: *const f32) -> Self;
    /// `self * b + c`, rounded twice: the product of two `f32` is exact.
    fn mul_add(self, b: Self, c: Self) -> Self;
    /// Adds 2^28 to the bits of each lane.
    fn add_half(self) -> Self;
    /// The lanes with their last 29 bits cleared.
    fn cut(self) -> Self;
    /// Marks in `doubt` the lanes whose last 29 bits are zero, where `cut` is what is left without them.
    fn mark(self, cut: Self, doubt: Self) -> Self;
    /// Adds to the bits of each lane what makes [`Doubles::cut`] round it, a middle to even: 2^28 - 1 and the last bit that
    /// is kept.
    fn add_half_to_even(self) -> Self;
    /// Of the marks, those of lanes that are not equal to `b`'s.
    fn unequal(self, b: Self, marks: Self) -> Self;
    /// Of the marks, those of lanes whose size is below `limit`.
    fn below(self, limit: f64, marks: Self) -> Self;
    /// The marks of both.
    fn or(self, b: Self) -> Self;
    /// Whether a lane was marked.
    fn is_marked(self) -> bool;
    /// The lanes.
    fn to_array(self) -> [f64; 2];
}

#[cfg(target_arch = "x86_64")]
pub(crate) use sse2::Pair;
#[cfg(target_arch = "x86_64")]
mod sse2 {
    use std::arch::x86_64::*;

    use super::{Doubles, LAST};

    /// One register of SSE2.
    #[derive(Clone, Copy)]
    pub(crate) struct Pair(__m128d);

    // SAFETY of all blocks below: every x86-64 CPU has SSE2.
    impl Doubles for Pair {
        #[inline(always)]
        fn splat(x: f64) -> Self {
            // SAFETY: SSE2.
            Self(unsafe { _mm_set1_pd(x) })
        }

        #[inline(always)]
        unsafe fn widened(p: *const f32) -> Self {
            // SAFETY: SSE2; the caller promises eight readable bytes.
            Self(unsafe { _mm_cvtps_pd(_mm_castsi128_ps(_mm_loadl_epi64(p.cast()))) })
        }

        #[inline(always)]
        fn mul_add(self, b: Self, c: Self) -> Self {
            // SAFETY: SSE2.
            Self(unsafe { _mm_add_pd(_mm_mul_pd(self.0, b.0), c.0) })
        }

        #[inline(always)]
        fn add_half(self) -> Self {
            // SAFETY: SSE2.
            Self(unsafe {
                let half = _mm_set1_epi64x(1 << 28);
                _mm_castsi128_pd(_mm_add_epi64(_mm_castpd_si128(self.0), half))
            })
        }

        #[inline(always)]
        fn cut(self) -> Self {
            // SAFETY: SSE2.
            Self(unsafe {
                let kept = _mm_set1_epi64x(!LAST as i64);
                _mm_castsi128_pd(_mm_and_si128(_mm_castpd_si128(self.0), kept))
            })
        }

        #[inline(always)]
        fn mark(self, cut: Self, doubt: Self) -> Self {
            // The upper halves of the lanes are always equal; only the lower ones tell.
            // SAFETY: SSE2.
            Self(unsafe {
                let [lanes, cut] = [_mm_castpd_si128(self.0), _mm_castpd_si128(cut.0)];
                let equal = _mm_cmpeq_epi32(lanes, cut);
                _mm_castsi128_pd(_mm_or_si128(_mm_castpd_si128(doubt.0), equal))
            })
        }

        #[inline(always)]
        fn add_half_to_even(self) -> Self {
            // SAFETY: SSE2.
            Self(unsafe {
                let bits = _mm_castpd_si128(self.0);
                let last = _mm_and_si128(_mm_srli_epi64::<29>(bits), _mm_set1_epi64x(1));
                let half = _mm_add_epi64(last, _mm_set1_epi64x((1 << 28) - 1));
                _mm_castsi128_pd(_mm_add_epi64(bits, half))
            })
        }

        #[inline(always)]
        fn unequal(self, b: Self, marks: Self) -> Self {
            // SAFETY: SSE2.
            Self(unsafe { _mm_and_pd(_mm_cmpneq_pd(self.0, b.0), marks.0) })
        }

        #[inline(always)]
        fn below(self, limit: f64, marks: Self) -> Self {
            // SAFETY: SSE2.
            Self(unsafe {
                let size = _mm_andnot_pd(_mm_set1_pd(-0.0), self.0);
                _mm_and_pd(_mm_cmplt_pd(size, _mm_set1_pd(limit)), marks.0)
            })
        }

        #[inline(always)]
        fn or(self, b: Self) -> Self {
            // SAFETY: SSE2.
            Self(unsafe { _mm_or_pd(self.0, b.0) })
        }

        #[inline(always)]
        fn is_marked(self) -> bool {
            // SAFETY: SSE2.
            unsafe { _mm_movemask_ps(_mm_castpd_ps(self.0)) & 0b0101 != 0 }
        }

        #[inline(always)]
        fn to_array(self) -> [f64; 2] {
            let mut lanes = [0.0; 2];
            // SAFETY: SSE2; the array has room for both lanes.
            unsafe { _mm_storeu_pd(lanes.as_mut_ptr(), self.0) };
            lanes
        }
    }
}

#[cfg(all(target_arch = "wasm32", target_feature = "simd128"))]
pub(crate) use simd128::Pair;
#[cfg(all(target_arch = "wasm32", target_feature = "simd128"))]
mod simd128 {
    use std::arch::wasm32::*;

    use super::{Doubles, LAST};

    /// One vector.
    #[derive(Clone, Copy)]
    pub(crate) struct Pair(v128);

    impl Doubles for Pair {
        #[inline(always)]
        fn splat(x: f64) -> Self {
            Self(f64x2_splat(x))
        }

        #[inline(always)]
        unsafe fn widened(p: *const f32) -> Self {
            // SAFETY: the caller promises eight readable bytes.
            Self(f64x2_promote_low_f32x4(unsafe { v128_load64_zero(p.cast()) }))
        }

        #[inline(always)]
        fn mul_add(self, b: Self, c: Self) -> Self {
            Self(f64x2_add(f64x2_mul(self.0, b.0), c.0))
        }

        #[inline(always)]
        fn add_half(self) -> Self {
            Self(i64x2_add(self.0, i64x2_splat(1 << 28)))
        }

        #[inline(always)]
        fn cut(self) -> Self {
            Self(v128_and(self.0, i64x2_splat(!LAST as i64)))
        }

        #[inline(always)]
        fn mark(self, cut: Self, doubt: Self) -> Self {
            // The upper halves of the lanes are always equal; only the lower ones tell.
            Self(v128_or(doubt.0, i32x4_eq(self.0, cut.0)))
        }

        #[inline(always)]
        fn add_half_to_even(self) -> Self {
            let last = v128_and(u64x2_shr(self.0, 29), i64x2_splat(1));
            Self(i64x2_add(self.0, i64x2_add(last, i64x2_splat((1 << 28) - 1))))
        }

        #[inline(always)]
        fn unequal(self, b: Self, marks: Self) -> Self {
            Self(v128_and(f64x2_ne(self.0, b.0), marks.0))
        }

        #[inline(always)]
        fn below(self, limit: f64, marks: Self) -> Self {
            Self(v128_and(f64x2_lt(f64x2_abs(self.0), f64x2_splat(limit)), marks.0))
        }

        #[inline(always)]
        fn or(self, b: Self) -> Self {
            Self(v128_or(self.0, b.0))
        }

        #[inline(always)]
        fn is_marked(self) -> bool {
            i32x4_bitmask(self.0) & 0b0101 != 0
        }

        #[inline(always)]
        fn to_array(self) -> [f64; 2] {
            [f64x2_extract_lane::<0>(self.0), f64x2_extract_lane::<1>(self.0)]
        }
    }
}

/// The last 29 bits of an `f64`, which an `f32` does not have.
const LAST: u64 = (1 << 29) - 1;

#[cfg(not(any(
    target_arch = "x86_64",
    all(target_arch = "wasm32", target_feature = "simd128")
)))]
pub(crate) use array::Array as Pair;
#[cfg(any(
    test,
    not(any(target_arch = "x86_64", all(target_arch = "wasm32", target_feature = "simd128")))
))]
pub(crate) mod array {
    use super::{Doubles, LAST};

    /// Plain Rust.
    #[derive(Clone, Copy)]
    pub(crate) struct Array([f64; 2]);

    impl Array {
        #[inline(always)]
        fn marks(f: impl Fn(usize) -> bool) -> Self {
            Self([f(0), f(1)].map(|marked| f64::from_bits(u64::from(marked))))
        }

        #[inline(always)]
        fn map_bits(self, f: impl Fn(u64) -> u64) -> Self {
            Self(self.0.map(|lane| f64::from_bits(f(lane.to_bits()))))
        }
    }

    impl Doubles for Array {
        #[inline(always)]
        fn splat(x: f64) -> Self {
            Self([x; 2])
        }

        #[inline(always)]
        unsafe fn widened(p: *const f32) -> Self {
            // SAFETY: the caller promises two readable values; arrays of f32 need no more alignment.
            Self(unsafe { p.cast::<[f32; 2]>().read() }.map(f64::from))
        }

        #[inline(always)]
        fn mul_add(self, b: Self, c: Self) -> Self {
            Self([self.0[0] * b.0[0] + c.0[0], self.0[1] * b.0[1] + c.0[1]])
        }

        #[inline(always)]
        fn add_half(self) -> Self {
            self.map_bits(|bits| bits.wrapping_add(1 << 28))
        }

        #[inline(always)]
        fn cut(self) -> Self {
            self.map_bits(|bits| bits & !LAST)
        }

        #[inline(always)]
        fn mark(self, cut: Self, doubt: Self) -> Self {
            doubt.or(Self::marks(|lane| self.0[lane].to_bits() == cut.0[lane].to_bits()))
        }

        #[inline(always)]
        fn add_half_to_even(self) -> Self {
            self.map_bits(|bits| bits.wrapping_add((1 << 28) - 1 + (bits >> 29 & 1)))
        }

        #[inline(always)]
        fn unequal(self, b: Self, marks: Self) -> Self {
            Self::marks(|lane| self.0[lane] != b.0[lane] && marks.0[lane].to_bits() != 0)
        }

        #[inline(always)]
        fn below(self, limit: f64, marks: Self) -> Self {
            Self::marks(|lane| self.0[lane].abs() < limit && marks.0[lane].to_bits() != 0)
        }

        #[inline(always)]
        fn or(self, b: Self) -> Self {
            let mut both = self;
            for lane in 0..2 {
                both.0[lane] = f64::from_bits(self.0[lane].to_bits() | b.0[lane].to_bits());
            }
            both
        }

        #[inline(always)]
        fn is_marked(self) -> bool {
            self.0.iter().any(|lane| lane.to_bits() != 0)
        }

        #[inline(always)]
        fn to_array(self) -> [f64; 2] {
            self.0
        }
    }
}
