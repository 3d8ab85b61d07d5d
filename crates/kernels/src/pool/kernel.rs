//! Max-pooling of sixteen channels at a time.

use super::MaxPool2dSpec;
use crate::buffer::with_scratch;
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
fn window(at: usize, axis: usize, spec: &MaxPool2dSpec, len: usize) -> std::ops::Range<usize> {
    let start = at * spec.stride[axis];
    let padding = spec.padding[axis];
    start.saturating_sub(padding)..(start + spec.kernel[axis] - padding).min(len)
}

/// The 3x3 window with stride 2 and padding 1. The maximum of each row of a window comes first, then
/// that of the three rows: the same value first in reading order wins. Each input row is read once: an
/// odd row is the last of one window and the first of the next.
pub(super) struct Rows3<'a> {
    pub(super) input: Blocked<'a>,
    pub(super) strip: Strip<'a>,
}

impl Kernel for Rows3<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let Self { input, strip } = self;
        let shape = input.shape();
        let row_len = shape.width * LANES;
        let plane = &input.data()[strip.block * shape.plane() * LANES..][..shape.height * row_len];
        let width = shape.width.div_ceil(2);
        with_scratch(width * LANES, |above| {
            match (strip.first_row * 2).checked_sub(1) {
                None => above.fill(f32::NEG_INFINITY),
                Some(y) => {
                    let row = &plane[y * row_len..][..row_len];
                    columns(s, [row], |ox, [best]| s.write(above, ox * LANES, best));
                }
            }
            for (row, output) in strip.values.chunks_exact_mut(width * LANES).enumerate() {
                let y = (strip.first_row + row) * 2;
                let middle = &plane[y * row_len..][..row_len];
                match plane.get((y + 1) * row_len..(y + 2) * row_len) {
                    Some(below) => columns(s, [middle, below], |ox, [middle, below]| {
                        let first = s.read(above, ox * LANES);
                        let best = s.max_first(s.max_first(first, middle), below);
                        s.write(output, ox * LANES, best);
                        s.write(above, ox * LANES, below);
                    }),
                    None => columns(s, [middle], |ox, [middle]| {
                        let first = s.read(above, ox * LANES);
                        s.write(output, ox * LANES, s.max_first(first, middle));
                    }),
                }
            }
        });
    }
}

/// The maximum of each three columns of some rows, with stride 2 and padding 1.
#[inline(always)]
fn columns<S: Simd, const ROWS: usize>(
    s: S,
    rows: [&[f32]; ROWS],
    mut write: impl FnMut(usize, [S::V; ROWS]),
) {
    let lowest = s.splat(f32::NEG_INFINITY);
    let width = rows[0].len() / LANES;
    let mut left = [lowest; ROWS];
    for ox in 0..width / 2 {
        let mut best = left;
        for i in 0..ROWS {
            best[i] = s.max_first(best[i], s.read(rows[i], 2 * ox * LANES));
            left[i] = s.read(rows[i], (2 * ox + 1) * LANES);
            best[i] = s.max_first(best[i], left[i]);
        }
        write(ox, best);
    }
    if width % 2 == 1 {
        for i in 0..ROWS {
            left[i] = s.max_first(left[i], s.read(rows[i], (width - 1) * LANES));
        }
        write(width / 2, left);
    }
}
