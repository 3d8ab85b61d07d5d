//! Winograd's minimal filtering F(4x4, 3x3): 36 products for 16 outputs, instead of 144.
//!
//! Toom-Cook over the points 0, 1, -1, 2, -1/2 and infinity (Lavin and Gray, "Fast algorithms for
//! convolutional neural networks", 2016, with other points: these lose half the digits that 0, 1, -1,
//! 2, -2 lose). A tile of 4x4 outputs is anchored at the image's own (0, 0); its 6x6 patch of the
//! input is transformed along y, then along x (`input_2d`); for each of the 36 points the input
//! channels are one fused chain with the transformed weights; the 36 sums are transformed along y,
//! then along x (`output_2d`). The weights are transformed in f64 and rounded once
//! (`weights_2d`).

mod form;
mod input;
mod job;
#[cfg(target_arch = "x86_64")]
mod lists;
mod products;
#[cfg(target_arch = "x86_64")]
pub(super) mod rounded;
mod transform;
mod weights;

pub(super) use input::{Patch, transform_exact};
pub(super) use transform::{CANONICAL, POINTS, input_2d, output_2d, weight_2d};
pub(super) use transform::{gradient_1d, gradient_2d, weight_gradients_2d};
pub(crate) use weights::TransformedWeights;

use std::ops::Range;

use input::TransformInput;
use job::{Image, Job, Run};
#[cfg(target_arch = "x86_64")]
use lists::MultiplyByLists;
use products::MultiplyAndFinish;

use super::item::{Input, Item};
use super::spec::Conv2dSpec;
use crate::buffer::{Shared, with_scratch};
use crate::gemm::STREAM;
use crate::simd::LANES;
use crate::{Level, parallel};

/// Values of transformed input per thread that stay in its second-level cache.
const TRANSFORMED: usize = 192 * 1024;
/// Values of transformed weights that stay in a shared third-level cache: 10 MiB.
const WEIGHTS: usize = 10 * 256 * 1024;
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
    let stream = values >= STREAM;
    let job = Job { level, images, weights, padding: spec.padding, bias, relu, stream };
    if tiles <= FEW_TILES {
        few_tiles(&job, Run::new(&job, 0, tiles));
    } else {
        // All tiles with as many chunks as stay in cache, then all tiles with the next.
        let groups =
            (weights.chunks() * weights.per_chunk()).div_ceil(WEIGHTS).min(weights.chunks());
        let per_group = weights.chunks().div_ceil(groups);
        for first in (0..weights.chunks()).step_by(per_group) {
            many_tiles(&job, tiles, first..weights.chunks().min(first + per_group));
        }
    }
}

/// One run, transformed by all threads, then multiplied with a chunk a task.
fn few_tiles(job: &Job<'_>, run: Run) {
    with_scratch(run.transformed_len(), |transformed| {
        let transformed = Shared::new(transformed);
        let groups = run.padded.div_ceil(7);
        parallel::for_each(groups * run.in_blocks, |task| {
            let (block, group) = (task / groups, task % groups);
            let columns = group * 7..(group * 7 + 7).min(run.padded);
            job.run(TransformInput { job, run, block, columns, transformed: &transformed });
        });
        let (transformed, chunks) = (&transformed, job.weights.chunks());
        #[cfg(target_arch = "x86_64")]
        if job.uses_lists() {
            // Lists are made for each task.
            let tasks = chunks.min(2 * rayon::current_num_threads());
            parallel::for_each(tasks, |task| {
                let chunks = chunks * task / tasks..chunks * (task + 1) / tasks;
                by_lists(job, run, chunks, transformed);
            });
            return;
        }
        parallel::for_each(chunks, |chunk| {
            let multiplied = false;
            with_scratch(run.sums_len(), |sums| {
                job.run(MultiplyAndFinish { job, run, chunk, transformed, sums, multiplied });
            });
        });
    });
}

/// The outputs of a transformed run for some chunks.
#[cfg(target_arch = "x86_64")]
fn by_lists(job: &Job<'_>, run: Run, chunks: Range<usize>, transformed: &Shared<'_>) {
    let all = chunks.len() * run.sums_len();
    with_scratch(all + lists::scratch_len(job, run), |scratch| {
        let (sums, scratch) = scratch.split_at_mut(all);
        let all = &mut *sums;
        let products = chunks.clone();
        job.run(MultiplyByLists { job, run, chunks: products, transformed, sums: all, scratch });
        for (chunk, sums) in chunks.zip(sums.chunks_exact_mut(run.sums_len())) {
            let multiplied = true;
            job.run(MultiplyAndFinish { job, run, chunk, transformed, sums, multiplied });
        }
    });
}

/// A run a task, transformed and multiplied with some chunks by one thread.
fn many_tiles(job: &Job<'_>, tiles: usize, chunks: Range<usize>) {
    let width = job.level.tile_pixels();
    let per_tile = POINTS * job.weights.in_channels.div_ceil(LANES) * job.step();
    let run_tiles = (TRANSFORMED / per_tile / width * width).clamp(width, 8 * width);
    // Here weights are made ready run by run, so that runs are long, but some for each thread.
    #[cfg(target_arch = "x86_64")]
    let run_tiles = if job.uses_lists() {
        let least = tiles.div_ceil(4 * rayon::current_num_threads()).next_multiple_of(width);
        least.clamp(width, 8 * width)
    } else {
        run_tiles
    };
    parallel::for_each(tiles.div_ceil(run_tiles), |task| {
        let first = task * run_tiles;
        let run = Run::new(job, first, run_tiles.min(tiles - first));
        with_scratch(run.transformed_len() + run.sums_len(), |scratch| {
            let (transformed, sums) = scratch.split_at_mut(run.transformed_len());
            let transformed = Shared::new(transformed);
            for block in 0..run.in_blocks {
                let columns = 0..run.padded;
                job.run(TransformInput { job, run, block, columns, transformed: &transformed });
            }
            #[cfg(target_arch = "x86_64")]
            if job.uses_lists() {
                by_lists(job, run, chunks.clone(), &transformed);
                return;
            }
            for chunk in chunks.clone() {
                let (transformed, sums, multiplied) = (&transformed, &mut *sums, false);
                job.run(MultiplyAndFinish { job, run, chunk, transformed, sums, multiplied });
            }
        });
    });
}
