//! A convolution's weights in Winograd's form.

// See gemm: no iterators or closures over vectors.
#![allow(clippy::needless_range_loop)]

use super::super::spec::Conv2dSpec;
#[cfg(target_arch = "x86_64")]
use super::rounded;
use super::transform::{CANONICAL, POINTS, weights_2d};
use crate::buffer::{AlignedBuffer, Shared};
use crate::gemm::CHUNK;
#[cfg(target_arch = "x86_64")]
use crate::gemm::pairs::{PAIRS, to_bf16};
#[cfg(target_arch = "x86_64")]
use crate::simd::{Bf16, LANES};
use crate::simd::{Kernel, Simd};
use crate::{Level, parallel};

/// Weights packed as [output chunk][point][input channel][32], or, in pairs of bfloat16, as
/// [output chunk][point][pair of input channels][32], whole blocks of sixteen channels.
#[derive(Clone, Debug)]
pub(crate) struct TransformedWeights {
    pub(super) in_channels: usize,
    pub(super) out_channels: usize,
    pub(super) products: Products,
    /// Rows of 32 of one chunk and point.
    rows: usize,
    data: AlignedBuffer,
}

/// What the transformed weights are multiplied in.
#[derive(Clone, Copy, Debug)]
pub(super) enum Products {
    /// f32, by the contract.
    Exact,
    /// bfloat16, in pairs.
    #[cfg(target_arch = "x86_64")]
    Rounded(Bf16),
}

impl TransformedWeights {
    pub(in super::super) fn new(level: Level, spec: &Conv2dSpec, weight: &[f32]) -> Self {
        Self::packed(level, spec, weight, Products::Exact)
    }

    /// For the fast mode.
    #[cfg(target_arch = "x86_64")]
    pub(in super::super) fn rounded(
        level: Level,
        bf16: Bf16,
        spec: &Conv2dSpec,
        weight: &[f32],
    ) -> Self {
        Self::packed(level, spec, weight, Products::Rounded(bf16))
    }

    fn packed(level: Level, spec: &Conv2dSpec, weight: &[f32], products: Products) -> Self {
        let (inputs, outputs) = (spec.in_channels, spec.out_channels);
        let rows = match products {
            Products::Exact => inputs,
            #[cfg(target_arch = "x86_64")]
            Products::Rounded(_) => inputs.div_ceil(LANES) * PAIRS,
        };
        let data = AlignedBuffer::zeroed(outputs.div_ceil(CHUNK) * POINTS * rows * CHUNK);
        let (in_channels, out_channels) = (inputs, outputs);
        let mut weights = Self { in_channels, out_channels, products, rows, data };
        weights.transform(level, weight);
        weights
    }

    /// Transforms other weights of the same shape, in the same memory.
    pub(in super::super) fn repack(&mut self, level: Level, weight: &[f32]) {
        if !matches!(self.products, Products::Exact) {
            // Pairs are put together bit by bit.
            self.data.as_mut_slice().fill(0.0);
        }
        self.transform(level, weight);
    }

    /// What is zero past the last output channel stays so.
    fn transform(&mut self, level: Level, weight: &[f32]) {
        let per_chunk = self.per_chunk();
        let (inputs, outputs) = (self.in_channels, self.out_channels);
        let (products, rows) = (self.products, self.rows);
        let shared = Shared::new(self.data.as_mut_slice());
        parallel::for_each(outputs.div_ceil(CHUNK), |chunk| {
            let first = chunk * CHUNK;
            let kernels = &weight[first * inputs * 9..(first + CHUNK).min(outputs) * inputs * 9];
            // SAFETY: each task has its own chunk.
            let packed = unsafe { shared.part(chunk * per_chunk, per_chunk) };
            level.run(TransformChunk { inputs, kernels, products, rows, packed });
        });
    }

    pub(super) fn chunks(&self) -> usize {
        self.out_channels.div_ceil(CHUNK)
    }

    /// Values of one chunk.
    pub(super) fn per_chunk(&self) -> usize {
        POINTS * self.rows * CHUNK
    }

    /// The rows of one chunk and point.
    #[inline(always)]
    pub(super) fn matrix(&self, chunk: usize, point: usize) -> &[f32] {
        let len = self.rows * CHUNK;
        &self.data.as_slice()[(chunk * POINTS + point) * len..][..len]
    }
}

/// Kernels that are transformed side by side: a cache line of packed weights.
const SIDE_BY_SIDE: usize = 16;

/// The transform of up to 32 output channels' kernels, [output channel][input channel][9].
struct TransformChunk<'a> {
    inputs: usize,
    kernels: &'a [f32],
    products: Products,
    rows: usize,
    /// [point][row][32], zero.
    packed: &'a mut [f32],
}

impl Kernel for TransformChunk<'_> {
    type Output = ();

    // Plain loops: at each level the compiler makes vectors of them, which round alike.
    #[inline(always)]
    fn run<S: Simd>(self, _: S) {
        let Self { inputs, kernels, products, rows, packed } = self;
        let outputs = kernels.len() / (inputs * 9);
        for ci in 0..inputs {
            for first in (0..outputs).step_by(SIDE_BY_SIDE) {
                let mut taps = [[0.0; SIDE_BY_SIDE]; 9];
                for column in 0..SIDE_BY_SIDE.min(outputs - first) {
                    let kernel = &kernels[((first + column) * inputs + ci) * 9..][..9];
                    for tap in 0..9 {
                        taps[tap][column] = f64::from(kernel[tap]);
                    }
                }
                match products {
                    Products::Exact => {
                        let transformed = weights_2d(&CANONICAL, &taps);
                        for point in 0..POINTS {
                            packed[(point * rows + ci) * CHUNK + first..][..SIDE_BY_SIDE]
                                .copy_from_slice(&transformed[point]);
                        }
                    }
                    #[cfg(target_arch = "x86_64")]
                    Products::Rounded(_) => {
                        let transformed = weights_2d(&rounded::WEIGHTS, &taps);
                        for point in 0..POINTS {
                            let row = &mut packed[(point * rows + ci / 2) * CHUNK + first..];
                            for column in 0..SIDE_BY_SIDE {
                                let half = u32::from(to_bf16(transformed[point][column]));
                                let pair = row[column].to_bits() | half << (ci % 2 * 16);
                                row[column] = f32::from_bits(pair);
                            }
                        }
                    }
                }
            }
        }
    }
}
