//! Winograd's minimal filtering F(4x4, 3x3): 36 products for 16 outputs, instead of 144.
//!
//! Toom-Cook over the points 0, 1, -1, 2, -1/2 and infinity (Lavin and Gray, "Fast algorithms for
//! convolutional neural networks", 2016, with other points: these lose half the digits that 0, 1, -1,
//! 2, -2 lose). A tile of 4x4 outputs is anchored at the image's own (0, 0); its 6x6 patch of the
//! input is transformed along y, then along x (`input_2d`); for each of the 36 points the input
//! channels are one fused chain with the transformed weights; the 36 sums are transformed along y,
//! then along x (`output_2d`). The weights are transformed in f64 and rounded once
//! (`weights_2d`).

// See gemm: no iterators or closures over vectors.
#![allow(clippy::needless_range_loop, clippy::manual_map)]

mod transform;
mod weights;

pub(super) use transform::{input_2d, output_2d, weight_2d};
pub(crate) use weights::TransformedWeights;

use super::{Conv2dSpec, Input, Item};
use crate::buffer::{Shared, with_scratch};
use crate::gemm::{CHUNK, STREAM, accumulate, tile_width, zeros};
use crate::layout::BlockedShape;
use crate::simd::{Kernel, LANES, Simd};
use crate::{Level, parallel};

/// Points of a 6x6 tile.
pub(super) const POINTS: usize = 36;

/// One image's part in a list of tiles.
struct Image<'a> {
    input: &'a [f32],
    in_shape: BlockedShape,
    output: Shared<'a>,
    out_shape: BlockedShape,
    residual: Option<&'a [f32]>,
    /// Tiles of the images before this one.
    first_tile: usize,
    tiles_across: usize,
}

impl Image<'_> {
    /// The top-left output pixel of a tile of the list.
    #[inline(always)]
    fn origin(&self, tile: usize) -> [usize; 2] {
        let tile = tile - self.first_tile;
        [4 * (tile / self.tiles_across), 4 * (tile % self.tiles_across)]
    }
}

/// Everything the tasks of one call share.
struct Job<'a> {
    images: Vec<Image<'a>>,
    weights: &'a TransformedWeights,
    padding: [usize; 2],
    bias: Option<&'a [f32]>,
    relu: bool,
    stream: bool,
}

/// Transformed data of a run of tiles: [point][input block][tile][16], tiles padded to whole
/// register tiles.
#[derive(Clone, Copy)]
struct Run {
    first: usize,
    tiles: usize,
    /// Tiles of one register tile.
    width: usize,
    padded: usize,
}

impl Run {
    fn new(level: Level, first: usize, tiles: usize) -> Self {
        let width = tile_width(level.tile_pixels(), tiles);
        Self { first, tiles, width, padded: tiles.next_multiple_of(width) }
    }
}

/// Values of transformed input per thread that stay in its second-level cache.
const TRANSFORMED: usize = 192 * 1024;
/// Up to this many tiles are transformed once for all threads, which then split output channels.
const FEW_TILES: usize = 128;

pub(super) fn forward(
    level: Level,
    spec: &Conv2dSpec,
    weights: &TransformedWeights,
    bias: Option<&[f32]>,
    relu: bool,
    items: &mut [Item<'_>],
) {
    let mut tiles = 0;
    let mut values = 0;
    let images = items.iter_mut().filter_map(|item| {
        let Input::Blocked(input) = item.input else {
            return None;
        };
        let out_shape = item.output.shape();
        let tiles_across = out_shape.width.div_ceil(4);
        let first_tile = tiles;
        tiles += out_shape.height.div_ceil(4) * tiles_across;
        values += out_shape.len();
        Some(Image {
            input: input.data(),
            in_shape: input.shape(),
            output: Shared::new(item.output.data()),
            out_shape,
            residual: item.residual.map(|r| r.data()),
            first_tile,
            tiles_across,
        })
    });
    let images = images.collect();
    let job = Job { images, weights, padding: spec.padding, bias, relu, stream: values >= STREAM };
    let in_blocks = spec.in_channels.div_ceil(LANES);
    let step = level.tile_pixels();
    if tiles <= FEW_TILES {
        let run = Run::new(level, 0, tiles);
        let offsets = offsets(spec.in_channels, run.padded);
        with_scratch(POINTS * in_blocks * run.padded * LANES, |transformed| {
            let shared = Shared::new(transformed);
            let groups = run.padded.div_ceil(7);
            parallel::for_each(groups * in_blocks, |task| {
                let (block, group) = (task / groups, task % groups);
                let columns = group * 7..(group * 7 + 7).min(run.padded);
                level.run(TransformInput { job: &job, run, block, columns, transformed: &shared });
            });
            let transformed = shared;
            parallel::for_each(weights.chunks(), |chunk| {
                with_scratch(POINTS * run.padded * CHUNK, |sums| {
                    level.run(MultiplyAndFinish {
                        job: &job,
                        run,
                        chunk,
                        transformed: &transformed,
                        offsets: &offsets,
                        sums,
                    });
                });
            });
        });
        return;
    }
    let per_tile = POINTS * in_blocks * LANES;
    let run_tiles = (TRANSFORMED / per_tile / step * step).clamp(step, 8 * step);
    parallel::for_each(tiles.div_ceil(run_tiles), |task| {
        let first = task * run_tiles;
        let count = run_tiles.min(tiles - first);
        let run = Run::new(level, first, count);
        let offsets = offsets(spec.in_channels, run.padded);
        with_scratch((per_tile + POINTS * CHUNK) * run.padded, |scratch| {
            let (transformed, sums) = scratch.split_at_mut(per_tile * run.padded);
            let transformed = Shared::new(transformed);
            for block in 0..in_blocks {
                level.run(TransformInput {
                    job: &job,
                    run,
                    block,
                    columns: 0..run.padded,
                    transformed: &transformed,
                });
            }
            for chunk in 0..weights.chunks() {
                level.run(MultiplyAndFinish {
                    job: &job,
                    run,
                    chunk,
                    transformed: &transformed,
                    offsets: &offsets,
                    sums,
                });
            }
        });
    });
}

/// The input transform of some tiles of a run, for one block of input channels.
struct TransformInput<'a> {
    job: &'a Job<'a>,
    run: Run,
    block: usize,
    /// Tiles of the run; those past its end become zero.
    columns: std::ops::Range<usize>,
    transformed: &'a Shared<'a>,
}

