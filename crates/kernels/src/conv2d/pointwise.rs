//! 1x1 convolution with stride 1: a product of matrices on the blocked layout as it lies.

#[cfg(target_arch = "x86_64")]
use super::by_lists::Outputs;
use super::item::{Input, Item};
use super::spec::Conv2dSpec;
use crate::buffer::Shared;
#[cfg(target_arch = "x86_64")]
use crate::buffer::with_scratch;
use crate::gemm::{
    CHUNK, Finish, PackedMatrix, STREAM, Target, accumulate_blocks, finish, prefetch_residual,
    resume, store, zeros,
};
#[cfg(target_arch = "x86_64")]
use crate::gemm::{group_pixels, lists_len};
use crate::layout::BlockedShape;
use crate::simd::{Kernel, LANES, Simd};
use crate::{Level, parallel};

/// Whether this form computes `spec` (it gives the bits of the direct form).
pub(super) fn applies(spec: &Conv2dSpec) -> bool {
    spec.kernel == [1, 1]
        && spec.stride == [1, 1]
        && spec.padding == [0, 0]
        && spec.in_channels >= LANES
}

/// Chains longer than this are done in pieces, so that a panel of the input stays in cache.
const K_BLOCK: usize = 512;
/// Values of input per panel that stay in a thread's second-level cache.
const PANEL: usize = 64 * 1024;

/// One image of a call.
struct Image<'a> {
    input: &'a [f32],
    in_shape: BlockedShape,
    output: Shared<'a>,
    out_shape: BlockedShape,
    residual: Option<&'a [f32]>,
    first_task: usize,
    /// Tasks: panels of nearly the same number of register tiles.
    panels: usize,
    tiles: usize,
}

impl Image<'_> {
    /// The first pixel of a panel.
    fn panel(&self, index: usize, tile_pixels: usize) -> usize {
        let pixels = self.in_shape.height * self.in_shape.width;
        (self.tiles * index / self.panels * tile_pixels).min(pixels)
    }
}

pub(super) fn forward(
    level: Level,
    weights: &PackedMatrix,
    bias: Option<&[f32]>,
    relu: bool,
    items: &mut [Item<'_>],
) {
    let k_block = weights.k().min(K_BLOCK);
    let panel = (PANEL / k_block / 84 * 84).clamp(84, 672);
    let mut tasks = 0;
    let images: Vec<Image<'_>> = items
        .iter_mut()
        .filter_map(|item| {
            let Input::Blocked(input) = item.input else {
                return None;
            };
            let in_shape = input.shape();
            let first_task = tasks;
            let pixels = in_shape.height * in_shape.width;
            let panels = pixels.div_ceil(panel).next_multiple_of(rayon::current_num_threads());
            tasks += panels;
            Some(Image {
                input: input.data(),
                in_shape,
                out_shape: item.output.shape(),
                output: Shared::new(item.output.data()),
                residual: item.residual.map(|r| r.data()),
                first_task,
                panels,
                tiles: pixels.div_ceil(level.tile_pixels()),
            })
        })
        .collect();
    parallel::for_each_with_chunks(tasks, weights.chunks(), |task, chunks| {
        let image = &images[images.partition_point(|i| i.first_task <= task) - 1];
        let panel = |index| image.panel(index, level.tile_pixels());
        let (first, end) = (panel(task - image.first_task), panel(task - image.first_task + 1));
        let single = weights.k() <= k_block;
        let stream = single && image.out_shape.len() >= STREAM;
        let finish = Finish { bias, relu, stream };
        let panel = Panel { image, weights, k_block, first, count: end - first, chunks, finish };
        #[cfg(target_arch = "x86_64")]
        if level.uses_lists() {
            let (group, k) = (group_pixels(panel.count, weights.k()), weights.k());
            with_scratch(group * CHUNK + lists_len(group, k), |scratch| {
                level.run(ByLists { panel, group, scratch });
            });
            return;
        }
        level.run(panel);
    });
}

/// A run of pixels with some chunks of output channels.
struct Panel<'a> {
    image: &'a Image<'a>,
    weights: &'a PackedMatrix,
    k_block: usize,
    first: usize,
    count: usize,
    chunks: std::ops::Range<usize>,
    finish: Finish<'a>,
}

