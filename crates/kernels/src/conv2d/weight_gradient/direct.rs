//! The direct form: any kernel, stride and padding, on the blocked layout as it lies.

use std::ops::Range;

use super::chunks::{Piece, Sums, pieces, places};
use super::image::Image;
use super::reduce::total;
use super::tile::{Run, Tiles, add_products, cover};
use crate::buffer::{Shared, with_scratch};
use crate::conv2d::spec::Conv2dSpec;
use crate::gemm::CHUNK;
use crate::simd::{Kernel, LANES, Simd};
use crate::{Level, parallel};

/// Output pixels of a chunk, where a row does not have more.
pub(super) const PIXELS: usize = 1024;
/// Output pixels whose gradient, of 32 channels, stays in the first-level cache.
const PIECE: usize = 128;

/// Rows of a chunk.
pub(super) fn chunk_rows(width: usize) -> usize {
    (PIXELS / width.max(1)).max(1)
}

/// What the padding reads.
#[repr(align(64))]
struct Zeros([f32; LANES]);
static ZEROS: Zeros = Zeros([0.0; LANES]);

pub(super) fn weight_gradient(
    level: Level,
    spec: &Conv2dSpec,
    images: &[Image<'_>],
    gradient: &mut [f32],
) {
    let (pieces, chunks) = pieces(images.iter().map(|image| {
        let [height, width] = image.gradient.shape().size();
        [height, chunk_rows(width), (PIECE / width.max(1)).max(1)]
    }));
    let blocks = spec.in_channels.div_ceil(LANES);
    let pairs = spec.out_channels.div_ceil(CHUNK);
    let taps = spec.kernel[0] * spec.kernel[1];
    // The longer side of the weights is split, so that the shorter side's activations are read again.
    let wanted =
        if rayon::current_num_threads() == 1 { 1 } else { 2 * rayon::current_num_threads() };
    let by_pairs = pairs * 2 >= blocks;
    let groups = wanted.min(if by_pairs { pairs } else { blocks });
    let part = |all: usize, group: usize| all * group / groups..all * (group + 1) / groups;
    let gradient = Shared::new(gradient);
    parallel::for_each(groups, |group| {
        let pairs = if by_pairs { part(pairs, group) } else { 0..pairs };
        let blocks = if by_pairs { 0..blocks } else { part(blocks, group) };
        let stride = pairs.len() * taps * blocks.len() * LANES * CHUNK;
        let job = Job { spec, images, pieces: &pieces, chunks, pairs, blocks, stride };
        with_scratch(places(chunks) * stride, |sums| {
            level.run(Products { job: &job, sums });
            level.run(Finish { job: &job, sums, gradient: &gradient });
        });
    });
}

/// A part of the weights: some pairs of blocks of output channels, some blocks of input channels.
struct Job<'a> {
    spec: &'a Conv2dSpec,
    images: &'a [Image<'a>],
    pieces: &'a [Piece],
    chunks: usize,
    pairs: Range<usize>,
    blocks: Range<usize>,
    /// Values of a place: [pair][block][tap][16][32].
    stride: usize,
}

impl Job<'_> {
    fn at(&self, pair: usize, tap: usize, block: usize) -> usize {
        let taps = self.spec.kernel[0] * self.spec.kernel[1];
        let (pair, block) = (pair - self.pairs.start, block - self.blocks.start);
        ((pair * self.blocks.len() + block) * taps + tap) * LANES * CHUNK
    }
}

/// All sums of a part.
struct Products<'a> {
    job: &'a Job<'a>,
    sums: &'a mut [f32],
}

impl Kernel for Products<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let Self { job, sums } = self;
        let places = places(job.chunks);
        assert!(sums.len() >= places * job.stride);
        let [kernel_height, kernel_width] = job.spec.kernel;
        let output_blocks = job.spec.out_channels.div_ceil(LANES);
        for piece in job.pieces {
            for pair in job.pairs.clone() {
                for block in job.blocks.clone() {
                    for ky in 0..kernel_height {
                        for kx in 0..kernel_width {
                            let at = job.at(pair, ky * kernel_width + kx, block);
                            let first = sums[at..][..LANES * CHUNK].as_mut_ptr();
                            let sums = Sums { first, stride: job.stride, places };
                            let mut tap = Tap { job, piece, pair, block, ky, kx, sums };
                            let channels = job.spec.in_channels - block * LANES;
                            let vectors = (output_blocks - 2 * pair).min(2);
                            cover(s, &mut tap, channels, vectors);
                        }
                    }
                }
            }
        }
    }
}

/// One tap of a pair and a block, over a piece.
struct Tap<'a> {
    job: &'a Job<'a>,
    piece: &'a Piece,
    pair: usize,
    block: usize,
    ky: usize,
    kx: usize,
    sums: Sums,
}