impl Kernel for TransformInput<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let Self { job, run, block, columns, transformed } = self;
        let blocks = job.weights.in_channels.div_ceil(LANES);
        let stride = blocks * run.padded * LANES;
        let last = job.images.len() - 1;
        let mut image = job
            .images
            .partition_point(|i| i.first_tile <= run.first + columns.start)
            .saturating_sub(1);
        for column in columns {
            let tile = run.first + column;
            let out = (block * run.padded + column) * LANES;
            assert!((POINTS - 1) * stride + out + LANES <= transformed.len());
            let out = transformed.at(out);
            if column >= run.tiles {
                for point in 0..POINTS {
                    // SAFETY: in bounds by the assertion; this tile is this task's alone.
                    unsafe { s.store(out.add(point * stride), s.splat(0.0)) };
                }
                continue;
            }
            while image < last && job.images[image + 1].first_tile <= tile {
                image += 1;
            }
            let image = &job.images[image];
            let patch = load_patch(s, image, job.padding, block, image.origin(tile));
            for (y, row) in input_2d(s, patch).into_iter().enumerate() {
                for (x, v) in row.into_iter().enumerate() {
                    // SAFETY: in bounds by the assertion; this tile is this task's alone.
                    unsafe { s.store(out.add((y * 6 + x) * stride), v) };
                }
            }
        }
    }
}

/// The 6x6 patch under a tile, +0 outside the image.
#[inline(always)]
fn load_patch<S: Simd>(
    s: S,
    image: &Image<'_>,
    [pad_y, pad_x]: [usize; 2],
    block: usize,
    [oy, ox]: [usize; 2],
) -> [[S::V; 6]; 6] {
    let shape = image.in_shape;
    let (height, width) = (shape.height, shape.width);
    let plane = &image.input[block * shape.plane() * LANES..][..height * width * LANES];
    let mut patch = [[s.splat(0.0); 6]; 6];
    if oy >= pad_y && ox >= pad_x && oy + 6 - pad_y <= height && ox + 6 - pad_x <= width {
        let first = (oy - pad_y) * width + ox - pad_x;
        for (y, row) in patch.iter_mut().enumerate() {
            for (x, v) in row.iter_mut().enumerate() {
                // SAFETY: the patch lies inside the plane by the condition above.
                *v = unsafe { s.load(plane.as_ptr().add((first + y * width + x) * LANES)) };
            }
        }
    } else {
        for (y, row) in patch.iter_mut().enumerate() {
            let Some(y) = (oy + y).checked_sub(pad_y).filter(|y| *y < height) else {
                continue;
            };
            for (x, v) in row.iter_mut().enumerate() {
                if let Some(x) = (ox + x).checked_sub(pad_x).filter(|x| *x < width) {
                    // SAFETY: (y, x) is inside the plane.
                    *v = unsafe { s.load(plane.as_ptr().add((y * width + x) * LANES)) };
                }
            }
        }
    }
    patch
}

/// The products of a run of tiles with one chunk of output channels, and the output transform.
struct MultiplyAndFinish<'a> {
    job: &'a Job<'a>,
    run: Run,
    chunk: usize,
    transformed: &'a Shared<'a>,
    offsets: &'a [u32],
    /// [point][tile][32].
    sums: &'a mut [f32],
}

