//! The one order in which many values become one: losses, norms and gradients of biases are sums of this form.
//!
//! *The sum* of `n` values at positions `0..n` is
//!
//! 1. per chunk of [`CHUNK`] neighbouring values (the last may be shorter), sixteen partial sums that start at +0:
//!    number `j` takes the values with `position % 16 = j` in increasing order;
//! 2. the chunk's sum by halving: `s[j] + s[j + 8]` for `j < 8`, then of those `s[j] + s[j + 4]`, `s[j] + s[j + 2]`
//!    and `s[0] + s[1]`;
//! 3. the chunks' sums pairwise: of the list, each even member and its right neighbour are added, a last one
//!    without neighbour moves up as it is, until one is left.
//!
//! It depends on `n` alone. A sum of no values is +0.

use crate::buffer::Shared;
use crate::layout::Blocked;
use crate::simd::{Kernel, LANES, Simd};
use crate::{Error, Level, Result, parallel, with_ieee};

/// Values of a chunk, 16 KiB.
pub const CHUNK: usize = 4096;

/// The sum of `values`, in the [module](self)'s order.
///
/// ```
/// use retinanet_kernels::{Level, sum::sum};
/// assert_eq!(sum(Level::best(), &[0.5; 10_000]), 5000.0);
/// assert_eq!(sum(Level::best(), &[]).to_bits(), 0);
/// ```
pub fn sum(level: Level, values: &[f32]) -> f32 {
    let mut sums = vec![0.0; values.len().div_ceil(CHUNK)];
    parallel::for_each_value(&mut sums, |i, sum| {
        let start = i * CHUNK;
        let len = (values.len() - start).min(CHUNK);
        *sum = level.run(Chunk(&values[start..start + len]));
    });
    pairwise(&mut sums)
}

/// The sum of each channel over its pixels, position `y * width + x`, each in the [module](self)'s order: the gradient
/// of a convolution's bias, from that of its output.
///
/// # Errors
/// There is not one place in `sums` for each channel.
pub fn sum_channels(level: Level, values: Blocked, sums: &mut [f32]) -> Result<()> {
    let shape = values.shape();
    Error::check_length("sums of channels", shape.channels, sums.len())?;
    let chunks = (shape.height * shape.width).div_ceil(CHUNK);
    // A list of chunks for each channel.
    let mut of_chunks = vec![0.0; shape.blocks() * LANES * chunks];
    let shared = Shared::new(&mut of_chunks);
    parallel::for_each(shape.blocks() * chunks, |i| {
        let (block, chunk) = (i / chunks, i % chunks);
        let plane = &values.plane(block)[chunk * CHUNK * LANES..];
        let pixels = &plane[..plane.len().min(CHUNK * LANES)];
        let sums = level.run(ChunkOfChannels(pixels));
        for (lane, sum) in sums.into_iter().enumerate() {
            // SAFETY: each task has its own chunk of its own sixteen channels.
            let place = unsafe { shared.part((block * LANES + lane) * chunks + chunk, 1) };
            place[0] = sum;
        }
    });
    for (channel, sum) in sums.iter_mut().enumerate() {
        *sum = pairwise(&mut of_chunks[channel * chunks..][..chunks]);
    }
    Ok(())
}

/// Step 3: adds neighbours until one is left. What stays in `sums` is of no use.
pub fn pairwise(sums: &mut [f32]) -> f32 {
    with_ieee(|| {
        let mut len = sums.len();
        while len > 1 {
            for i in 0..len / 2 {
                sums[i] = sums[2 * i] + sums[2 * i + 1];
            }
            if !len.is_multiple_of(2) {
                sums[len / 2] = sums[len - 1];
            }
            len = len.div_ceil(2);
        }
        sums.first().copied().unwrap_or(0.0)
    })
}

/// Step 2.
#[inline(always)]
pub(crate) fn halve(mut sums: [f32; LANES]) -> f32 {
    for half in [8, 4, 2, 1] {
        for j in 0..half {
            sums[j] += sums[j + half];
        }
    }
    sums[0]
}

/// Steps 1 and 2 of one chunk.
struct Chunk<'a>(&'a [f32]);

