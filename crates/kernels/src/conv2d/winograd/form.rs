//! What runs of tiles are transformed and multiplied in: f32 by the contract, or pairs of bfloat16.

use crate::gemm::accumulate_blocks;
use crate::simd::{Kernel, LANES, Simd};

use super::transform;

/// The operations of a form of the algorithm.
pub(super) trait Form: Copy {
    /// What everything but the products is computed in.
    type S: Simd;
    /// Places of one f32 that sixteen channels of a tile take once they are transformed.
    const STEP: usize;

    fn simd(self) -> Self::S;

    /// The transform of six input values along one axis.
    fn input_1d(self, values: [Vector<Self>; 6]) -> [Vector<Self>; 6];

    /// The transform of six sums to four outputs along one axis.
    fn output_1d(self, sums: [Vector<Self>; 6]) -> [Vector<Self>; 4];

    /// Stores one point of sixteen channels, the first `valid` of which there are.
    ///
    /// # Safety
    /// `out` points to [`Form::STEP`] writable places.
    unsafe fn store(self, out: *mut f32, point: Vector<Self>, valid: usize);

    /// Adds the products of `channels` channels, as [`accumulate_blocks`] does, asking for the next block
    /// as it goes; tiles lie [`Form::STEP`] places apart.
    ///
    /// # Safety
    /// As for [`accumulate_blocks`].
    unsafe fn accumulate<const P: usize, const N: usize>(
        self,
        acc: &mut [[Vector<Self>; N]; P],
        input: *const f32,
        stride: usize,
        channels: usize,
        weights: *const f32,
    );
}

/// Sixteen lanes.
pub(super) type Vector<F> = <<F as Form>::S as crate::simd::Arithmetic>::V;

/// A piece of work in any form.
pub(super) trait FormKernel {
    /// Does the work. Must be `#[inline(always)]`.
    fn run<F: Form>(self, form: F);
}

/// A piece of work in the form that its runner stands for: a level, or the proof of bfloat16.
pub(super) struct InForm<K>(pub(super) K);

/// By the contract: f32 throughout.
#[derive(Clone, Copy)]
struct Exact<S>(S);

impl<K: FormKernel> Kernel for InForm<K> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        self.0.run(Exact(s));
    }
}

impl<S: Simd> Form for Exact<S> {
    type S = S;
    const STEP: usize = LANES;

    #[inline(always)]
    fn simd(self) -> S {
        self.0
    }

    #[inline(always)]
    fn input_1d(self, values: [S::V; 6]) -> [S::V; 6] {
        transform::input_1d(self.0, values)
    }

    #[inline(always)]
    fn output_1d(self, sums: [S::V; 6]) -> [S::V; 4] {
        transform::output_1d(self.0, sums)
    }

    #[inline(always)]
    unsafe fn store(self, out: *mut f32, point: S::V, _: usize) {
        // SAFETY: promised by the caller.
        unsafe { self.0.store(out, point) };
    }

    #[inline(always)]
    unsafe fn accumulate<const P: usize, const N: usize>(
        self,
        acc: &mut [[S::V; N]; P],
        input: *const f32,
        stride: usize,
        channels: usize,
        weights: *const f32,
    ) {
        // SAFETY: promised by the caller.
        unsafe { accumulate_blocks(self.0, acc, input, stride, channels, weights, stride) };
    }
}
