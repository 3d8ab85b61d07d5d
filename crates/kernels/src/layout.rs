//! How one image's activations lie in memory: channels in blocks of sixteen.
//!
//! Value (c, y, x) is at `((c / 16) * plane + y * width + x) * 16 + c % 16`, where `plane` is the
//! number of pixels of a block, a little more than `height * width`. One pixel of one block is one
//! vector. The channels that fill up the last block are written with zeros or left-over values and
//! never read as if they were real. No result depends on this layout: digests and sums are defined
//! over logical (c, y, x).

use crate::buffer::AlignedBuffer;
use crate::parallel;
use crate::simd::LANES;
use crate::{Error, Result};

/// Channels, height and width of one image's activations.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct BlockedShape {
    /// Channels.
    pub channels: usize,
    /// Rows.
    pub height: usize,
    /// Columns.
    pub width: usize,
}

impl BlockedShape {
    /// A shape of `channels` x `height` x `width`.
    pub fn new(channels: usize, [height, width]: [usize; 2]) -> Self {
        Self { channels, height, width }
    }

    /// Height and width.
    pub fn size(&self) -> [usize; 2] {
        [self.height, self.width]
    }

    /// Blocks of sixteen channels.
    pub fn blocks(&self) -> usize {
        self.channels.div_ceil(LANES)
    }

    /// Pixels from one block's plane to the next. Planes that lie a multiple of 4 KiB apart would
    /// share cache sets, so such a stride is moved off it.
    pub fn plane(&self) -> usize {
        let pixels = self.height.saturating_mul(self.width);
        if pixels.is_multiple_of(64) { pixels + 1 } else { pixels }
    }

    /// Values of f32 in the whole layout, with room for a register tile to read past the last pixel. Of a
    /// shape that no memory has room for, more than any memory has: no slice is long enough for it.
    pub fn len(&self) -> usize {
        let pixels = self.blocks().saturating_mul(self.plane()).saturating_add(READ_PAST);
        pixels.saturating_mul(LANES)
    }

    /// Values without any padding: channels x height x width.
    pub fn values(&self) -> usize {
        self.channels.saturating_mul(self.height).saturating_mul(self.width)
    }

    /// Whether there is nothing in it.
    pub fn is_empty(&self) -> bool {
        self.values() == 0
    }
}

/// Pixels that a kernel may read (and discard) after the last one.
const READ_PAST: usize = 32;

/// Activations to read.
#[derive(Clone, Copy, Debug)]
pub struct Blocked<'a> {
    shape: BlockedShape,
    data: &'a [f32],
}

impl<'a> Blocked<'a> {
    /// Views `data` as activations of that shape.
    ///
    /// # Errors
    /// `data` is shorter than [`BlockedShape::len`].
    pub fn new(shape: BlockedShape, data: &'a [f32]) -> Result<Self> {
        check(shape, data.len())?;
        Ok(Self { shape, data: &data[..shape.len()] })
    }

    /// The shape.
    pub fn shape(&self) -> BlockedShape {
        self.shape
    }

    /// The values.
    pub fn data(&self) -> &'a [f32] {
        self.data
    }

    /// The pixels of one block of sixteen channels, `[height * width][16]`.
    ///
    /// # Panics
    /// There is no such block.
    pub fn plane(&self, block: usize) -> &'a [f32] {
        &self.data[block * self.shape.plane() * LANES..]
            [..self.shape.height * self.shape.width * LANES]
    }

    /// The value of a channel at a position `y * width + x`.
    ///
    /// # Panics
    /// It is outside the activations.
    pub fn value(&self, channel: usize, position: usize) -> f32 {
        assert!(channel < self.shape.channels, "channel {channel} of {}", self.shape.channels);
        self.plane(channel / LANES)[position * LANES + channel % LANES]
    }

    /// Copies the activations out as (c, y, x).
    ///
    /// # Errors
    /// `output` is not `channels * height * width` long.
    pub fn to_chw(&self, output: &mut [f32]) -> Result<()> {
        let pixels = self.shape.height * self.shape.width;
        Error::check_length(
            "activations in (c, y, x)",
            self.shape.channels * pixels,
            output.len(),
        )?;
        if pixels == 0 {
            return Ok(());
        }
        let shared = crate::buffer::Shared::new(output);
        parallel::for_each(self.shape.blocks(), |block| {
            let first = block * LANES;
            let channels = (self.shape.channels - first).min(LANES);
            // SAFETY: each task has its own channels.
            let out = unsafe { shared.part(first * pixels, channels * pixels) };
            let plane = &self.data[block * self.shape.plane() * LANES..][..pixels * LANES];
            for (start, pixels_of_tile) in tiles(pixels) {
                for c in 0..channels {
                    let row = &mut out[c * pixels + start..][..pixels_of_tile];
                    for (value, pixel) in
                        row.iter_mut().zip(plane[start * LANES..].chunks_exact(LANES))
                    {
                        *value = pixel[c];
                    }
                }
            }
        });
        Ok(())
    }
}

