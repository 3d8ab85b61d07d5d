//! What runs of tiles are transformed and multiplied in: f32 by the contract, or pairs of bfloat16.

use super::transform;
use crate::gemm::{BlockProducts, Sums};
use crate::simd::{Kernel, Simd};

/// The operations of a form of the algorithm: its products, and what everything else is computed by.
pub(super) trait Form: BlockProducts {
    /// The transform of six input values along one axis.
    fn input_1d(self, values: [Sums<Self>; 6]) -> [Sums<Self>; 6];

    /// The transform of six sums to four outputs along one axis.
    fn output_1d(self, sums: [Sums<Self>; 6]) -> [Sums<Self>; 4];

    /// Stores one point of sixteen channels, the first `valid` of which there are.
    ///
    /// # Safety
    /// `out` points to [`BlockProducts::PLACES`] writable places.
    unsafe fn put(self, out: *mut f32, point: Sums<Self>, valid: usize);
}

/// A piece of work in any form.
pub(super) trait FormKernel {
    /// Does the work. Must be `#[inline(always)]`.
    fn run<F: Form>(self, form: F);
}

/// A piece of work in the form that its runner stands for: a level, or the proof of bfloat16.
pub(super) struct InForm<K>(pub(super) K);

impl<K: FormKernel> Kernel for InForm<K> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        self.0.run(s);
    }
}

/// By the contract: f32 throughout.
impl<S: Simd> Form for S {
    #[inline(always)]
    fn input_1d(self, values: [S::V; 6]) -> [S::V; 6] {
        transform::input_1d(self, values)
    }

    #[inline(always)]
    fn output_1d(self, sums: [S::V; 6]) -> [S::V; 4] {
        transform::output_1d(self, sums)
    }

    #[inline(always)]
    unsafe fn put(self, out: *mut f32, point: S::V, _: usize) {
        // SAFETY: promised by the caller.
        unsafe { self.store(out, point) };
    }
}
