//! Winograd's form: the products of transformed inputs and transformed gradients at 36 points.

// See gemm: no iterators or closures over vectors.
#![allow(clippy::needless_range_loop)]

use std::ops::Range;

use super::chunks::{Piece, Sums, pieces, places};
use super::image::Image;
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
/// Values of sums in one place that stay in a shared third-level cache: 10 MiB. Few in tests, to cut small problems.
const SUMS: usize = if cfg!(test) { 50_000 } else { 10 * 256 * 1024 };
/// Values of transformed tiles likewise: 18 MiB.
const TRANSFORMED: usize = if cfg!(test) { 60_000 } else { 4_800_000 };
/// Tiles that a task transforms.
const GROUP: usize = 16;
/// Blocks of input channels whose sums at all points, for one pair, stay in the second-level cache.
const BLOCKS: usize = 4;

pub(super) fn weight_gradient(
    level: Level,
    spec: &Conv2dSpec,
    images: &[Image<'_>],
    gradient: &mut [f32],
) {
    let pairs = spec.out_channels.div_ceil(CHUNK);
    let blocks = spec.in_channels.div_ceil(LANES);
    let tiles = |image: &Image<'_>| {
        let [height, width] = image.gradient.shape().size();
        height.div_ceil(4) * width.div_ceil(4)
    };
    let all_tiles: usize = images.iter().map(tiles).sum();
    let fits = POINTS * all_tiles * (blocks * LANES + pairs * CHUNK) <= TRANSFORMED;
    let per_pair = POINTS * blocks * LANES * CHUNK;
    let groups = (pairs * per_pair).div_ceil(SUMS).min(pairs);
    let most_pairs = if fits { pairs } else { pairs.div_ceil(groups) };
    let per_tile = POINTS * (blocks * LANES + most_pairs * CHUNK);
    // Chunks in equal pieces, where they must be cut.
    let width = (TRANSFORMED / per_tile).clamp(GROUP, TILES);
    let width = TILES.div_ceil(TILES.div_ceil(width));
    let (pieces, chunks) = pieces(images.iter().map(|image| [tiles(image), TILES, width]));
    let gradient = Shared::new(gradient);
    if fits {
        let batch = Batch { pieces: &pieces, tiles: all_tiles, in_blocks: blocks, pairs };
        Job { level, spec, images, batch, pairs: 0..pairs, chunks }.run_at_once(&gradient);
        return;
    }
    for first in (0..pairs).step_by(most_pairs) {
        let pairs = first..pairs.min(first + most_pairs);
        let sums = Layout { pairs: pairs.clone(), blocks: 0..blocks };
        with_scratch(places(chunks) * sums.len(), |scratch| {
            let shared = Shared::new(scratch);
            let mut rest = &pieces[..];
            while !rest.is_empty() {
                let batch = Batch::take(rest, width, blocks, pairs.len());
                rest = &rest[batch.pieces.len()..];
                let job = Job { level, spec, images, batch, pairs: pairs.clone(), chunks };
                job.run(&sums, &shared);
            }
            // SAFETY: no task is left that writes.
            let values = unsafe { shared.part(0, shared.len()) };
            parallel::for_each(pairs.len() * blocks, |task| {
                let (pair, block) = (first + task / blocks, task % blocks);
                let (layout, gradient) = (&sums, &gradient);
                level.run(Finish { spec, values, layout, chunks, pair, block, gradient });
            });
        });
    }
}

/// Sums of some pairs and blocks: [point][pair][input channel][32].
struct Layout {
    pairs: Range<usize>,
    blocks: Range<usize>,
}

impl Layout {
    fn at(&self, point: usize, pair: usize, block: usize) -> usize {
        let row = point * self.pairs.len() + pair - self.pairs.start;
        (row * self.blocks.len() + block - self.blocks.start) * LANES * CHUNK
    }

