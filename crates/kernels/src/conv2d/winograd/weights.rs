//! A convolution's weights in Winograd's form.

// See gemm: no iterators or closures over vectors.
#![allow(clippy::needless_range_loop)]

use super::super::Conv2dSpec;
use super::POINTS;
use super::transform::weights_2d;
use crate::buffer::{AlignedBuffer, Shared};
use crate::gemm::CHUNK;
use crate::simd::{Kernel, Simd};
use crate::{Level, parallel};

/// Weights packed as [output chunk][point][input channel][32].
#[derive(Clone, Debug)]
pub(crate) struct TransformedWeights {
    pub(super) in_channels: usize,
    pub(super) out_channels: usize,
    data: AlignedBuffer,
}

impl TransformedWeights {
    pub(in super::super) fn new(level: Level, spec: &Conv2dSpec, weight: &[f32]) -> Self {
        let (inputs, outputs) = (spec.in_channels, spec.out_channels);
        let per_chunk = POINTS * inputs * CHUNK;
        let mut data = AlignedBuffer::zeroed(outputs.div_ceil(CHUNK) * per_chunk);
        let shared = Shared::new(data.as_mut_slice());
        parallel::for_each(outputs.div_ceil(CHUNK), |chunk| {
            let first = chunk * CHUNK;
            let kernels = &weight[first * inputs * 9..(first + CHUNK).min(outputs) * inputs * 9];
            // SAFETY: each task has its own chunk.
            let packed = unsafe { shared.part(chunk * per_chunk, per_chunk) };
            level.run(TransformChunk { inputs, kernels, packed });
        });
        Self { in_channels: inputs, out_channels: outputs, data }
    }

    pub(super) fn chunks(&self) -> usize {
        self.out_channels.div_ceil(CHUNK)
    }

    /// [input channel][32] of one chunk and point.
    #[inline(always)]
    pub(super) fn matrix(&self, chunk: usize, point: usize) -> &[f32] {
        let len = self.in_channels * CHUNK;
        &self.data.as_slice()[(chunk * POINTS + point) * len..][..len]
    }
}

/// Kernels that are transformed side by side: a cache line of packed weights.
const SIDE_BY_SIDE: usize = 16;

/// The transform of up to 32 output channels' kernels, [output channel][input channel][9].
struct TransformChunk<'a> {
    inputs: usize,
    kernels: &'a [f32],
    /// [point][input channel][32], zero.
    packed: &'a mut [f32],
}

impl Kernel for TransformChunk<'_> {
    type Output = ();

    // Plain loops: at each level the compiler makes vectors of them, which round alike.
    #[inline(always)]
    fn run<S: Simd>(self, _: S) {
        let Self { inputs, kernels, packed } = self;
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
                let transformed = weights_2d(&taps);
                for point in 0..POINTS {
                    packed[(point * inputs + ci) * CHUNK + first..][..SIDE_BY_SIDE]
                        .copy_from_slice(&transformed[point]);
                }
            }
        }
    }
}
