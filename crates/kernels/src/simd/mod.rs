//! The only room with intrinsics: sixteen `f32` lanes and the few operations the contract allows.
//!
//! A kernel is written once, generic over [`Simd`], and stamped out per level by `Level::run`. All
//! operations are IEEE single precision, rounded to nearest even; `fma` is fused on every level.
//! Sixteen lanes is the width of a channel block (see [`crate::layout`]), so one vector is one
//! pixel of one block: one register on AVX-512, two on AVX and AVX2, four on NEON.

#[cfg(target_arch = "x86_64")]
pub(crate) mod avx;
#[cfg(target_arch = "x86_64")]
pub(crate) mod avx2;
#[cfg(target_arch = "x86_64")]
pub(crate) mod avx512;
#[cfg(target_arch = "x86_64")]
mod bf16;
mod doubles;
mod portable;
#[cfg(all(target_arch = "wasm32", target_feature = "relaxed-simd"))]
mod relaxed;
#[cfg(test)]
mod tests;
#[cfg(target_arch = "x86_64")]
mod wide;

#[cfg(target_arch = "x86_64")]
pub(crate) use avx512::Avx512;
#[cfg(target_arch = "x86_64")]
pub use bf16::Bf16;
#[cfg(target_arch = "x86_64")]
pub(crate) use bf16::{PairKernel, Pairs};
#[cfg(test)]
pub(crate) use doubles::array::Array;
pub(crate) use doubles::{Doubles, Pair};
pub(crate) use portable::Portable;
pub use portable::fma;
#[cfg(all(target_arch = "wasm32", target_feature = "relaxed-simd"))]
pub(crate) use relaxed::Relaxed;
#[cfg(test)]
pub(crate) use tests::hard_f32;
#[cfg(target_arch = "x86_64")]
pub(crate) use wide::Wide;

/// Lanes of one vector.
pub(crate) const LANES: usize = 16;

/// The operations that a fixed sequence (a Winograd transform, say) is written in, so that it is
/// written once for vectors and for the scalar reference.
pub(crate) trait Arithmetic: Copy {
    /// One number, or sixteen.
    type V: Copy;

    /// All lanes equal to `x`.
    fn splat(self, x: f32) -> Self::V;
    /// `a + b`
    fn add(self, a: Self::V, b: Self::V) -> Self::V;
    /// `a - b`
    fn sub(self, a: Self::V, b: Self::V) -> Self::V;
    /// `a * b + c`, rounded once.
    fn fma(self, a: Self::V, b: Self::V, c: Self::V) -> Self::V;
    /// `power * b + c`, rounded once, where `power` is a power of two.
    #[inline(always)]
    fn fma_power(self, power: f32, b: Self::V, c: Self::V) -> Self::V {
        self.fma(self.splat(power), b, c)
    }
}

/// One `f32` at a time: what the references compute in.
#[derive(Clone, Copy)]
pub(crate) struct Scalar;

impl Arithmetic for Scalar {
    type V = f32;

    fn splat(self, x: f32) -> f32 {
        x
    }

    fn add(self, a: f32, b: f32) -> f32 {
        a + b
    }

    fn sub(self, a: f32, b: f32) -> f32 {
        a - b
    }

    fn fma(self, a: f32, b: f32, c: f32) -> f32 {
        fma(a, b, c)
    }
}

/// Sixteen lanes of `f32` on one CPU level. A value of an implementing type is proof that the CPU
/// has the instructions.
///
/// Everything is `#[inline(always)]` so that it is compiled inside the caller's target features.
pub(crate) trait Simd: Arithmetic {
    /// How many pixels a register tile of the matrix kernels holds.
    const TILE_PIXELS: usize;
    /// Whether there is no instruction for `fma`, so that long chains are better done in `f64`.
    const EMULATED: bool = false;
    /// What the convolutions' chains are done in where it is emulated.
    #[cfg(target_arch = "x86_64")]
    type Wide: Wide;

    /// # Safety
    /// `p` points to 16 readable values (any alignment).
    unsafe fn load(self, p: *const f32) -> Self::V;
    /// # Safety
    /// `p` points to 16 writable values (any alignment).
    unsafe fn store(self, p: *mut f32, v: Self::V);
    /// Stores past the caches; the writer must call [`Simd::fence`] before it says that it is done.
    ///
    /// # Safety
    /// `p` points to 16 writable values and is aligned to 64 bytes.
    unsafe fn stream(self, p: *mut f32, v: Self::V);
    /// Makes streamed stores visible to other threads.
    fn fence(self);
    /// Asks for the cache line at `p`; any address is allowed.
    fn prefetch(self, p: *const f32);

    /// `a * b`
    fn mul(self, a: Self::V, b: Self::V) -> Self::V;
    /// `a / b`
    fn div(self, a: Self::V, b: Self::V) -> Self::V;
    /// `a < b ? yes : no`, so NaN answers `no`.
    fn select_lt(self, a: Self::V, b: Self::V, yes: Self::V, no: Self::V) -> Self::V;
    /// Moves each lane's bits up by 23: the low bits become the exponent and sign.
    fn shift_to_exponent(self, x: Self::V) -> Self::V;
    /// `x < 0 ? +0 : x`, so -0 and NaN stay.
    fn relu(self, x: Self::V) -> Self::V;
    /// `x > first || x is NaN ? x : first`: the first of equal maxima is kept and NaN goes through.
    fn max_first(self, first: Self::V, x: Self::V) -> Self::V;

    /// The 16 values from `values[at]` on.
    ///
    /// # Panics
    /// There are not that many.
    #[inline(always)]
    fn read(self, values: &[f32], at: usize) -> Self::V {
        let values = &values[at..at + LANES];
        // SAFETY: 16 values, by the slice's length.
        unsafe { self.load(values.as_ptr()) }
    }

    /// Writes 16 values from `values[at]` on.
    ///
    /// # Panics
    /// There is no room for them.
    #[inline(always)]
    fn write(self, values: &mut [f32], at: usize, v: Self::V) {
        let values = &mut values[at..at + LANES];
        // SAFETY: room for 16 values, by the slice's length.
        unsafe { self.store(values.as_mut_ptr(), v) }
    }
}

/// A piece of work that runs on any level.
pub(crate) trait Kernel {
    /// What it answers.
    type Output;
    /// Does the work. Must be `#[inline(always)]`.
    fn run<S: Simd>(self, simd: S) -> Self::Output;
}
