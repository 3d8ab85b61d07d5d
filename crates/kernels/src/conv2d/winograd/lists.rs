//! The products of a run of tiles where multiply-adds are emulated: a point's values are listed once for all chunks of
//! output channels.

use std::ops::Range;

use super::form::{Form, FormKernel};
use super::job::{Job, Run};
use super::transform::POINTS;
use crate::buffer::Shared;
use crate::gemm::{CHUNK, Lists, lists_len};
use crate::simd::{LANES, Simd};

/// The sums of a run of tiles for some chunks of output channels.
pub(super) struct MultiplyByLists<'a> {
    pub(super) job: &'a Job<'a>,
    pub(super) run: Run,
    pub(super) chunks: Range<usize>,
    pub(super) transformed: &'a Shared<'a>,
    /// [chunk][point][tile][32].
    pub(super) sums: &'a mut [f32],
    /// Room for a point's lists.
    pub(super) scratch: &'a mut [f32],
}

/// What scratch the lists need.
pub(super) fn scratch_len(job: &Job<'_>, run: Run) -> usize {
    lists_len(run.tiles, job.weights.in_channels)
}

impl FormKernel for MultiplyByLists<'_> {
    #[inline(always)]
    fn run<F: Form>(self, f: F) {
        if !F::S::EMULATED {
            return;
        }
        let Self { job, run, chunks, transformed, sums, scratch } = self;
        let (stride, channels) = (run.point_stride(), job.weights.in_channels);
        assert!(POINTS * stride <= transformed.len() && F::PLACES == LANES);
        for point in 0..POINTS {
            let input = transformed.at(point * stride).cast_const();
            let place = |tile: usize, k: usize| {
                input.wrapping_add((k / LANES * run.padded + tile) * LANES + k % LANES)
            };
            // SAFETY: all channels of the run's tiles are inside `transformed`, by the assertion, and nobody writes it any
            // more.
            let mut lists = unsafe { Lists::new(scratch, [run.tiles, channels], place) };
            for chunk in chunks.clone() {
                let at = (chunk - chunks.start) * run.sums_len() + point * run.padded * CHUNK;
                let sums = &mut sums[at..][..run.tiles * CHUNK];
                sums.fill(0.0);
                let weights = job.weights.matrix(chunk, point);
                let real = job.weights.out_channels - chunk * CHUNK;
                // SAFETY: as above; the matrix has a row of weights for each channel.
                unsafe { lists.multiply(f.simd(), place, weights.as_ptr(), real, sums) };
            }
        }
    }
}