impl Kernel for Chunk<'_> {
    type Output = f32;

    #[inline(always)]
    fn run<S: Simd>(self, s: S) -> f32 {
        let Self(values) = self;
        let mut partial = s.splat(0.0);
        let whole = values.len() / LANES * LANES;
        for at in (0..whole).step_by(LANES) {
            partial = s.add(partial, s.read(values, at));
        }
        let mut sums = [0.0; LANES];
        s.write(&mut sums, 0, partial);
        for (sum, value) in sums.iter_mut().zip(&values[whole..]) {
            *sum += value;
        }
        halve(sums)
    }
}

/// Steps 1 and 2 of one chunk of pixels, for sixteen channels at once.
struct ChunkOfChannels<'a>(&'a [f32]);

impl Kernel for ChunkOfChannels<'_> {
    type Output = [f32; LANES];

    #[inline(always)]
    fn run<S: Simd>(self, s: S) -> [f32; LANES] {
        let Self(pixels) = self;
        let mut partial = [s.splat(0.0); LANES];
        for sixteen in pixels.chunks(LANES * LANES) {
            for (pixel, sum) in partial.iter_mut().take(sixteen.len() / LANES).enumerate() {
                *sum = s.add(*sum, s.read(sixteen, pixel * LANES));
            }
        }
        for half in [8, 4, 2, 1] {
            for j in 0..half {
                partial[j] = s.add(partial[j], partial[j + half]);
            }
        }
        let mut sums = [0.0; LANES];
        s.write(&mut sums, 0, partial[0]);
        sums
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::layout::{BlockedBuffer, BlockedShape};
    use crate::testing::{assert_same_bits, everywhere, in_ieee, values};

    /// The module's text, recursively and one value at a time.
    pub(crate) fn oracle(values: &[f32]) -> f32 {
        fn tree(sums: Vec<f32>) -> f32 {
            match sums[..] {
                [] => 0.0,
                [one] => one,
                _ => tree(
                    sums.chunks(2).map(|p| if p.len() == 2 { p[0] + p[1] } else { p[0] }).collect(),
                ),
            }
        }
        let chunk = |values: &[f32]| {
            let mut sums: Vec<f32> = (0..16)
                .map(|j| values.iter().skip(j).step_by(16).fold(0.0, |sum, value| sum + value))
                .collect();
            while sums.len() > 1 {
                let half = sums.len() / 2;
                sums = (0..half).map(|j| sums[j] + sums[j + half]).collect();
            }
            sums[0]
        };
        tree(values.chunks(CHUNK).map(chunk).collect())
    }

    #[test]
    fn every_level_equals_the_oracle() {
        everywhere(|level| {
            for len in [0, 1, 15, 16, 17, 300, CHUNK - 1, CHUNK, CHUNK + 1, 5 * CHUNK + 77] {
                for hard in [false, true] {
                    let values = values(len as u64, len, hard);
                    let expected = in_ieee(&values, |values| oracle(values));
                    assert_same_bits(&[sum(level, &values)], &[expected], format!("{level} {len}"));
                }
            }
        });
    }

    #[test]
    fn each_channels_sum_is_the_sum_of_its_pixels() {
        everywhere(|level| {
            for (channels, size) in
                [(0, [2, 2]), (3, [0, 4]), (1, [1, 1]), (17, [5, 7]), (33, [67, 64]), (2, [91, 91])]
            {
                let pixels = size[0] * size[1];
                let values = values(pixels as u64, channels * pixels, true);
                let expected: Vec<f32> = in_ieee(&values, |values| {
                    (0..channels).map(|c| oracle(&values[c * pixels..][..pixels])).collect()
                });
                let shape = BlockedShape::new(channels, size);
                let blocked = BlockedBuffer::from_chw(shape, &values).unwrap();
                let mut sums = vec![f32::NAN; channels];
                sum_channels(level, blocked.as_ref(), &mut sums).unwrap();
                assert_same_bits(&sums, &expected, format!("{level} {shape:?}"));
            }
        });
        let blocked = BlockedBuffer::zeroed(BlockedShape::new(3, [2, 2]));
        assert!(sum_channels(Level::best(), blocked.as_ref(), &mut [0.0; 2]).is_err());
    }

    #[test]
    fn the_error_grows_with_the_logarithm_only() {
        let values = vec![0.1f32; 3_000_000];
        let exact = f64::from(0.1f32) * values.len() as f64;
        let error = (f64::from(sum(Level::best(), &values)) - exact).abs() / exact;
        assert!(error < 1e-5, "{error:e}");
    }
}
