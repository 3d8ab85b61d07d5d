//! Winograd's form: the products of transformed inputs and transformed gradients at 36 points.

// See gemm: no iterators or closures over vectors.
#![allow(clippy::needless_range_loop)]

use std::ops::Range;

use super::Image;
use super::chunks::{Piece, Sums, pieces, places};
use super::reduce::total;
use super::tile::{Run, Tiles, add_products, cover};
use crate::buffer::{Shared, with_scratch};
use crate::conv2d::spec::Conv2dSpec;
use crate::conv2d::winograd::{POINTS, Patch, gradient_1d, transform_exact, weight_gradients_2d};
use crate::gemm::CHUNK;
use crate::simd::{Kernel, LANES, Simd};
use crate::{Level, parallel};

/// Tiles of a chunk.
pub(super) const TILES: usize = 256;
/// Values of sums in one place that stay in a shared third-level cache: 10 MiB.
const SUMS: usize = 10 * 256 * 1024;
/// Values of transformed tiles likewise.
const TRANSFORMED: usize = 4 * 1024 * 1024;
/// Tiles that a task transforms.
const GROUP: usize = 16;

pub(super) fn weight_gradient(
    level: Level,
    spec: &Conv2dSpec,
    images: &[Image<'_>],
    gradient: &mut [f32],
) {
    let all_pairs = spec.out_channels.div_ceil(CHUNK);
    let in_blocks = spec.in_channels.div_ceil(LANES);
    let per_pair = POINTS * in_blocks * LANES * CHUNK;
    let groups = (all_pairs * per_pair).div_ceil(SUMS).min(all_pairs);
    let most_pairs = all_pairs.div_ceil(groups);
    let per_tile = POINTS * (in_blocks * LANES + most_pairs * CHUNK);
    let width = (TRANSFORMED / per_tile / GROUP * GROUP).clamp(GROUP, TILES);
    let (pieces, chunks) = pieces(images.iter().map(|image| {
        let [height, width_of_image] = image.gradient.shape().size();
        [height.div_ceil(4) * width_of_image.div_ceil(4), TILES, width]
    }));
    let gradient = Shared::new(gradient);
    for first in (0..all_pairs).step_by(most_pairs) {
        let pairs = first..all_pairs.min(first + most_pairs);
        let stride = pairs.len() * per_pair;
        with_scratch(places(chunks) * stride, |sums| {
            let shared = Shared::new(sums);
            let mut rest = &pieces[..];
            while !rest.is_empty() {
                let mut batch = Batch::take(rest, width);
                rest = &rest[batch.pieces.len()..];
                batch.in_blocks = in_blocks;
                batch.pairs = pairs.len();
                let job = Job { level, spec, images, batch, pairs: pairs.clone(), chunks, stride };
                job.run(&shared);
            }
            // SAFETY: no task is left that writes.
            let sums = unsafe { shared.part(0, shared.len()) };
            parallel::for_each(pairs.len() * in_blocks, |task| {
                let (pair, block) = (task / in_blocks, task % in_blocks);
                level.run(Finish {
                    spec,
                    sums,
                    stride,
                    chunks,
                    pairs: pairs.clone(),
                    pair,
                    block,
                    gradient: &gradient,
                });
            });
        });
    }
}

/// Pieces that are transformed, then multiplied together. Transformed inputs lie as [point][block][tile][16],
/// gradients as [point][pair][tile][32].
#[derive(Clone)]
struct Batch<'a> {
    pieces: &'a [Piece],
    tiles: usize,
    in_blocks: usize,
    pairs: usize,
}

impl<'a> Batch<'a> {
    /// As many of the pieces as have up to `width` tiles together, and one at least.
    fn take(pieces: &'a [Piece], width: usize) -> Self {
        let (mut tiles, mut count) = (0, 0);
        for piece in pieces {
            if count > 0 && tiles + piece.positions.len() > width {
                break;
            }
            tiles += piece.positions.len();
            count += 1;
        }
        Self { pieces: &pieces[..count], tiles, in_blocks: 0, pairs: 0 }
    }

    /// Values from one point's transformed inputs, or gradients, to the next: an odd number of cache lines.
    fn strides(&self) -> [usize; 2] {
        [self.in_blocks * self.tiles, 2 * self.pairs * self.tiles].map(|lines| (lines | 1) * LANES)
    }
}

/// A batch's work for some pairs of blocks of output channels.
struct Job<'a> {
    level: Level,
    spec: &'a Conv2dSpec,
    images: &'a [Image<'a>],
    batch: Batch<'a>,
    pairs: Range<usize>,
    chunks: usize,
    /// Values of a place: [point][pair][input channel][32].
    stride: usize,
}