/// Activations to write.
#[derive(Debug)]
pub struct BlockedMut<'a> {
    shape: BlockedShape,
    data: &'a mut [f32],
}

impl<'a> BlockedMut<'a> {
    /// Views `data` as activations of that shape.
    ///
    /// # Errors
    /// `data` is shorter than [`BlockedShape::len`].
    pub fn new(shape: BlockedShape, data: &'a mut [f32]) -> Result<Self> {
        check(shape, data.len())?;
        Ok(Self { shape, data: &mut data[..shape.len()] })
    }

    /// The shape.
    pub fn shape(&self) -> BlockedShape {
        self.shape
    }

    /// The values, to write.
    pub fn data(&mut self) -> &mut [f32] {
        self.data
    }

    /// The same activations, to read.
    pub fn as_ref(&self) -> Blocked<'_> {
        Blocked { shape: self.shape, data: self.data }
    }

    /// Copies activations in from (c, y, x); channels that fill up the last block become zero.
    ///
    /// # Errors
    /// `input` is not `channels * height * width` long.
    pub fn copy_from_chw(&mut self, input: &[f32]) -> Result<()> {
        let shape = self.shape;
        let pixels = shape.height * shape.width;
        Error::check_length("activations in (c, y, x)", shape.channels * pixels, input.len())?;
        if pixels == 0 {
            return Ok(());
        }
        let shared = crate::buffer::Shared::new(self.data);
        parallel::for_each(shape.blocks(), |block| {
            let first = block * LANES;
            let channels = (shape.channels - first).min(LANES);
            // SAFETY: each task has its own plane.
            let plane = unsafe { shared.part(block * shape.plane() * LANES, pixels * LANES) };
            if channels < LANES {
                plane.fill(0.0);
            }
            for (start, pixels_of_tile) in tiles(pixels) {
                for c in 0..channels {
                    let row = &input[(first + c) * pixels + start..][..pixels_of_tile];
                    for (value, pixel) in
                        row.iter().zip(plane[start * LANES..].chunks_exact_mut(LANES))
                    {
                        pixel[c] = *value;
                    }
                }
            }
        });
        Ok(())
    }
}

/// Owned activations.
#[derive(Clone, Debug, Default)]
pub struct BlockedBuffer {
    shape: BlockedShape,
    buffer: AlignedBuffer,
}

impl BlockedBuffer {
    /// Activations of that shape, all zero.
    pub fn zeroed(shape: BlockedShape) -> Self {
        Self { shape, buffer: AlignedBuffer::zeroed(shape.len()) }
    }

    /// Activations copied in from (c, y, x).
    ///
    /// # Errors
    /// `input` is not `channels * height * width` long.
    pub fn from_chw(shape: BlockedShape, input: &[f32]) -> Result<Self> {
        let mut buffer = Self::zeroed(shape);
        buffer.as_mut().copy_from_chw(input)?;
        Ok(buffer)
    }

    /// To read.
    pub fn as_ref(&self) -> Blocked<'_> {
        Blocked { shape: self.shape, data: &self.buffer.as_slice()[..self.shape.len()] }
    }

    /// To write.
    pub fn as_mut(&mut self) -> BlockedMut<'_> {
        let len = self.shape.len();
        BlockedMut { shape: self.shape, data: &mut self.buffer.as_mut_slice()[..len] }
    }
}

/// Pixels in runs short enough that a run of sixteen channels stays in the first-level cache.
fn tiles(pixels: usize) -> impl Iterator<Item = (usize, usize)> {
    (0..pixels).step_by(64).map(move |start| (start, (pixels - start).min(64)))
}

fn check(shape: BlockedShape, actual: usize) -> Result<()> {
    let expected = shape.len();
    if actual < expected {
        return Err(Error::Length { what: "blocked activations", expected, actual });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shape_that_no_memory_holds_fits_no_slice() {
        for [channels, height, width] in
            [[usize::MAX, 1, 1], [16, 1 << 31, usize::MAX], [64, usize::MAX / 64, 1]]
        {
            let shape = BlockedShape::new(channels, [height, width]);
            assert!(shape.len() > isize::MAX as usize / size_of::<f32>(), "{shape:?}");
            assert!(Blocked::new(shape, &[0.0; 4096]).is_err(), "{shape:?}");
        }
    }

    #[test]
    fn copying_in_and_out_gives_the_same_values() {
        for channels in [1, 15, 16, 17, 40] {
            for size in [[1, 1], [3, 5], [8, 8], [7, 41]] {
                let shape = BlockedShape::new(channels, size);
                let input: Vec<f32> = (0..channels * size[0] * size[1]).map(|i| i as f32).collect();
                let buffer = BlockedBuffer::from_chw(shape, &input).unwrap();
                let mut output = vec![f32::NAN; input.len()];
                buffer.as_ref().to_chw(&mut output).unwrap();
                assert_eq!(output, input);
            }
        }
    }

    #[test]
    fn planes_never_lie_a_multiple_of_4_kib_apart() {
        for width in 1..200 {
            assert_ne!(BlockedShape::new(32, [64, width]).plane() % 64, 0);
        }
    }
}
