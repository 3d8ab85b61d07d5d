//! Convolution of any kernel and stride: strips of the padded input, then the matrix kernel.
//!
//! A task owns some output rows. It copies the input rows under them into scratch, with the zeros
//! around them, so that where value k of a pixel lies is one table for all pixels.

use super::{Conv2dSpec, Input, Item};
use crate::buffer::{Shared, with_scratch};
use crate::gemm::{Finish, PackedMatrix, STREAM, Target, accumulate, finish, tile_width, zeros};
use crate::layout::BlockedShape;
use crate::simd::{Kernel, LANES, Simd};
use crate::{Level, parallel};

/// Values of a strip that stay in a thread's second-level cache, where one row is not more already.
const STRIP: usize = 96 * 1024;

/// One image of a call.
struct Image<'a> {
    input: Input<'a>,
    output: Shared<'a>,
    out_shape: BlockedShape,
    residual: Option<&'a [f32]>,
    strip: Strip,
    first_task: usize,
}

/// How the input under some output rows lies in scratch: [planes][rows][columns], where a plane is a
/// block of sixteen channels, or one channel of a planar input.
#[derive(Clone, Copy)]
pub(super) struct Strip {
    pub(super) size: [usize; 2],
    pub(super) planes: usize,
    /// Values of one pixel: 16, or 1.
    pixel: usize,
    pub(super) out_rows: usize,
    pub(super) rows: usize,
    pub(super) columns: usize,
}

impl Strip {
    pub(super) fn new(
        spec: &Conv2dSpec,
        input: &Input<'_>,
        out: BlockedShape,
        threads: usize,
    ) -> Self {
        let (size, planes, pixel) = match input {
            Input::Blocked(b) => (b.shape().size(), b.shape().blocks(), LANES),
            Input::Planar { size, .. } => (*size, spec.in_channels, 1),
        };
        // Room for the discarded pixels of a row's last register tile.
        let columns =
            ((out.width + 14) * spec.stride[1] + spec.kernel[1]).max(size[1] + spec.padding[1]);
        let values_per_row = planes * columns * pixel * spec.stride[0];
        let fits = STRIP / values_per_row.max(1);
        let out_rows = fits.clamp(1, out.height.div_ceil(4 * threads).max(1));
        let rows = (out_rows - 1) * spec.stride[0] + spec.kernel[0];
        Self { size, planes, pixel, out_rows, rows, columns }
    }

    pub(super) fn len(&self) -> usize {
        self.planes * self.rows * self.columns * self.pixel
    }

    /// Where k = (ci, ky, kx) of the strip's first pixel lies.
    fn offsets(&self, spec: &Conv2dSpec) -> Vec<u32> {
        let mut offsets = Vec::with_capacity(spec.in_channels * spec.kernel[0] * spec.kernel[1]);
        for ci in 0..spec.in_channels {
            let (plane, lane) = (ci / self.pixel, ci % self.pixel);
            for ky in 0..spec.kernel[0] {
                for kx in 0..spec.kernel[1] {
                    let at = ((plane * self.rows + ky) * self.columns + kx) * self.pixel + lane;
                    offsets.push(at as u32);
                }
            }
        }
        offsets
    }

    /// Copies the input under output rows from `first_row` on; +0 where there is none.
    fn fill(&self, spec: &Conv2dSpec, input: &Input<'_>, first_row: usize, strip: &mut [f32]) {
        let (data, plane_stride) = match input {
            Input::Blocked(b) => (b.data(), b.shape().plane() * LANES),
            Input::Planar { data, size } => (*data, size[0] * size[1]),
        };
        let [height, width] = self.size;
        for (i, row) in strip.chunks_exact_mut(self.columns * self.pixel).enumerate() {
            let (plane, y) = (i / self.rows, i % self.rows);
            let y = (first_row * spec.stride[0] + y)
                .checked_sub(spec.padding[0])
                .filter(|y| *y < height);
            let Some(y) = y else {
                row.fill(0.0);
                continue;
            };
            let source =
                &data[plane * plane_stride + y * width * self.pixel..][..width * self.pixel];
            let (left, rest) = row.split_at_mut(spec.padding[1] * self.pixel);
            let (middle, right) = rest.split_at_mut(source.len());
            left.fill(0.0);
            middle.copy_from_slice(source);
            right.fill(0.0);
        }
    }
}

pub(super) fn forward(
    level: Level,
    spec: &Conv2dSpec,
    weights: &PackedMatrix,
    bias: Option<&[f32]>,
    relu: bool,
    items: &mut [Item<'_>],
) {
    let threads = rayon::current_num_threads();
    let mut tasks = 0;
    let images: Vec<(Image<'_>, Vec<u32>)> = items
        .iter_mut()
        .map(|item| {
            let out_shape = item.output.shape();
            let strip = Strip::new(spec, &item.input, out_shape, threads);
            let first_task = tasks;
            tasks += out_shape.height.div_ceil(strip.out_rows);
            let image = Image {
                input: item.input,
                output: Shared::new(item.output.data()),
                out_shape,
                residual: item.residual.map(|r| r.data()),
                strip,
                first_task,
            };
            (image, strip.offsets(spec))
        })
        .collect();
    parallel::for_each_with_chunks(tasks, weights.chunks(), |task, chunks| {
        let (image, offsets) = &images[images.partition_point(|(i, _)| i.first_task <= task) - 1];
        let first_row = (task - image.first_task) * image.strip.out_rows;
        let rows = image.strip.out_rows.min(image.out_shape.height - first_row);
        with_scratch(image.strip.len(), |strip| {
            image.strip.fill(spec, &image.input, first_row, strip);
            let finish = Finish { bias, relu, stream: image.out_shape.len() >= STREAM };
            level.run(Rows {
                image,
                spec,
                weights,
                offsets,
                strip,
                first_row,
                rows,
                chunks,
                finish,
            });
        });
    });
}

/// Some output rows with some chunks of output channels.
struct Rows<'a> {
    image: &'a Image<'a>,
    spec: &'a Conv2dSpec,
    weights: &'a PackedMatrix,
    offsets: &'a [u32],
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
                            self.offsets,
                            weights.as_ptr(),
                        );
                        finish(s, &acc, &target, &self.finish, block * LANES);
                    }
                }
            }
        }
    }
}
