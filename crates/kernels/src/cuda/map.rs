//! A feature map on a GPU.

use super::memory::{Buffer, Gpu};
use super::{Item, int};
use crate::{Error, Result};

/// One image's feature map on a GPU: planes of (y, x), one a channel, each padded to a multiple of four
/// values.
#[derive(Debug)]
pub struct Map {
    channels: usize,
    size: [usize; 2],
    buffer: Buffer,
}

impl Map {
    /// A map with any content.
    pub(crate) fn room(gpu: &Gpu, channels: usize, size: [usize; 2]) -> Result<Self> {
        let buffer = gpu.room::<f32>(check(channels, size)?)?;
        Ok(Self { channels, size, buffer })
    }

    /// A copy of a map in (c, y, x) order; `size` is height and width.
    ///
    /// # Errors
    /// The length does not match, or the GPU has no room.
    pub fn from_chw(gpu: &Gpu, channels: usize, size: [usize; 2], values: &[f32]) -> Result<Self> {
        check(channels, size)?;
        let pixels = size[0] * size[1];
        Error::check_length("GPU map", channels * pixels, values.len())?;
        let whole = pixels == plane(size);
        let mut padded = vec![0.0; if whole { 0 } else { check(channels, size)? }];
        for (to, from) in padded.chunks_mut(plane(size).max(1)).zip(values.chunks(pixels.max(1))) {
            to[..pixels].copy_from_slice(from);
        }
        let buffer = gpu.copy_of(if whole { values } else { &padded })?;
        Ok(Self { channels, size, buffer })
    }

    /// The values in (c, y, x) order.
    ///
    /// # Errors
    /// The GPU failed, now or in earlier work.
    pub fn to_chw(&self) -> Result<Vec<f32>> {
        let (pixels, plane) = (self.size[0] * self.size[1], plane(self.size));
        let mut values = vec![0.0; self.channels * plane];
        self.buffer.read(&mut values)?;
        if pixels != plane {
            for channel in 1..self.channels {
                values.copy_within(channel * plane..channel * plane + pixels, channel * pixels);
            }
            values.truncate(self.channels * pixels);
        }
        Ok(values)
    }

    /// Channels.
    pub fn channels(&self) -> usize {
        self.channels
    }

    /// Height and width.
    pub fn size(&self) -> [usize; 2] {
        self.size
    }

    /// Values of one channel, the padding included.
    pub(crate) fn plane(&self) -> usize {
        plane(self.size)
    }

    /// The GPU it is on.
    pub fn gpu(&self) -> &Gpu {
        self.buffer.gpu()
    }

    pub(crate) fn pointer(&self) -> &u64 {
        self.buffer.pointer()
    }

    /// The item of a launch that reads this map and writes `output`, which may be the same.
    pub(crate) fn item_into(&self, output: &Map) -> Item {
        // Sides fit, for the product of all dimensions does.
        let [in_height, in_width] = self.size.map(|side| side as i32);
        let [out_height, out_width] = output.size.map(|side| side as i32);
        let (input, output) = (*self.pointer(), *output.pointer());
        Item { input, output, in_height, in_width, out_height, out_width, ..Item::default() }
    }
}

/// No kernel has blocks of more.
const MOST_PIXELS_OF_A_BLOCK: usize = 4096;

/// As `plane_of` in common.cu.
pub(crate) fn plane([height, width]: [usize; 2]) -> usize {
    (height * width).next_multiple_of(4)
}

/// Refuses a map of so many values that a launch cannot address them: its last block may count up to a block's
/// pixels further, still in an `int`.
pub(crate) fn addressable(values: usize) -> Result<()> {
    int("a map", values.saturating_add(MOST_PIXELS_OF_A_BLOCK)).map(drop)
}

/// How many values a map has, the padding included, if a launch can address them.
fn check(channels: usize, size: [usize; 2]) -> Result<usize> {
    let plane = size[0].checked_mul(size[1]).and_then(|n| n.checked_next_multiple_of(4));
    let values = plane.and_then(|plane| plane.checked_mul(channels)).unwrap_or(usize::MAX);
    addressable(values).map(|()| values)
}