impl Tiles for Tap<'_> {
    #[inline(always)]
    unsafe fn tile<S: Simd, const P: usize, const N: usize>(
        &mut self,
        s: S,
        channel: usize,
        vector: usize,
    ) {
        let Self { job, piece, ky, kx, .. } = *self;
        let Conv2dSpec { kernel, stride, padding, .. } = *job.spec;
        let image = &job.images[piece.image];
        let [height, width] = image.input.shape().size();
        let shape = image.gradient.shape();
        let input = image.input.plane(self.block);
        let plane = shape.plane() * LANES;
        let all = image.gradient.data();
        let gradient = &all[(2 * self.pair + vector) * plane..];
        // Every vector's last pixel is inside.
        assert!((N - 1) * plane + shape.height * shape.width * LANES <= gradient.len());
        assert!(piece.positions.end <= shape.height && channel + P <= LANES);
        let sums = Sums {
            first: self.sums.first.wrapping_add(channel * CHUNK + vector * LANES),
            ..self.sums
        };
        // SAFETY: the caller chose `P` channels and `N` vectors that exist, so that the rows lie in the tap's sums,
        // which this task alone has; a piece that does not start chains follows the one that stored them.
        let mut acc = unsafe { sums.open::<S, P, N>(s, piece) };
        let row = |y: usize| gradient[y * shape.width * LANES..].as_ptr();
        if kernel == [1, 1] && stride == [1, 1] && padding == [0, 0] {
            let first = piece.positions.start * shape.width;
            let count = piece.positions.len() * shape.width;
            assert!((first + count) * LANES <= input.len());
            let run = Run {
                input: input[first * LANES + channel..].as_ptr(),
                input_step: LANES,
                gradient: row(piece.positions.start),
                gradient_step: LANES,
                vector: plane,
                count,
            };
            // SAFETY: `count` pixels from `first` on are inside both, by the assertions.
            unsafe { add_products::<S, P, N>(s, &mut acc, &run) };
        } else {
            // The columns whose tap is inside the input.
            let left = padding[1].saturating_sub(kx).div_ceil(stride[1]).min(shape.width);
            let right = (width + padding[1]).saturating_sub(kx).div_ceil(stride[1]);
            let right = right.clamp(left, shape.width);
            for oy in piece.positions.clone() {
                let y = (oy * stride[0] + ky).checked_sub(padding[0]).filter(|y| *y < height);
                let (left, right) = if y.is_some() { (left, right) } else { (0, 0) };
                let run = |from: usize, to: usize| {
                    let inside = y.filter(|_| from == left && to == right && from < to);
                    let (input, input_step) = match inside {
                        Some(y) => {
                            let x = from * stride[1] + kx - padding[1];
                            let last = (to - 1) * stride[1] + kx - padding[1];
                            assert!(last < width);
                            (input[(y * width + x) * LANES + channel..].as_ptr(), stride[1] * LANES)
                        }
                        None => (ZEROS.0.as_ptr(), 0),
                    };
                    let gradient = row(oy).wrapping_add(from * LANES);
                    let count = to - from;
                    Run { input, input_step, gradient, gradient_step: LANES, vector: plane, count }
                };
                for (from, to) in [(0, left), (left, right), (right, shape.width)] {
                    if from < to {
                        // SAFETY: the gradient's row is inside by the assertions; so are the input's columns, or
                        // sixteen zeros are read again and again.
                        unsafe { add_products::<S, P, N>(s, &mut acc, &run(from, to)) };
                    }
                }
            }
        }
        // SAFETY: as for `open`.
        unsafe { sums.close(s, piece, acc) };
    }
}

/// Adds what the places hold and puts it where the weights lie.
struct Finish<'a> {
    job: &'a Job<'a>,
    sums: &'a [f32],
    gradient: &'a Shared<'a>,
}

impl Kernel for Finish<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, _: S) {
        let Self { job, sums, gradient } = self;
        let Conv2dSpec { in_channels, out_channels, kernel, .. } = *job.spec;
        let taps = kernel[0] * kernel[1];
        for pair in job.pairs.clone() {
            for block in job.blocks.clone() {
                let channels = (in_channels - block * LANES).min(LANES);
                for vector in 0..2 {
                    let first = pair * CHUNK + vector * LANES;
                    let outputs = out_channels.saturating_sub(first).min(LANES);
                    for tap in 0..taps {
                        let at = job.at(pair, tap, block) + vector * LANES;
                        let mut rows = [[0.0; LANES]; LANES];
                        if outputs > 0 {
                            for (channel, row) in rows.iter_mut().enumerate().take(channels) {
                                *row = total(sums, job.stride, job.chunks, at + channel * CHUNK);
                            }
                        }
                        for output in 0..outputs {
                            let to = ((first + output) * in_channels + block * LANES) * taps + tap;
                            for (channel, row) in rows.iter().enumerate().take(channels) {
                                // SAFETY: each task has its own weights.
                                unsafe { *gradient.at(to + channel * taps) = row[output] };
                            }
                        }
                    }
                }
            }
        }
    }
}