    /// Values of a place.
    fn len(&self) -> usize {
        POINTS * self.pairs.len() * self.blocks.len() * LANES * CHUNK
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
    fn take(pieces: &'a [Piece], width: usize, in_blocks: usize, pairs: usize) -> Self {
        let (mut tiles, mut count) = (0, 0);
        for piece in pieces {
            if count > 0 && tiles + piece.positions.len() > width {
                break;
            }
            tiles += piece.positions.len();
            count += 1;
        }
        Self { pieces: &pieces[..count], tiles, in_blocks, pairs }
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
}

impl Job<'_> {
    /// Adds a batch to sums that are kept.
    fn run(&self, layout: &Layout, sums: &Shared<'_>) {
        self.transformed(|inputs, gradients| {
            // Points, and where there are many threads, parts of them.
            let count = self.pairs.len();
            let parts = (4 * rayon::current_num_threads()).div_ceil(POINTS).min(count);
            parallel::for_each(POINTS * parts, |task| {
                let (point, part) = (task / parts, task % parts);
                let first = self.pairs.start;
                let pairs = first + count * part / parts..first + count * (part + 1) / parts;
                let points = point..point + 1;
                let part = &Layout { pairs, blocks: layout.blocks.clone() };
                let (job, all) = (self, layout);
                self.level.run(Products { job, points, part, all, inputs, gradients, sums });
            });
        });
    }

    /// The gradient where all tiles are one batch: no sum leaves its thread.
    fn run_at_once(&self, gradient: &Shared<'_>) {
        let (level, spec, chunks) = (self.level, self.spec, self.chunks);
        self.transformed(|inputs, gradients| {
            let groups = self.batch.in_blocks.div_ceil(BLOCKS);
            parallel::for_each(self.pairs.len() * groups, |task| {
                let (pair, group) = (task / groups, task % groups);
                let blocks = group * BLOCKS..self.batch.in_blocks.min((group + 1) * BLOCKS);
                let layout = &Layout { pairs: pair..pair + 1, blocks };
                with_scratch(places(chunks) * layout.len(), |scratch| {
                    let sums = &Shared::new(scratch);
                    let (job, points) = (self, 0..POINTS);
                    level.run(Products {
                        job,
                        points,
                        part: layout,
                        all: layout,
                        inputs,
                        gradients,
                        sums,
                    });
                    // SAFETY: this task's alone, and it no longer writes.
                    let values = unsafe { sums.part(0, sums.len()) };
                    for block in layout.blocks.clone() {
                        level.run(Finish { spec, values, layout, chunks, pair, block, gradient });
                    }
                });
            });
        });
    }

    /// Transforms the batch, then does what is to be done with its inputs and gradients.
    fn transformed(&self, then: impl FnOnce(&Shared<'_>, &Shared<'_>)) {
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
            then(&inputs, &gradients);
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

/// All sums of some points, pairs and blocks, over a batch.
struct Products<'a> {
    job: &'a Job<'a>,
    points: Range<usize>,
    /// The pairs and blocks that are to be done, of those that `sums` has room for.
    part: &'a Layout,
    all: &'a Layout,
    inputs: &'a Shared<'a>,
    gradients: &'a Shared<'a>,
    sums: &'a Shared<'a>,
}

impl Kernel for Products<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let Self { job, points, part, all, inputs, gradients, sums } = self;
        let batch = &job.batch;
        let [input_stride, gradient_stride] = batch.strides();
        let (places, stride) = (places(job.chunks), all.len());
        assert!(sums.len() >= places * stride && points.end <= POINTS);
        assert!(inputs.len() >= POINTS * input_stride);
        assert!(gradients.len() >= POINTS * gradient_stride);
        assert!(part.pairs.end <= job.pairs.end && part.blocks.end <= batch.in_blocks);
        let out_blocks = job.spec.out_channels.div_ceil(LANES);
        for point in points {
            for pair in part.pairs.clone() {
                let of_pair = (pair - job.pairs.start) * batch.tiles * CHUNK;
                let gradient = gradients.at(point * gradient_stride + of_pair);
                for block in part.blocks.clone() {
                    let at = all.at(point, pair, block);
                    assert!(at + LANES * CHUNK <= stride);
                    let mut point = Point {
                        pieces: batch.pieces,
                        input: inputs.at(point * input_stride + block * batch.tiles * LANES),
                        gradient,
                        sums: Sums { first: sums.at(at), stride, places },
                    };
                    let channels = job.spec.in_channels - block * LANES;
                    cover(s, &mut point, channels, (out_blocks - 2 * pair).min(2));
                }
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
    values: &'a [f32],
    layout: &'a Layout,
    chunks: usize,
    pair: usize,
    block: usize,
    gradient: &'a Shared<'a>,
}

impl Kernel for Finish<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, _: S) {
        let Self { spec, values, layout, chunks, pair, block, gradient } = self;
        let channels = (spec.in_channels - block * LANES).min(LANES);
        for vector in 0..2 {
            let first = pair * CHUNK + vector * LANES;
            let outputs = spec.out_channels.saturating_sub(first).min(LANES);
            if outputs == 0 {
                break;
            }
            for channel in 0..channels {
                let mut points = [[0.0; LANES]; POINTS];
                for (point, sums) in points.iter_mut().enumerate() {
                    let at = layout.at(point, pair, block) + channel * CHUNK + vector * LANES;
                    *sums = total(values, layout.len(), chunks, at);
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
