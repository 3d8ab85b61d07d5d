//! Upsampling and adding sixteen channels at a time.

use crate::layout::Blocked;
use crate::simd::{Kernel, LANES, Simd};
use crate::strips::Strip;

/// Some rows of the output. Without `lateral`, they hold the lateral map.
pub(super) struct Rows<'a> {
    pub(super) coarse: Blocked<'a>,
    pub(super) lateral: Option<Blocked<'a>>,
    /// The coarse row of each row.
    pub(super) rows: &'a [usize],
    /// The coarse column of each column.
    pub(super) columns: &'a [usize],
    pub(super) strip: Strip<'a>,
}

impl Kernel for Rows<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let Strip { block, first_row, values } = self.strip;
        let coarse_len = self.coarse.shape().width * LANES;
        let coarse = &self.coarse.data()[block * self.coarse.shape().plane() * LANES..];
        let len = self.columns.len() * LANES;
        for (y, output) in (first_row..).zip(values.chunks_exact_mut(len)) {
            let coarse = &coarse[self.rows[y] * coarse_len..][..coarse_len];
            let lateral = self.lateral.map(|lateral| {
                let plane = block * lateral.shape().plane() * LANES;
                &lateral.data()[plane + y * len..][..len]
            });
            for (x, source) in self.columns.iter().enumerate() {
                let at = x * LANES;
                let fine = match lateral {
                    Some(lateral) => s.read(lateral, at),
                    None => s.read(output, at),
                };
                s.write(output, at, s.add(fine, s.read(coarse, source * LANES)));
            }
        }
    }
}
