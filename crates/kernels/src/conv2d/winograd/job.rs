//! What the tasks of one call work on: a list of the tiles of all images, in runs.

use super::form::{FormKernel, InForm};
use super::transform::POINTS;
use super::weights::{Products, TransformedWeights};
use crate::Level;
use crate::buffer::Shared;
#[cfg(target_arch = "x86_64")]
use crate::gemm::pairs::PAIRS;
use crate::gemm::{CHUNK, tile_width};
use crate::layout::BlockedShape;
use crate::simd::LANES;

/// One image's part in a list of tiles.
pub(super) struct Image<'a> {
    pub(super) input: &'a [f32],
    pub(super) in_shape: BlockedShape,
    pub(super) output: Shared<'a>,
    pub(super) out_shape: BlockedShape,
    pub(super) residual: Option<&'a [f32]>,
    /// Tiles of the images before this one.
    pub(super) first_tile: usize,
    pub(super) tiles_across: usize,
}

impl Image<'_> {
    /// The top-left output pixel of a tile of the list.
    #[inline(always)]
    pub(super) fn origin(&self, tile: usize) -> [usize; 2] {
        let tile = tile - self.first_tile;
        [4 * (tile / self.tiles_across), 4 * (tile % self.tiles_across)]
    }
}

/// Everything the tasks of one call share.
pub(super) struct Job<'a> {
    pub(super) level: Level,
    pub(super) images: Vec<Image<'a>>,
    pub(super) weights: &'a TransformedWeights,
    pub(super) padding: [usize; 2],
    pub(super) bias: Option<&'a [f32]>,
    pub(super) relu: bool,
    pub(super) stream: bool,
}

impl Job<'_> {
    /// Runs a piece of the work in the weights' form.
    pub(super) fn run(&self, kernel: impl FormKernel) {
        match self.weights.products {
            Products::Exact => self.level.run(InForm(kernel)),
            #[cfg(target_arch = "x86_64")]
            Products::Rounded(bf16) => bf16.run(InForm(kernel)),
        }
    }

    /// Whether products are computed over lists of the values that are not zero.
    #[cfg(target_arch = "x86_64")]
    pub(super) fn uses_lists(&self) -> bool {
        self.level.uses_lists() && matches!(self.weights.products, Products::Exact)
    }

    /// Places of one f32 that sixteen transformed channels take.
    pub(super) fn step(&self) -> usize {
        match self.weights.products {
            Products::Exact => LANES,
            #[cfg(target_arch = "x86_64")]
            Products::Rounded(_) => PAIRS,
        }
    }
}

/// A run of tiles. Their transformed data: [point][input block][tile][16 channels], tiles padded to
/// whole register tiles.
#[derive(Clone, Copy)]
pub(super) struct Run {
    pub(super) first: usize,
    pub(super) tiles: usize,
    /// Tiles of one register tile.
    pub(super) width: usize,
    pub(super) padded: usize,
    pub(super) in_blocks: usize,
    /// Places of a tile in a block.
    pub(super) step: usize,
}

impl Run {
    pub(super) fn new(job: &Job<'_>, first: usize, tiles: usize) -> Self {
        let width = tile_width(job.level.tile_pixels(), tiles);
        let in_blocks = job.weights.in_channels.div_ceil(LANES);
        let step = job.step();
        Self { first, tiles, width, padded: tiles.next_multiple_of(width), in_blocks, step }
    }

    /// Values from one point's transformed data to the next: an odd number of cache lines, so that a
    /// tile's 36 points do not compete for the same few places in the first-level cache.
    pub(super) fn point_stride(&self) -> usize {
        ((self.in_blocks * self.padded * self.step).div_ceil(LANES) | 1) * LANES
    }

    /// Transformed input.
    pub(super) fn transformed_len(&self) -> usize {
        POINTS * self.point_stride()
    }

    /// The products' sums with one chunk.
    pub(super) fn sums_len(&self) -> usize {
        POINTS * self.padded * CHUNK
    }
}
