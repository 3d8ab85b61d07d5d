//! The products of a run of tiles with the transformed weights, and the output transform.

// See gemm: no iterators or closures over vectors.
#![allow(clippy::needless_range_loop, clippy::manual_map)]

use super::form::{Form, FormKernel};
use super::job::{Image, Job, Run};
use super::transform::POINTS;
use crate::buffer::Shared;
use crate::gemm::{CHUNK, accumulate_blocks, zeros};
use crate::simd::{Arithmetic, LANES, Simd};

/// The outputs of a run of tiles for one chunk of output channels.
pub(super) struct MultiplyAndFinish<'a> {
    pub(super) job: &'a Job<'a>,
    pub(super) run: Run,
    pub(super) chunk: usize,
    pub(super) transformed: &'a Shared<'a>,
    /// [point][tile][32].
    pub(super) sums: &'a mut [f32],
    /// Whether the products are there already.
    pub(super) multiplied: bool,
}

impl FormKernel for MultiplyAndFinish<'_> {
    #[inline(always)]
    fn run<F: Form>(mut self, f: F) {
        let blocks = self.job.weights.out_channels.div_ceil(LANES) - self.chunk * 2;
        if self.multiplied {
            self.finish(f, blocks.min(2));
            if self.job.stream {
                f.simd().fence();
            }
            return;
        }
        // The narrower widths are the widest level's alone.
        match (if F::S::TILE_PIXELS == 14 { self.run.width } else { 0 }, blocks) {
            (14, 1) => self.multiply::<F, 14, 1>(f, 1),
            (12, 1) => self.multiply::<F, 12, 1>(f, 1),
            (9, 1) => self.multiply::<F, 9, 1>(f, 1),
            (14, _) => self.multiply::<F, 14, 2>(f, 2),
            (12, _) => self.multiply::<F, 12, 2>(f, 2),
            (9, _) => self.multiply::<F, 9, 2>(f, 2),
            _ if F::S::TILE_PIXELS == 8 && blocks == 1 => self.multiply::<F, 8, 1>(f, 1),
            _ if F::S::TILE_PIXELS == 8 => self.multiply::<F, 8, 2>(f, 2),
            _ if F::S::TILE_PIXELS == 3 => self.multiply::<F, 3, 1>(f, blocks.min(2)),
            _ => self.multiply::<F, 6, 1>(f, blocks.min(2)),
        }
        self.finish(f, blocks.min(2));
        if self.job.stream {
            f.simd().fence();
        }
    }
}

impl MultiplyAndFinish<'_> {
    #[inline(always)]
    fn multiply<F: Form, const P: usize, const N: usize>(&mut self, f: F, blocks: usize) {
        let s = f.simd();
        let Run { padded, .. } = self.run;
        let channels = self.job.weights.in_channels;
        let stride = self.run.point_stride();
        assert!(
            POINTS * stride <= self.transformed.len() && POINTS * padded * CHUNK <= self.sums.len()
        );
        assert!(padded.is_multiple_of(P) && blocks <= 2);
        for point in 0..POINTS {
            let weights = self.job.weights.matrix(self.chunk, point);
            for first in (0..padded).step_by(P) {
                let input = self.transformed.at(point * stride + first * F::PLACES);
                for vector in (0..blocks).step_by(N) {
                    let mut acc = zeros::<F::S, P, N>(s);
                    let out = &mut self.sums[(point * padded + first) * CHUNK..][..P * CHUNK];
                    // SAFETY: the tile's values lie inside `transformed` and the weights hold
                    // `channels` rows of 32, by the assertions and the packing; nobody writes
                    // `transformed` any more. Pixel p < P and vector + n < 2 lie inside `out`.
                    unsafe {
                        let weights = weights.as_ptr().add(vector * LANES);
                        let block = padded * F::PLACES;
                        accumulate_blocks(f, &mut acc, input, block, channels, weights, block);
                        for p in 0..P {
                            for n in 0..N {
                                let at = p * CHUNK + (vector + n) * LANES;
                                s.store(out.as_mut_ptr().add(at), acc[p][n]);
                            }
                        }
                    }
                }
            }
        }
    }

    #[inline(always)]
    fn finish<F: Form>(&mut self, f: F, blocks: usize) {
        let Run { first, tiles, .. } = self.run;
        let mut images = self.job.images.iter();
        let mut image = images.next();
        let mut next = images.next();
        for column in 0..tiles {
            let tile = first + column;
            while next.is_some_and(|next| next.first_tile <= tile) {
                image = next;
                next = images.next();
            }
            let Some(image) = image else { return };
            for vector in 0..blocks {
                self.finish_tile(f, image, column, vector);
            }
        }
    }

    /// One tile's outputs of one block of channels: along y, then along x.
    #[inline(always)]
    fn finish_tile<F: Form>(&self, f: F, image: &Image<'_>, column: usize, vector: usize) {
        let s = f.simd();
        let Self { job, run, .. } = *self;
        let stride = run.padded * CHUNK;
        let sums = &self.sums[column * CHUNK + vector * LANES..];
        assert!((POINTS - 1) * stride + LANES <= sums.len());
        let mut columns = [[s.splat(0.0); 4]; 6];
        for x in 0..6 {
            let mut points = [s.splat(0.0); 6];
            for y in 0..6 {
                // SAFETY: in bounds by the assertion.
                points[y] = unsafe { s.load(sums.as_ptr().add((6 * y + x) * stride)) };
            }
            columns[x] = f.output_1d(points);
        }
        let c = columns;
        let channel = self.chunk * CHUNK + vector * LANES;
        let bias = match job.bias {
            // SAFETY: the slice holds 16 values: the bias is padded to a whole chunk.
            Some(bias) => Some(unsafe { s.load(bias[channel..][..LANES].as_ptr()) }),
            None => None,
        };
        let shape = image.out_shape;
        let [oy, ox] = image.origin(run.first + column);
        let plane = channel / LANES * shape.plane();
        let (rows, width) = (4.min(shape.height - oy), 4.min(shape.width - ox));
        for y in 0..4 {
            if y >= rows {
                break;
            }
            let outputs = f.output_1d([c[0][y], c[1][y], c[2][y], c[3][y], c[4][y], c[5][y]]);
            for x in 0..4 {
                if x >= width {
                    break;
                }
                let at = (plane + (oy + y) * shape.width + ox + x) * LANES;
                let mut v = outputs[x];
                if let Some(bias) = bias {
                    v = s.add(v, bias);
                }
                if let Some(residual) = image.residual {
                    // SAFETY: the slice holds 16 values.
                    v = s.add(v, unsafe { s.load(residual[at..][..LANES].as_ptr()) });
                }
                if job.relu {
                    v = s.relu(v);
                }
                let out = image.output.at(at);
                // SAFETY: a pixel of a block is 16 values at a multiple of 64 bytes, inside the output;
                // this tile and chunk are this task's alone.
                unsafe { if job.stream { s.stream(out, v) } else { s.store(out, v) } }
            }
        }
    }
}
