//! WebAssembly's relaxed SIMD, where it fuses: four registers are one vector.

use std::arch::wasm32::*;
use std::hint::black_box;

use super::{Arithmetic, Simd};

/// The level of relaxed SIMD with a fused multiply-add. Only [`Relaxed::detect`] makes one.
///
/// Whether a relaxed multiply-add rounds once or twice is up to the engine, but it is the same every time.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(crate) struct Relaxed(());

impl Relaxed {
    /// The level, if this engine rounds once.
    pub(crate) fn detect() -> Option<Self> {
        // (1 + 2^-12)^2 = 1 + 2^-11 + 2^-24, whose last term is lost when the product is rounded.
        let side = black_box(f32x4_splat(1.0 + 1.0 / 4096.0));
        let minus = black_box(f32x4_splat(-1.0 - 1.0 / 2048.0));
        let fused =
            f32x4_eq(f32x4_relaxed_madd(side, side, minus), f32x4_splat(1.0 / 16_777_216.0));
        i32x4_all_true(fused).then_some(Self(()))
    }

    #[inline(always)]
    fn map(f: impl Fn(usize) -> v128) -> [v128; 4] {
        [f(0), f(1), f(2), f(3)]
    }
}

impl Arithmetic for Relaxed {
    type V = [v128; 4];

    #[inline(always)]
    fn splat(self, x: f32) -> Self::V {
        [f32x4_splat(x); 4]
    }

    #[inline(always)]
    fn add(self, a: Self::V, b: Self::V) -> Self::V {
        Self::map(|i| f32x4_add(a[i], b[i]))
    }

    #[inline(always)]
    fn sub(self, a: Self::V, b: Self::V) -> Self::V {
        Self::map(|i| f32x4_sub(a[i], b[i]))
    }

    #[inline(always)]
    fn fma(self, a: Self::V, b: Self::V, c: Self::V) -> Self::V {
        Self::map(|i| f32x4_relaxed_madd(a[i], b[i], c[i]))
    }
}

impl Simd for Relaxed {
    const TILE_PIXELS: usize = 3;

    #[inline(always)]
    unsafe fn load(self, p: *const f32) -> Self::V {
        // SAFETY: the caller promises 16 readable values; these loads need no alignment.
        Self::map(|i| unsafe { v128_load(p.add(4 * i).cast()) })
    }

    #[inline(always)]
    unsafe fn store(self, p: *mut f32, v: Self::V) {
        for (i, v) in v.into_iter().enumerate() {
            // SAFETY: the caller promises 16 writable values; these stores need no alignment.
            unsafe { v128_store(p.add(4 * i).cast(), v) };
        }
    }

    #[inline(always)]
    unsafe fn stream(self, p: *mut f32, v: Self::V) {
        // SAFETY: the caller promises 16 writable values.
        unsafe { self.store(p, v) }
    }

    #[inline(always)]
    fn fence(self) {}

    #[inline(always)]
    fn prefetch(self, _p: *const f32) {}

    #[inline(always)]
    fn mul(self, a: Self::V, b: Self::V) -> Self::V {
        Self::map(|i| f32x4_mul(a[i], b[i]))
    }

    #[inline(always)]
    fn div(self, a: Self::V, b: Self::V) -> Self::V {
        Self::map(|i| f32x4_div(a[i], b[i]))
    }

    #[inline(always)]
    fn select_lt(self, a: Self::V, b: Self::V, yes: Self::V, no: Self::V) -> Self::V {
        Self::map(|i| v128_bitselect(yes[i], no[i], f32x4_lt(a[i], b[i])))
    }

    #[inline(always)]
    fn shift_to_exponent(self, x: Self::V) -> Self::V {
        Self::map(|i| i32x4_shl(x[i], 23))
    }

    #[inline(always)]
    fn relu(self, x: Self::V) -> Self::V {
        Self::map(|i| v128_andnot(x[i], f32x4_lt(x[i], f32x4_splat(0.0))))
    }

    #[inline(always)]
    fn max_first(self, first: Self::V, x: Self::V) -> Self::V {
        Self::map(|i| {
            let taken = v128_or(f32x4_gt(x[i], first[i]), f32x4_ne(x[i], x[i]));
            v128_bitselect(x[i], first[i], taken)
        })
    }
}
