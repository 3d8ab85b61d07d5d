//! The fast mode's form: transformed inputs and weights are rounded to bfloat16 and multiplied in
//! pairs, sums and output transform stay in f32.
//!
//! The points are 0, 2/3, -2/3, 3/2, -3/2 and infinity: of those tried, they lose least of bfloat16's
//! eight bits (an rms error of 4.0 times a direct convolution's in bfloat16; the canonical points, 5.7
//! times).

use super::form::{Form, FormKernel, InForm};
use crate::gemm::Sums;
use crate::simd::{Arithmetic, PairKernel, Pairs};

const A: f32 = 2.0 / 3.0;
const B: f32 = 1.5;

/// The transform of three taps along one axis; 1 / (2 a^2 (a^2 - b^2)) and its twin are the scales.
pub(in super::super) const WEIGHTS: [[f64; 3]; 6] = {
    let (a, b) = (2.0 / 3.0, 1.5);
    let near = 1.0 / (2.0 * a * a * (a * a - b * b));
    let far = 1.0 / (2.0 * b * b * (b * b - a * a));
    [
        [1.0, 0.0, 0.0],
        [near, near * a, near * a * a],
        [near, -near * a, near * a * a],
        [far, far * b, far * b * b],
        [far, -far * b, far * b * b],
        [0.0, 0.0, 1.0],
    ]
};

/// The transform of six input values along one axis. As a b = 1, a b^2 is b, and a^2 b^2 is 1.
#[inline(always)]
pub(in super::super) fn input_1d<T: Arithmetic>(s: T, d: [T::V; 6]) -> [T::V; 6] {
    let sum = s.splat(-(A * A + B * B));
    let (a, b) = (s.splat(A), s.splat(B));
    let even_near = s.fma(s.splat(-B * B), d[2], d[4]);
    let odd_near = s.fma(s.splat(-B), d[1], s.fma(a, d[3], s.splat(0.0)));
    let even_far = s.fma(s.splat(-A * A), d[2], d[4]);
    let odd_far = s.fma(s.splat(-A), d[1], s.fma(b, d[3], s.splat(0.0)));
    [
        s.fma(sum, d[2], s.add(d[0], d[4])),
        s.add(even_near, odd_near),
        s.sub(even_near, odd_near),
        s.add(even_far, odd_far),
        s.sub(even_far, odd_far),
        s.fma(sum, d[3], s.add(d[1], d[5])),
    ]
}

/// The transform of six sums to four outputs along one axis.
#[inline(always)]
pub(in super::super) fn output_1d<T: Arithmetic>(s: T, m: [T::V; 6]) -> [T::V; 4] {
    let (near, far) = (s.add(m[1], m[2]), s.add(m[3], m[4]));
    let (near_odd, far_odd) = (s.sub(m[1], m[2]), s.sub(m[3], m[4]));
    let zero = s.splat(0.0);
    [
        s.add(s.add(m[0], near), far),
        s.fma(s.splat(A), near_odd, s.fma(s.splat(B), far_odd, zero)),
        s.fma(s.splat(A * A), near, s.fma(s.splat(B * B), far, zero)),
        s.fma(s.splat(A * A * A), near_odd, s.fma(s.splat(B * B * B), far_odd, m[5])),
    ]
}

impl<K: FormKernel> PairKernel for InForm<K> {
    #[inline(always)]
    fn run(self, pairs: Pairs) {
        self.0.run(pairs);
    }
}

/// Products of pairs, the rest in the f32 of the same CPU.
impl Form for Pairs {
    #[inline(always)]
    fn input_1d(self, values: [Sums<Self>; 6]) -> [Sums<Self>; 6] {
        input_1d(self.f32(), values)
    }

    #[inline(always)]
    fn output_1d(self, sums: [Sums<Self>; 6]) -> [Sums<Self>; 4] {
        output_1d(self.f32(), sums)
    }

    #[inline(always)]
    unsafe fn put(self, out: *mut f32, point: Sums<Self>, valid: usize) {
        // SAFETY: promised by the caller.
        unsafe { self.narrow(point, valid, out.cast()) };
    }
}
