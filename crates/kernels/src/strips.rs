//! Rows of a blocked output, cut into tasks.

use crate::buffer::Shared;
use crate::layout::BlockedMut;
use crate::parallel;
use crate::simd::LANES;

/// Pixels that a task handles at least, where the plane has them: some hundred KiB.
const PIXELS: usize = 4096;

/// Some rows of one block of an output.
pub(crate) struct Strip<'a> {
    /// The block of sixteen channels.
    pub(crate) block: usize,
    /// The first row.
    pub(crate) first_row: usize,
    /// The rows' values: `width * 16` each, nothing between them.
    pub(crate) values: &'a mut [f32],
}

/// Runs `task` on every strip of `output`, in parallel.
pub(crate) fn for_each(output: &mut BlockedMut, task: impl Fn(Strip) + Sync) {
    let shape = output.shape();
    if shape.is_empty() {
        return;
    }
    let rows = PIXELS.div_ceil(shape.width).min(shape.height);
    let strips = shape.height.div_ceil(rows);
    let shared = Shared::new(output.data());
    parallel::for_each(shape.blocks() * strips, |i| {
        let (block, first_row) = (i / strips, i % strips * rows);
        let rows = rows.min(shape.height - first_row);
        let start = (block * shape.plane() + first_row * shape.width) * LANES;
        // SAFETY: strips do not overlap.
        let values = unsafe { shared.part(start, rows * shape.width * LANES) };
        task(Strip { block, first_row, values });
    });
}

/// Runs `task` on every block's plane of `output` (`height * width * 16` values), in parallel.
pub(crate) fn for_each_plane(output: &mut BlockedMut, task: impl Fn(usize, &mut [f32]) + Sync) {
    let shape = output.shape();
    if shape.is_empty() {
        return;
    }
    let len = shape.height * shape.width * LANES;
    let shared = Shared::new(output.data());
    parallel::for_each(shape.blocks(), |block| {
        // SAFETY: planes do not overlap.
        let plane = unsafe { shared.part(block * shape.plane() * LANES, len) };
        task(block, plane);
    });
}