impl Kernel for Panel<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let k = self.weights.k();
        for k_first in (0..k).step_by(self.k_block) {
            let k_range = k_first..(k_first + self.k_block).min(k);
            for chunk in self.chunks.clone() {
                let blocks = self.image.out_shape.blocks() - 2 * chunk;
                match (S::TILE_PIXELS, blocks) {
                    (14, 1) => self.chunk::<S, 14, 1>(s, chunk, 1, k_range.clone()),
                    (14, _) => self.chunk::<S, 14, 2>(s, chunk, 2, k_range.clone()),
                    (8, 1) => self.chunk::<S, 8, 1>(s, chunk, 1, k_range.clone()),
                    (8, _) => self.chunk::<S, 8, 2>(s, chunk, 2, k_range.clone()),
                    (3, _) => self.chunk::<S, 3, 1>(s, chunk, blocks.min(2), k_range.clone()),
                    _ => self.chunk::<S, 6, 1>(s, chunk, blocks.min(2), k_range.clone()),
                }
            }
        }
        if self.finish.stream {
            s.fence();
        }
    }
}

impl Panel<'_> {
    #[inline(always)]
    fn chunk<S: Simd, const P: usize, const N: usize>(
        &self,
        s: S,
        chunk: usize,
        blocks: usize,
        k: std::ops::Range<usize>,
    ) {
        let Self { image, first, count, .. } = *self;
        let (first_piece, last_piece) = (k.start == 0, k.end == self.weights.k());
        let plane = image.out_shape.plane() * LANES;
        let in_plane = image.in_shape.plane() * LANES;
        let input = &image.input[k.start / LANES * in_plane..];
        let weights = &self.weights.chunk(chunk)[k.start * CHUNK..k.end * CHUNK];
        for pixel in (first..first + count).step_by(P) {
            for vector in (0..blocks).step_by(N) {
                let block = 2 * chunk + vector;
                let at = block * plane + pixel * LANES;
                let target = Target {
                    out: image.output.at(at),
                    plane,
                    residual: image.residual.map(|r| r[at..].as_ptr()),
                    residual_plane: plane,
                    valid: P.min(first + count - pixel),
                    vectors: N.min(blocks - vector),
                };
                if last_piece {
                    prefetch_residual::<S, P, N>(s, &target);
                }
                // SAFETY: `pixel + P` is at most 14 past the plane, which `BlockedShape::len` leaves
                // room for; the weights hold `k.len()` rows; `valid` pixels of `vectors` blocks lie
                // inside the output and are this task's alone.
                unsafe {
                    let mut acc = if first_piece {
                        zeros::<S, P, N>(s)
                    } else {
                        resume::<S, P, N>(s, &target)
                    };
                    let input = input.as_ptr().add(pixel * LANES);
                    let weights = weights.as_ptr().add(vector * LANES);
                    // The next tile's pixels are needed next.
                    let ahead = P * LANES;
                    accumulate_blocks::<S, P, N>(
                        s,
                        &mut acc,
                        input,
                        in_plane,
                        k.len(),
                        weights,
                        ahead,
                    );
                    if last_piece {
                        finish(s, &acc, &target, &self.finish, block * LANES);
                    } else {
                        store(s, &acc, &target);
                    }
                }
            }
        }
    }
}

/// A panel where multiply-adds are emulated: `group` pixels at a time.
#[cfg(target_arch = "x86_64")]
struct ByLists<'a> {
    panel: Panel<'a>,
    group: usize,
    scratch: &'a mut [f32],
}

#[cfg(target_arch = "x86_64")]
impl Kernel for ByLists<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        if !S::EMULATED {
            return;
        }
        let Panel { image, weights, first, count, ref finish, .. } = self.panel;
        let in_plane = image.in_shape.plane() * LANES;
        let outputs = Outputs {
            weights,
            chunks: self.panel.chunks.clone(),
            output: &image.output,
            shape: image.out_shape,
            residual: image.residual,
            finish,
        };
        let (sums, scratch) = self.scratch.split_at_mut(self.group * CHUNK);
        for start in (first..first + count).step_by(self.group) {
            let pixels = self.group.min(first + count - start);
            let input = image.input[start * LANES..].as_ptr();
            let place = |pixel: usize, k: usize| {
                input.wrapping_add(k / LANES * in_plane + pixel * LANES + k % LANES)
            };
            // SAFETY: channel k of these pixels is inside the input, and they are this task's.
            unsafe { outputs.compute(s, start, place, &mut sums[..pixels * CHUNK], scratch) };
        }
        if finish.stream {
            s.fence();
        }
    }
}
