//! The gradient of max-pooling, sixteen channels at a time.

use super::kernel::window;
use super::spec::MaxPool2dSpec;
use crate::simd::{Kernel, LANES, Simd};

/// One block's plane.
pub(super) struct Plane<'a> {
    pub(super) spec: &'a MaxPool2dSpec,
    /// Height and width of the input, and of the pooled map.
    pub(super) sizes: [[usize; 2]; 2],
    pub(super) input: &'a [f32],
    /// That of the pooled map.
    pub(super) gradient: &'a [f32],
    /// That of the input.
    pub(super) output: &'a mut [f32],
}

impl Kernel for Plane<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let Self { spec, sizes: [[height, width], [out_height, out_width]], .. } = self;
        let (zero, half) = (s.splat(0.0), s.splat(0.5));
        self.output.fill(0.0);
        for oy in 0..out_height {
            let rows = window(oy, 0, spec, height);
            for ox in 0..out_width {
                let columns = window(ox, 1, spec, width);
                // Which of the window's values is kept, as a number: lanes differ.
                let (mut best, mut kept, mut number) = (s.splat(f32::NEG_INFINITY), zero, 0u32);
                for y in rows.clone() {
                    for x in columns.clone() {
                        let value = s.read(self.input, (y * width + x) * LANES);
                        let this = s.splat(number as f32);
                        kept = s.select_lt(best, value, this, kept);
                        kept = select_nan(s, value, this, kept);
                        best = s.max_first(best, value);
                        number += 1;
                    }
                }
                let gradient = s.read(self.gradient, (oy * out_width + ox) * LANES);
                let mut number = 0u32;
                for y in rows.clone() {
                    for x in columns.clone() {
                        let at = (y * width + x) * LANES;
                        let off = s.sub(kept, s.splat(number as f32));
                        // No sum is ever -0, so that +0 changes none.
                        let part = s.select_lt(s.mul(off, off), half, gradient, zero);
                        s.write(self.output, at, s.add(s.read(self.output, at), part));
                        number += 1;
                    }
                }
            }
        }
    }
}

/// `x is NaN ? yes : no`
#[inline(always)]
fn select_nan<S: Simd>(s: S, x: S::V, yes: S::V, no: S::V) -> S::V {
    let below = s.select_lt(s.splat(f32::NEG_INFINITY), x, no, yes);
    s.select_lt(x, s.splat(f32::INFINITY), no, below)
}
