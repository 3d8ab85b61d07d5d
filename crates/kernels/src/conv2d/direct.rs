//! Convolution of any kernel and stride: strips of the padded input, then the matrix kernel.
//!
//! A task owns some output rows. It copies the input rows under them into scratch, with the zeros
//! around them, so that where value k of a pixel lies is one table for all pixels.

#[cfg(target_arch = "x86_64")]
use super::by_lists::Outputs;
use super::item::Item;
use super::spec::Conv2dSpec;
use super::strip::{Image, Strip, for_each_rows};
use crate::Level;
use crate::buffer::with_scratch;
#[cfg(target_arch = "x86_64")]
use crate::gemm::{CHUNK, group_pixels, lists_len};
use crate::gemm::{Finish, PackedMatrix, STREAM, Target, accumulate, finish, tile_width, zeros};
use crate::simd::{Kernel, LANES, Simd};

pub(super) fn forward(
    level: Level,
    spec: &Conv2dSpec,
    weights: &PackedMatrix,
    bias: Option<&[f32]>,
    relu: bool,
    items: &mut [Item<'_>],
) {
    let offsets = |strip: &Strip| strip.offsets(spec);
    for_each_rows(spec, weights.chunks(), items, offsets, |image, [first_row, rows], chunks| {
        with_scratch(image.strip.len(), |strip| {
            image.strip.fill(spec, &image.input, first_row, strip);
            let finish = Finish { bias, relu, stream: image.out_shape.len() >= STREAM };
            let rows = Rows { image, spec, weights, strip, first_row, rows, chunks, finish };
            #[cfg(target_arch = "x86_64")]
            if level.uses_lists() {
                let k = weights.k();
                let group = group_pixels(image.out_shape.width, k);
                with_scratch(group * CHUNK + lists_len(group, k), |scratch| {
                    level.run(ByLists { rows, group, scratch });
                });
                return;
            }
            level.run(rows);
        });
    });
}

/// Some output rows with some chunks of output channels.
struct Rows<'a> {
    image: &'a Image<'a>,
    spec: &'a Conv2dSpec,
    weights: &'a PackedMatrix,
    strip: &'a [f32],
    first_row: usize,
    rows: usize,
    chunks: std::ops::Range<usize>,
    finish: Finish<'a>,
}

impl Kernel for Rows<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        for chunk in self.chunks.clone() {
            let blocks = self.image.out_shape.blocks() - 2 * chunk;
            let width = self.image.out_shape.width;
            // The narrower widths are the widest level's alone.
            match (if S::TILE_PIXELS == 14 { tile_width(14, width) } else { 0 }, blocks) {
                (14, 1) => self.strided::<S, 14, 1>(s, chunk, 1),
                (12, 1) => self.strided::<S, 12, 1>(s, chunk, 1),
                (9, 1) => self.strided::<S, 9, 1>(s, chunk, 1),
                (14, _) => self.strided::<S, 14, 2>(s, chunk, 2),
                (12, _) => self.strided::<S, 12, 2>(s, chunk, 2),
                (9, _) => self.strided::<S, 9, 2>(s, chunk, 2),
                _ if S::TILE_PIXELS == 8 && blocks == 1 => self.strided::<S, 8, 1>(s, chunk, 1),
                _ if S::TILE_PIXELS == 8 => self.strided::<S, 8, 2>(s, chunk, 2),
                _ if S::TILE_PIXELS == 3 => self.strided::<S, 3, 1>(s, chunk, blocks.min(2)),
                _ => self.strided::<S, 6, 1>(s, chunk, blocks.min(2)),
            }
        }
        if self.finish.stream {
            s.fence();
        }
    }
}

