//! Max-pooling of sixteen channels at a time.

use super::spec::MaxPool2dSpec;
use crate::layout::Blocked;
use crate::simd::{Kernel, LANES, Simd};
use crate::strips::Strip;

/// Any window.
pub(super) struct RowsAny<'a> {
    pub(super) spec: &'a MaxPool2dSpec,
    pub(super) input: Blocked<'a>,
    pub(super) strip: Strip<'a>,
}

impl Kernel for RowsAny<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let Self { spec, input, strip } = self;
        let shape = input.shape();
        let plane = &input.data()[strip.block * shape.plane() * LANES..];
        let width = output_width(spec, shape.width);
        for (row, output) in strip.values.chunks_exact_mut(width * LANES).enumerate() {
            let rows = window(strip.first_row + row, 0, spec, shape.height);
            for ox in 0..width {
                let columns = window(ox, 1, spec, shape.width);
                let mut best = s.splat(f32::NEG_INFINITY);
                for y in rows.clone() {
                    for x in columns.clone() {
                        best = s.max_first(best, s.read(plane, (y * shape.width + x) * LANES));
                    }
                }
                s.write(output, ox * LANES, best);
            }
        }
    }
}

#[inline(always)]
fn output_width(spec: &MaxPool2dSpec, width: usize) -> usize {
    (width + 2 * spec.padding[1] - spec.kernel[1]) / spec.stride[1] + 1
}

/// The part of a window that lies on the input.
#[inline(always)]
pub(super) fn window(
    at: usize,
    axis: usize,
    spec: &MaxPool2dSpec,
    len: usize,
) -> std::ops::Range<usize> {
    let start = at * spec.stride[axis];
    let padding = spec.padding[axis];
    start.saturating_sub(padding)..(start + spec.kernel[axis] - padding).min(len)
}

/// The 3x3 window with stride 2 and padding 1. The maximum of each row of a window comes first, then
/// that of the three rows: the same value first in reading order wins. Each input row is read once: an
/// odd row is the last of one window and the first of the next.
///
/// Where a window's last row or column lies outside, the one before stands in for it: a value that
/// was seen before never replaces the best.
pub(super) struct Rows3<'a> {
    pub(super) input: Blocked<'a>,
    pub(super) strip: Strip<'a>,
    /// As long as an output row.
    pub(super) scratch: &'a mut [f32],
}

impl Kernel for Rows3<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let Self { input, strip, scratch } = self;
        let shape = input.shape();
        let row_len = shape.width * LANES;
        let plane = &input.data()[strip.block * shape.plane() * LANES..][..shape.height * row_len];
        let row = |y: usize| &plane[y * row_len..][..row_len];

        // The maxima of the row above the next window.
        let above = scratch;
        match (strip.first_row * 2).checked_sub(1) {
            None => above.fill(f32::NEG_INFINITY),
            Some(y) => {
                let mut maxima = ThreeColumns::new(s, row(y));
                for at in (0..above.len()).step_by(LANES) {
                    let best = maxima.next(s);
                    s.write(above, at, best);
                }
            }
        }
        let rows = strip.values.chunks_exact_mut(above.len());
        for (output, middle) in rows.zip((strip.first_row * 2..).step_by(2)) {
            let below = (middle + 1).min(shape.height - 1);
            let mut middle = ThreeColumns::new(s, row(middle));
            let mut below = ThreeColumns::new(s, row(below));
            for at in (0..output.len()).step_by(LANES) {
                let best = s.max_first(s.read(above, at), middle.next(s));
                let last = below.next(s);
                s.write(above, at, last);
                s.write(output, at, s.max_first(best, last));
            }
        }
    }
}

/// The maxima of three columns each, two columns apart, from the left edge of one row.
struct ThreeColumns<'a, S: Simd> {
    row: &'a [f32],
    at: usize,
    /// The last column of one window, the first of the next.
    first: S::V,
}

impl<'a, S: Simd> ThreeColumns<'a, S> {
    #[inline(always)]
    fn new(s: S, row: &'a [f32]) -> Self {
        let first = s.splat(f32::NEG_INFINITY);
        Self { row, at: 0, first }
    }

    #[inline(always)]
    fn next(&mut self, s: S) -> S::V {
        let best = s.max_first(self.first, s.read(self.row, self.at));
        let right = self.at + LANES;
        let right = if right < self.row.len() { right } else { self.at };
        self.first = s.read(self.row, right);
        self.at += 2 * LANES;
        s.max_first(best, self.first)
    }
}