impl Job<'_> {
    fn run(&self, sums: &Shared<'_>) {
        let batch = &self.batch;
        let [inputs, gradients] = batch.strides().map(|stride| POINTS * stride);
        with_scratch(inputs + gradients, |scratch| {
            let (inputs, gradients) = scratch.split_at_mut(inputs);
            let (inputs, gradients) = (Shared::new(inputs), Shared::new(gradients));
            let groups = batch.tiles.div_ceil(GROUP);
            let out_blocks = self.spec.out_channels.div_ceil(LANES);
            let first_block = 2 * self.pairs.start;
            let blocks = out_blocks.min(2 * self.pairs.end) - first_block;
            parallel::for_each((batch.in_blocks + blocks) * groups, |task| {
                let (block, group) = (task / groups, task % groups);
                let columns = group * GROUP..batch.tiles.min((group + 1) * GROUP);
                match block.checked_sub(batch.in_blocks) {
                    None => self.level.run(Inputs { job: self, block, columns, out: &inputs }),
                    Some(block) => {
                        self.level.run(Gradients { job: self, block, columns, out: &gradients })
                    }
                }
            });
            // Points, and where there are many threads, parts of them.
            let parts = (4 * rayon::current_num_threads()).div_ceil(POINTS).min(batch.pairs);
            parallel::for_each(POINTS * parts, |task| {
                let (point, part) = (task / parts, task % parts);
                let pairs = batch.pairs * part / parts..batch.pairs * (part + 1) / parts;
                let (inputs, gradients) = (&inputs, &gradients);
                self.level.run(Products { job: self, point, pairs, inputs, gradients, sums });
            });
        });
    }
}

/// Runs `$body` for each column's image and tile.
macro_rules! for_each_tile {
    ($job:expr, $columns:expr, |$image:ident, $origin:ident, $column:ident| $body:block) => {
        let mut before = 0;
        for piece in $job.batch.pieces {
            let own = before..before + piece.positions.len();
            before = own.end;
            let $image = &$job.images[piece.image];
            let across = $image.gradient.shape().width.div_ceil(4);
            for $column in own.start.max($columns.start)..own.end.min($columns.end) {
                let tile = piece.positions.start + $column - own.start;
                let $origin = [4 * (tile / across), 4 * (tile % across)];
                $body
            }
        }
    };
}

/// The transform of some tiles' inputs, of one block.
struct Inputs<'a> {
    job: &'a Job<'a>,
    block: usize,
    columns: Range<usize>,
    out: &'a Shared<'a>,
}

impl Kernel for Inputs<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let Self { job, block, columns, out } = self;
        let [stride, _] = job.batch.strides();
        let mut patch = Patch::new();
        for_each_tile!(job, columns, |image, origin, column| {
            let size = image.input.shape().size();
            let plane = image.input.plane(block);
            let at = (block * job.batch.tiles + column) * LANES;
            assert!((POINTS - 1) * stride + at + LANES <= out.len());
            // SAFETY: in bounds by the assertion; this tile is this task's alone.
            unsafe {
                let out = out.at(at);
                transform_exact(s, plane, size, origin, job.spec.padding, &mut patch, out, stride);
            }
        });
    }
}

/// The transform of some tiles' gradients, of one block.
struct Gradients<'a> {
    job: &'a Job<'a>,
    /// From the first pair's on.
    block: usize,
    columns: Range<usize>,
    out: &'a Shared<'a>,
}

impl Kernel for Gradients<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let Self { job, block, columns, out } = self;
        let [_, stride] = job.batch.strides();
        for_each_tile!(job, columns, |image, origin, column| {
            let [height, width] = image.gradient.shape().size();
            let plane = image.gradient.plane(2 * job.pairs.start + block);
            let ([oy, ox], zero) = (origin, s.splat(0.0));
            let mut columns = [[zero; 6]; 4];
            for x in 0..4 {
                let mut values = [zero; 4];
                for y in 0..4 {
                    if oy + y < height && ox + x < width {
                        values[y] = s.read(plane, ((oy + y) * width + ox + x) * LANES);
                    }
                }
                columns[x] = gradient_1d(s, values);
            }
            let c = columns;
            let at = ((block / 2) * job.batch.tiles + column) * CHUNK + block % 2 * LANES;
            assert!((POINTS - 1) * stride + at + LANES <= out.len());
            let out = out.at(at);
            for y in 0..6 {
                let points = gradient_1d(s, [c[0][y], c[1][y], c[2][y], c[3][y]]);
                for x in 0..6 {
                    // SAFETY: in bounds by the assertion; this tile's half is this task's alone.
                    unsafe { s.store(out.wrapping_add((6 * y + x) * stride), points[x]) };
                }
            }
        });
    }
}

