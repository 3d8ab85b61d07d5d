//! What the forms that work on strips of the input share: a strip's layout, and how the rows of all
//! images are handed to tasks.

use std::ops::Range;

use super::item::{Input, Item};
use super::spec::Conv2dSpec;
use crate::buffer::Shared;
use crate::layout::BlockedShape;
use crate::parallel;
use crate::simd::LANES;

/// Values of a strip that stay in a thread's second-level cache, where one row is not more already.
const STRIP: usize = 96 * 1024;

/// One image of a call.
pub(super) struct Image<'a> {
    pub(super) input: Input<'a>,
    pub(super) output: Shared<'a>,
    pub(super) out_shape: BlockedShape,
    pub(super) residual: Option<&'a [f32]>,
    pub(super) strip: Strip,
    /// Where value k of the strip's first pixel lies.
    pub(super) offsets: Vec<u32>,
    first_task: usize,
}

/// Runs `task(image, [first row, rows], chunks)` over all output rows and `chunks` of output channels
/// of all images, in parallel.
pub(super) fn for_each_rows(
    spec: &Conv2dSpec,
    chunks: usize,
    items: &mut [Item<'_>],
    offsets: impl Fn(&Strip) -> Vec<u32>,
    task: impl Fn(&Image<'_>, [usize; 2], Range<usize>) + Sync,
) {
    let threads = rayon::current_num_threads();
    let mut tasks = 0;
    let images = items.iter_mut().map(|item| {
        let out_shape = item.output.shape();
        let strip = Strip::new(spec, &item.input, out_shape, threads);
        let first_task = tasks;
        tasks += out_shape.height.div_ceil(strip.out_rows);
        Image {
            input: item.input,
            output: Shared::new(item.output.data()),
            out_shape,
            residual: item.residual.map(|r| r.data()),
            strip,
            offsets: offsets(&strip),
            first_task,
        }
    });
    let images: Vec<_> = images.collect();
    parallel::for_each_with_chunks(tasks, chunks, |index, chunks| {
        let image = &images[images.partition_point(|image| image.first_task <= index) - 1];
        let first_row = (index - image.first_task) * image.strip.out_rows;
        let rows = image.strip.out_rows.min(image.out_shape.height - first_row);
        task(image, [first_row, rows], chunks);
    });
}

/// How the input under some output rows lies in scratch: [planes][rows][columns], where a plane is a
/// block of sixteen channels, or one channel of a planar input.
#[derive(Clone, Copy)]
pub(super) struct Strip {
    pub(super) size: [usize; 2],
    pub(super) planes: usize,
    /// Values of one pixel: 16, or 1.
    pub(super) pixel: usize,
    out_rows: usize,
    pub(super) rows: usize,
    pub(super) columns: usize,
}

impl Strip {
    fn new(spec: &Conv2dSpec, input: &Input<'_>, out: BlockedShape, threads: usize) -> Self {
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
    pub(super) fn offsets(&self, spec: &Conv2dSpec) -> Vec<u32> {
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
    pub(super) fn fill(
        &self,
        spec: &Conv2dSpec,
        input: &Input<'_>,
        first_row: usize,
        strip: &mut [f32],
    ) {
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
