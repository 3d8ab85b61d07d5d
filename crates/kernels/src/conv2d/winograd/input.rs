//! The input transform of a run of tiles.

// See gemm: no iterators or closures over vectors.
#![allow(clippy::needless_range_loop)]

use std::ops::Range;

use super::form::{Form, FormKernel};
use super::job::{Job, Run};
use super::transform::POINTS;
use crate::buffer::Shared;
use crate::simd::{Arithmetic, LANES, Simd};

/// The transform of some tiles of a run, for one block of input channels.
pub(super) struct TransformInput<'a> {
    pub(super) job: &'a Job<'a>,
    pub(super) run: Run,
    pub(super) block: usize,
    /// Tiles of the run; those past its end become zero.
    pub(super) columns: Range<usize>,
    pub(super) transformed: &'a Shared<'a>,
}

/// A 6x6 patch of one block of channels, on cache lines.
#[repr(align(64))]
pub(in super::super) struct Patch([f32; POINTS * LANES]);

impl Patch {
    /// Room for one.
    #[inline(always)]
    pub(in super::super) fn new() -> Self {
        Self([0.0; POINTS * LANES])
    }
}

impl FormKernel for TransformInput<'_> {
    #[inline(always)]
    fn run<F: Form>(self, f: F) {
        let s = f.simd();
        let Self { job, run, block, columns, transformed } = self;
        let stride = run.point_stride();
        let last = job.images.len() - 1;
        let mut image = job
            .images
            .partition_point(|i| i.first_tile <= run.first + columns.start)
            .saturating_sub(1);
        let valid = job.weights.in_channels - block * LANES;
        let mut padded = Patch::new();
        for column in columns {
            let tile = run.first + column;
            let out = (block * run.padded + column) * F::PLACES;
            assert!((POINTS - 1) * stride + out + F::PLACES <= transformed.len());
            let out = transformed.at(out);
            if column >= run.tiles {
                for point in 0..POINTS {
                    // SAFETY: in bounds by the assertion; this tile is this task's alone.
                    unsafe { f.put(out.add(point * stride), s.splat(0.0), LANES) };
                }
                continue;
            }
            while image < last && job.images[image + 1].first_tile <= tile {
                image += 1;
            }
            let image = &job.images[image];
            let (height, width) = (image.in_shape.height, image.in_shape.width);
            let plane = &image.input[block * image.in_shape.plane() * LANES..];
            let plane = &plane[..height * width * LANES];
            // SAFETY: the 36 places are in bounds by the assertion, and this tile is this task's alone.
            unsafe {
                transform_tile(
                    f,
                    plane,
                    [height, width],
                    image.origin(tile),
                    job.padding,
                    &mut padded,
                    out,
                    stride,
                    valid,
                );
            }
        }
    }
}

/// The transform of the patch under one tile of a plane, whose top-left output is `origin`, for the exact form.
///
/// # Safety
/// Sixteen values at each of the 36 points from `out` on, `stride` apart, are writable.
#[allow(clippy::too_many_arguments)]
#[inline(always)]
pub(in super::super) unsafe fn transform_exact<S: Simd>(
    s: S,
    plane: &[f32],
    size: [usize; 2],
    origin: [usize; 2],
    padding: [usize; 2],
    padded: &mut Patch,
    out: *mut f32,
    stride: usize,
) {
    // SAFETY: promised by the caller.
    unsafe { transform_tile(s, plane, size, origin, padding, padded, out, stride, LANES) };
}

/// The transform of the patch under the tile whose top-left output is at (oy, ox); `padded` is room for one that
/// is not inside.
///
/// # Safety
/// [`BlockProducts::PLACES`](crate::gemm::BlockProducts::PLACES) places at each of the 36 from `out` on, `stride` apart, are
/// writable.
#[allow(clippy::too_many_arguments)]
#[inline(always)]
unsafe fn transform_tile<F: Form>(
    f: F,
    plane: &[f32],
    [height, width]: [usize; 2],
    [oy, ox]: [usize; 2],
    [pad_y, pad_x]: [usize; 2],
    padded: &mut Patch,
    out: *mut f32,
    stride: usize,
    valid: usize,
) {
    let s = f.simd();
    let inside = oy >= pad_y && ox >= pad_x && oy + 6 - pad_y <= height && ox + 6 - pad_x <= width;
    let (patch, row) = if inside {
        let first = ((oy - pad_y) * width + ox - pad_x) * LANES;
        for y in 0..6 {
            // The columns that the next tile adds.
            for x in 6..10 {
                let next = first + (y * width + x) * LANES;
                s.prefetch(plane.as_ptr().wrapping_add(next));
            }
        }
        (&plane[first..], width * LANES)
    } else {
        pad([height, width], plane, [oy, ox], [pad_y, pad_x], padded);
        (&padded.0[..], 6 * LANES)
    };
    assert!(5 * row + 6 * LANES <= patch.len());
    // SAFETY: six rows of six pixels are readable by the assertion; the places are promised by the caller.
    unsafe { transform(f, patch.as_ptr(), row, out, stride, valid) };
}

/// The patch under the tile at (oy, ox), +0 outside the image.
fn pad(
    [height, width]: [usize; 2],
    plane: &[f32],
    [oy, ox]: [usize; 2],
    [pad_y, pad_x]: [usize; 2],
    patch: &mut Patch,
) {
    for (i, pixel) in patch.0.chunks_exact_mut(LANES).enumerate() {
        let y = (oy + i / 6).checked_sub(pad_y).filter(|y| *y < height);
        let x = (ox + i % 6).checked_sub(pad_x).filter(|x| *x < width);
        match (y, x) {
            (Some(y), Some(x)) => {
                pixel.copy_from_slice(&plane[(y * width + x) * LANES..][..LANES]);
            }
            _ => pixel.fill(0.0),
        }
    }
}

/// The transform of one patch: along y, then along x.
///
/// # Safety
/// Six rows of six pixels, `row` values apart, are readable from `patch` on, and [`BlockProducts::PLACES`](crate::gemm::BlockProducts::PLACES) places
/// at each of the 36 from `out` on, `stride` apart, are writable.
#[inline(always)]
unsafe fn transform<F: Form>(
    f: F,
    patch: *const f32,
    row: usize,
    out: *mut f32,
    stride: usize,
    valid: usize,
) {
    let s = f.simd();
    let mut columns = [[s.splat(0.0); 6]; 6];
    for x in 0..6 {
        let mut column = [s.splat(0.0); 6];
        for y in 0..6 {
            // SAFETY: promised by the caller.
            column[y] = unsafe { s.load(patch.add(y * row + x * LANES)) };
        }
        columns[x] = f.input_1d(column);
    }
    let c = columns;
    for y in 0..6 {
        let points = f.input_1d([c[0][y], c[1][y], c[2][y], c[3][y], c[4][y], c[5][y]]);
        for x in 0..6 {
            // SAFETY: promised by the caller.
            unsafe { f.put(out.add((6 * y + x) * stride), points[x], valid) };
        }
    }
}