impl Rows<'_> {
    /// Gives the usual pixel steps to the matrix kernel as constants.
    #[inline(always)]
    fn strided<S: Simd, const P: usize, const N: usize>(&self, s: S, chunk: usize, blocks: usize) {
        let step = self.image.strip.pixel * self.spec.stride[1];
        match step {
            2 => self.chunk::<S, P, N, 2>(s, chunk, blocks, step),
            32 => self.chunk::<S, P, N, 32>(s, chunk, blocks, step),
            _ => self.chunk::<S, P, N, 0>(s, chunk, blocks, step),
        }
    }

    #[inline(always)]
    fn chunk<S: Simd, const P: usize, const N: usize, const STEP: usize>(
        &self,
        s: S,
        chunk: usize,
        blocks: usize,
        step: usize,
    ) {
        let Self { image, strip, .. } = *self;
        let plane = image.out_shape.plane() * LANES;
        let width = image.out_shape.width;
        for row in 0..self.rows {
            let start = row * self.spec.stride[0] * image.strip.columns * image.strip.pixel;
            for x in (0..width).step_by(P) {
                let input = &strip[start + x * step..];
                for vector in (0..blocks).step_by(N) {
                    let block = 2 * chunk + vector;
                    let at = block * plane + ((self.first_row + row) * width + x) * LANES;
                    let target = Target {
                        out: image.output.at(at),
                        plane,
                        residual: image.residual.map(|r| r[at..].as_ptr()),
                        residual_plane: plane,
                        valid: P.min(width - x),
                        vectors: N.min(blocks - vector),
                    };
                    let weights = &self.weights.chunk(chunk)[vector * LANES..];
                    let mut acc = zeros::<S, P, N>(s);
                    // SAFETY: a strip's columns leave room for a register tile that starts inside the
                    // row, and its rows hold every ky of `self.rows` output rows; the table was made
                    // for this strip, the weights hold a row per entry; `valid` pixels of `vectors`
                    // blocks lie inside the output and are this task's alone.
                    unsafe {
                        accumulate::<S, P, N, STEP>(
                            s,
                            &mut acc,
                            input.as_ptr(),
                            step,
                            &image.offsets,
                            weights.as_ptr(),
                        );
                        finish(s, &acc, &target, &self.finish, block * LANES);
                    }
                }
            }
        }
    }
}

/// The rows where multiply-adds are emulated: `group` pixels at a time.
#[cfg(target_arch = "x86_64")]
struct ByLists<'a> {
    rows: Rows<'a>,
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
        let (sums, scratch) = self.scratch.split_at_mut(self.group * CHUNK);
        for row in 0..self.rows.rows {
            let width = self.rows.image.out_shape.width;
            for x in (0..width).step_by(self.group) {
                let pixels = self.group.min(width - x);
                self.rows.group(s, row, x, &mut sums[..pixels * CHUNK], scratch);
            }
        }
        if self.rows.finish.stream {
            s.fence();
        }
    }
}

#[cfg(target_arch = "x86_64")]
impl Rows<'_> {
    /// Some pixels of a row, by lists.
    #[inline(always)]
    fn group<S: Simd>(&self, s: S, row: usize, x: usize, sums: &mut [f32], scratch: &mut [f32]) {
        let Self { image, .. } = *self;
        let step = image.strip.pixel * self.spec.stride[1];
        let start = row * self.spec.stride[0] * image.strip.columns * image.strip.pixel;
        let input = self.strip[start + x * step..].as_ptr();
        let place =
            |pixel: usize, k: usize| input.wrapping_add(image.offsets[k] as usize + pixel * step);
        let outputs = Outputs {
            weights: self.weights,
            chunks: self.chunks.clone(),
            output: &image.output,
            shape: image.out_shape,
            residual: image.residual,
            finish: &self.finish,
        };
        let first = (self.first_row + row) * image.out_shape.width + x;
        // SAFETY: a strip's columns hold every kx of the row's pixels, and its rows every ky; the table was made for it; the
        // pixels are of this task's rows.
        unsafe { outputs.compute(s, first, place, sums, scratch) };
    }
}