/// All sums of one point and some pairs, over a batch.
struct Products<'a> {
    job: &'a Job<'a>,
    point: usize,
    /// From the job's first on.
    pairs: Range<usize>,
    inputs: &'a Shared<'a>,
    gradients: &'a Shared<'a>,
    sums: &'a Shared<'a>,
}

impl Kernel for Products<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let Self { job, point, pairs, inputs, gradients, sums } = self;
        let batch = &job.batch;
        let [input_stride, gradient_stride] = batch.strides();
        let places = places(job.chunks);
        assert!(sums.len() >= places * job.stride);
        assert!(
            inputs.len() >= POINTS * input_stride && gradients.len() >= POINTS * gradient_stride
        );
        let out_blocks = job.spec.out_channels.div_ceil(LANES);
        for pair in pairs {
            let gradient = gradients.at(point * gradient_stride + pair * batch.tiles * CHUNK);
            for block in 0..batch.in_blocks {
                let at = ((point * batch.pairs + pair) * batch.in_blocks + block) * LANES * CHUNK;
                assert!(at + LANES * CHUNK <= job.stride);
                let mut point = Point {
                    pieces: batch.pieces,
                    input: inputs.at(point * input_stride + block * batch.tiles * LANES),
                    gradient,
                    sums: Sums { first: sums.at(at), stride: job.stride, places },
                };
                let channels = job.spec.in_channels - block * LANES;
                let vectors = (out_blocks - 2 * (job.pairs.start + pair)).min(2);
                cover(s, &mut point, channels, vectors);
            }
        }
    }
}

/// One point of a pair and a block, over a batch.
struct Point<'a> {
    pieces: &'a [Piece],
    input: *const f32,
    gradient: *const f32,
    sums: Sums,
}

impl Tiles for Point<'_> {
    #[inline(always)]
    unsafe fn tile<S: Simd, const P: usize, const N: usize>(
        &mut self,
        s: S,
        channel: usize,
        vector: usize,
    ) {
        let at = channel * CHUNK + vector * LANES;
        let sums = Sums { first: self.sums.first.wrapping_add(at), ..self.sums };
        let mut input = self.input.wrapping_add(channel);
        let mut gradient = self.gradient.wrapping_add(vector * LANES);
        for piece in self.pieces {
            let count = piece.positions.len();
            let run = Run {
                input,
                input_step: LANES,
                gradient,
                gradient_step: CHUNK,
                vector: LANES,
                count,
            };
            // SAFETY: the batch's tiles of this block and pair are readable and nobody writes them any more; the
            // caller chose `P` channels and `N` vectors that exist, so that the rows lie in this point's sums, which
            // this task alone has; a piece that does not start chains follows the one that stored them.
            unsafe {
                let mut acc = sums.open::<S, P, N>(s, piece);
                add_products::<S, P, N>(s, &mut acc, &run);
                sums.close(s, piece, acc);
            }
            input = input.wrapping_add(count * LANES);
            gradient = gradient.wrapping_add(count * CHUNK);
        }
    }
}

/// Adds what the places hold, transforms it and puts it where the weights lie: one pair and one block.
struct Finish<'a> {
    spec: &'a Conv2dSpec,
    sums: &'a [f32],
    stride: usize,
    chunks: usize,
    pairs: Range<usize>,
    pair: usize,
    block: usize,
    gradient: &'a Shared<'a>,
}

impl Kernel for Finish<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, _: S) {
        let Self { spec, sums, stride, chunks, pairs, pair, block, gradient } = self;
        let in_blocks = spec.in_channels.div_ceil(LANES);
        let channels = (spec.in_channels - block * LANES).min(LANES);
        for vector in 0..2 {
            let first = (pairs.start + pair) * CHUNK + vector * LANES;
            let outputs = spec.out_channels.saturating_sub(first).min(LANES);
            if outputs == 0 {
                break;
            }
            for channel in 0..channels {
                let mut points = [[0.0; LANES]; POINTS];
                for (point, values) in points.iter_mut().enumerate() {
                    let row = ((point * pairs.len() + pair) * in_blocks + block) * LANES + channel;
                    *values = total(sums, stride, chunks, row * CHUNK + vector * LANES);
                }
                let taps = weight_gradients_2d(&points);
                for output in 0..outputs {
                    let to = ((first + output) * spec.in_channels + block * LANES + channel) * 9;
                    for (tap, values) in taps.iter().enumerate() {
                        // SAFETY: each task has its own weights.
                        unsafe { *gradient.at(to + tap) = values[output] };
                    }
                }
            }
        }
    }
}
