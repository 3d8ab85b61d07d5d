//! Output pixels that lie one after the other, where multiply-adds are emulated: by lists of their values that are not
//! zero.

use std::ops::Range;

use crate::buffer::Shared;
use crate::gemm::{CHUNK, Finish, Lists, PackedMatrix, Target, finish_sums};
use crate::layout::BlockedShape;
use crate::simd::{LANES, Simd};

/// Where such pixels go, and what makes them.
pub(super) struct Outputs<'a> {
    pub(super) weights: &'a PackedMatrix,
    pub(super) chunks: Range<usize>,
    pub(super) output: &'a Shared<'a>,
    pub(super) shape: BlockedShape,
    pub(super) residual: Option<&'a [f32]>,
    pub(super) finish: &'a Finish<'a>,
}

impl Outputs<'_> {
    /// Computes as many pixels from the output's `first` on as there are sums, [pixel][32]: value k of pixel p is at
    /// `place(p, k)`.
    ///
    /// # Safety
    /// What `place` names is readable for these pixels and the matrix' k; they are inside the output and this task's
    /// alone.
    #[inline(always)]
    pub(super) unsafe fn compute<S: Simd>(
        &self,
        s: S,
        first: usize,
        place: impl Fn(usize, usize) -> *const f32 + Copy,
        sums: &mut [f32],
        scratch: &mut [f32],
    ) {
        let Self { weights, output, shape, residual, finish, .. } = *self;
        let (pixels, plane) = (sums.len() / CHUNK, shape.plane() * LANES);
        // SAFETY: promised by the caller.
        let mut lists = unsafe { Lists::new(scratch, [pixels, weights.k()], place) };
        for chunk in self.chunks.clone() {
            sums.fill(0.0);
            let channels = shape.channels - chunk * CHUNK;
            // SAFETY: promised by the caller; a chunk has a row of weights for each k.
            unsafe { lists.multiply(s, place, weights.chunk(chunk).as_ptr(), channels, sums) };
            let target = |pixel: usize| {
                let at = 2 * chunk * plane + (first + pixel) * LANES;
                Target {
                    out: output.at(at),
                    plane,
                    residual: residual.map(|r| r[at..].as_ptr()),
                    residual_plane: plane,
                    valid: 1,
                    vectors: 2.min(shape.blocks() - 2 * chunk),
                }
            };
            // SAFETY: one pixel of each block that there is, by the caller's promise.
            unsafe { finish_sums(s, sums, pixels, target, finish, chunk * CHUNK) };
        }
    }
}
