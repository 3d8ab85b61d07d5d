//! The gradient of the coarse map, sixteen channels at a time.

use std::ops::Range;

use crate::layout::Blocked;
use crate::simd::{Kernel, LANES, Simd};
use crate::strips::Strip;

/// Some rows of the coarse map's gradient.
pub(super) struct CoarseRows<'a> {
    /// That of the output.
    pub(super) gradient: Blocked<'a>,
    /// The output rows that read each coarse row.
    pub(super) rows: &'a [Range<usize>],
    /// The output columns that read each coarse column.
    pub(super) columns: &'a [Range<usize>],
    pub(super) strip: Strip<'a>,
}

impl Kernel for CoarseRows<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let Strip { block, first_row, values } = self.strip;
        let width = self.gradient.shape().width;
        let plane = &self.gradient.data()[block * self.gradient.shape().plane() * LANES..];
        let len = self.columns.len() * LANES;
        for (y, output) in (first_row..).zip(values.chunks_exact_mut(len)) {
            for (x, columns) in self.columns.iter().enumerate() {
                let mut sum = s.splat(0.0);
                for row in self.rows[y].clone() {
                    for column in columns.clone() {
                        sum = s.add(sum, s.read(plane, (row * width + column) * LANES));
                    }
                }
                s.write(output, x * LANES, sum);
            }
        }
    }
}
