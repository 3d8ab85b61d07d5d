//! The tree over the chunks: a counter in binary whose places hold sums.
//!
//! Chunk number `i` is added to what the places of its trailing ones hold, lowest first, and goes to the place above
//! them. At the end the places of the number of chunks, lowest first, are added to one. That is the pairwise tree of
//! [`sum`](mod@crate::sum), with room for a few sums instead of all.

use std::ops::Range;

use crate::gemm::CHUNK;
use crate::simd::{LANES, Simd};

/// Places for the sums of `chunks` chunks, and one more for a chain that is not done.
pub(super) fn places(chunks: usize) -> usize {
    chunks.checked_ilog2().map_or(1, |places| places as usize + 2)
}

/// The places that hold sums after `chunks` chunks, lowest first.
#[inline(always)]
pub(super) fn held(chunks: usize) -> impl Iterator<Item = usize> {
    let mut rest = chunks;
    std::iter::from_fn(move || {
        let place = rest.trailing_zeros();
        rest &= rest.checked_sub(1)?;
        Some(place as usize)
    })
}

/// A run of a chunk's positions that is done in one go.
#[derive(Clone, Debug)]
pub(super) struct Piece {
    pub(super) image: usize,
    /// Rows or tiles of the image.
    pub(super) positions: Range<usize>,
    /// The chains start here.
    pub(super) starts: bool,
    /// The chunk's number, where it ends here.
    pub(super) ends: Option<usize>,
}

/// Cuts images of so many positions each into chunks of up to `chunk`, and these into pieces of up to `piece`; also
/// answers how many chunks there are.
pub(super) fn pieces(images: impl Iterator<Item = [usize; 3]>) -> (Vec<Piece>, usize) {
    let (mut pieces, mut chunks) = (Vec::new(), 0);
    for (image, [positions, chunk, piece]) in images.enumerate() {
        for first in (0..positions).step_by(chunk) {
            let end = positions.min(first + chunk);
            for start in (first..end).step_by(piece) {
                let stop = end.min(start + piece);
                pieces.push(Piece {
                    image,
                    positions: start..stop,
                    starts: start == first,
                    ends: (stop == end).then_some(chunks),
                });
            }
            chunks += 1;
        }
    }
    (pieces, chunks)
}

/// Where a register tile's sums are kept: `P` rows of 32 in each place.
#[derive(Clone, Copy)]
pub(super) struct Sums {
    /// In the lowest place.
    pub(super) first: *mut f32,
    /// Values from one place to the next.
    pub(super) stride: usize,
    /// How many places there are; the last is for chains that are not done.
    pub(super) places: usize,
}

impl Sums {
    /// The accumulators a piece starts with.
    ///
    /// # Safety
    /// The places' rows are readable, and the last was stored where the piece does not start its chains.
    #[inline(always)]
    pub(super) unsafe fn open<S: Simd, const P: usize, const N: usize>(
        &self,
        s: S,
        piece: &Piece,
    ) -> [[S::V; N]; P] {
        let mut acc = [[s.splat(0.0); N]; P];
        // The next tile's are needed next.
        let lower = piece.ends.map_or(0, |chunk| chunk.trailing_ones() as usize);
        let resumed = if piece.starts { self.places } else { self.places - 1 };
        for place in (0..lower).chain(resumed..self.places) {
            let next = self.first.wrapping_add(place * self.stride + P * CHUNK);
            for line in 0..P * N {
                s.prefetch(next.wrapping_add(line * LANES));
            }
        }
        if !piece.starts {
            let from = self.first.wrapping_add((self.places - 1) * self.stride);
            for (p, row) in acc.iter_mut().enumerate() {
                for (n, value) in row.iter_mut().enumerate() {
                    // SAFETY: promised by the caller.
                    *value = unsafe { s.load(from.add(p * CHUNK + n * LANES)) };
                }
            }
        }
        acc
    }

    /// Puts accumulators where the tree wants them.
    ///
    /// # Safety
    /// The places' rows are readable and writable, nobody else touches them, and those of lower places were stored by
    /// the chunks before.
    #[inline(always)]
    pub(super) unsafe fn close<S: Simd, const P: usize, const N: usize>(
        &self,
        s: S,
        piece: &Piece,
        mut acc: [[S::V; N]; P],
    ) {
        let mut place = self.places - 1;
        if let Some(chunk) = piece.ends {
            place = chunk.trailing_ones() as usize;
            for lower in 0..place {
                let from = self.first.wrapping_add(lower * self.stride);
                for (p, row) in acc.iter_mut().enumerate() {
                    for (n, value) in row.iter_mut().enumerate() {
                        // SAFETY: promised by the caller.
                        let held = unsafe { s.load(from.add(p * CHUNK + n * LANES)) };
                        *value = s.add(held, *value);
                    }
                }
            }
        }
        let to = self.first.wrapping_add(place * self.stride);
        for (p, row) in acc.iter().enumerate() {
            for (n, value) in row.iter().enumerate() {
                // SAFETY: promised by the caller.
                unsafe { s.store(to.add(p * CHUNK + n * LANES), *value) };
            }
        }
    }
}