impl Kernel for MultiplyAndFinish<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(mut self, s: S) {
        let blocks = self.job.weights.out_channels.div_ceil(LANES) - self.chunk * 2;
        // The narrower widths are the widest level's alone.
        match (if S::TILE_PIXELS == 14 { self.run.width } else { 0 }, blocks) {
            (14, 1) => self.multiply::<S, 14, 1>(s, 1),
            (12, 1) => self.multiply::<S, 12, 1>(s, 1),
            (9, 1) => self.multiply::<S, 9, 1>(s, 1),
            (14, _) => self.multiply::<S, 14, 2>(s, 2),
            (12, _) => self.multiply::<S, 12, 2>(s, 2),
            (9, _) => self.multiply::<S, 9, 2>(s, 2),
            _ => self.multiply::<S, 6, 1>(s, blocks.min(2)),
        }
        self.finish(s, blocks);
        if self.job.stream {
            s.fence();
        }
    }
}

impl MultiplyAndFinish<'_> {
    #[inline(always)]
    fn multiply<S: Simd, const P: usize, const N: usize>(&mut self, s: S, blocks: usize) {
        let Run { padded, .. } = self.run;
        let channels = self.job.weights.in_channels;
        let stride = channels.div_ceil(LANES) * padded * LANES;
        assert!(
            POINTS * stride <= self.transformed.len() && POINTS * padded * CHUNK <= self.sums.len()
        );
        assert!(padded.is_multiple_of(P) && blocks <= 2);
        for point in 0..POINTS {
            let weights = self.job.weights.matrix(self.chunk, point);
            for first in (0..padded).step_by(P) {
                let input = self.transformed.at(point * stride + first * LANES);
                for vector in (0..blocks).step_by(N) {
                    let mut acc = zeros::<S, P, N>(s);
                    let out = &mut self.sums[(point * padded + first) * CHUNK..][..P * CHUNK];
                    // SAFETY: the tile's values lie inside `transformed` and the weights hold
                    // `channels` rows of 32, by the assertions and the table's construction; nobody
                    // writes `transformed` any more. Pixel p < P and vector + n < 2 lie inside `out`.
                    unsafe {
                        let weights = weights.as_ptr().add(vector * LANES);
                        accumulate::<S, P, N, LANES>(
                            s,
                            &mut acc,
                            input,
                            LANES,
                            self.offsets,
                            weights,
                        );
                        for p in 0..P {
                            for n in 0..N {
                                s.store(
                                    out.as_mut_ptr().add(p * CHUNK + (vector + n) * LANES),
                                    acc[p][n],
                                );
                            }
                        }
                    }
                }
            }
        }
    }

    #[inline(always)]
    fn finish<S: Simd>(&mut self, s: S, blocks: usize) {
        let Run { first, tiles, padded, .. } = self.run;
        let job = self.job;
        let mut images = job.images.iter();
        let mut image = images.next();
        let mut next = images.next();
        for column in 0..tiles {
            let tile = first + column;
            while next.is_some_and(|next| next.first_tile <= tile) {
                image = next;
                next = images.next();
            }
            let Some(image) = image else { return };
            for vector in 0..blocks.min(2) {
                let channel = self.chunk * CHUNK + vector * LANES;
                let sums = &self.sums[column * CHUNK + vector * LANES..];
                let outputs = output_2d(s, load_sums(s, sums, padded * CHUNK));
                let bias = match job.bias {
                    // SAFETY: the slice holds 16 values: the bias is padded to a whole chunk.
                    Some(bias) => Some(unsafe { s.load(bias[channel..][..LANES].as_ptr()) }),
                    None => None,
                };
                let shape = image.out_shape;
                let [oy, ox] = image.origin(tile);
                let plane = channel / LANES * shape.plane();
                for y in 0..4.min(shape.height - oy) {
                    for x in 0..4.min(shape.width - ox) {
                        let at = (plane + (oy + y) * shape.width + ox + x) * LANES;
                        let mut v = outputs[y][x];
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
                        // SAFETY: a pixel of a block is 16 values at a multiple of 64 bytes, inside
                        // the output; this tile and chunk are this task's alone.
                        unsafe { if job.stream { s.stream(out, v) } else { s.store(out, v) } }
                    }
                }
            }
        }
    }
}

/// The 6x6 sums of one tile, which lie `stride` apart.
#[inline(always)]
fn load_sums<S: Simd>(s: S, sums: &[f32], stride: usize) -> [[S::V; 6]; 6] {
    assert!((POINTS - 1) * stride + LANES <= sums.len());
    let mut loaded = [[s.splat(0.0); 6]; 6];
    for y in 0..6 {
        for x in 0..6 {
            // SAFETY: in bounds by the assertion.
            loaded[y][x] = unsafe { s.load(sums.as_ptr().add((y * 6 + x) * stride)) };
        }
    }
    loaded
}

/// Where channel k of a tile lies in [block][tile][16].
fn offsets(channels: usize, padded: usize) -> Vec<u32> {
    (0..channels).map(|k| (k / LANES * padded * LANES + k % LANES) as u32).collect()
}
