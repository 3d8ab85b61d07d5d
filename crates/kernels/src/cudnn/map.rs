//! A feature map of the fast mode.

use super::Format;
use crate::cuda::{self, Argument, Buffer, Gpu, ITEMS, Item, Items, addressable, int};
use crate::{Error, Result};

/// One image's feature map on a GPU, as (y, x, channel) with the channels padded by zeros to whole
/// vectors.
#[derive(Debug)]
pub struct Map {
    channels: usize,
    size: [usize; 2],
    format: Format,
    buffer: Buffer,
}

/// Threads of a block.
pub(super) const THREADS: usize = 256;
/// Pixels and channels of a block that leaves.
const TILE: usize = 32;

impl Map {
    /// A map with any content.
    pub(super) fn room(
        gpu: &Gpu,
        format: Format,
        channels: usize,
        size: [usize; 2],
    ) -> Result<Self> {
        let values = channels
            .checked_next_multiple_of(format.lanes())
            .and_then(|padded| padded.checked_mul(size[0])?.checked_mul(size[1]))
            .unwrap_or(usize::MAX);
        addressable(values)?;
        let buffer = gpu.room::<u8>(values * format.bytes())?;
        Ok(Self { channels, size, format, buffer })
    }

    /// Copies of canonical maps of the same number of channels, rounded to `format`.
    ///
    /// # Errors
    /// The maps have different channels; the GPU has no room or failed.
    pub fn from_canonical(format: Format, maps: &[cuda::Map]) -> Result<Vec<Self>> {
        let Some(first) = maps.first() else { return Ok(Vec::new()) };
        let (gpu, channels) = (first.gpu(), first.channels());
        let mut entered = Vec::with_capacity(maps.len());
        for map in maps {
            Error::check_length("map channels", channels, map.channels())?;
            entered.push(Self::room(gpu, format, channels, map.size())?);
        }
        let kernel = format.of(["enter_f32", "enter_f16", "enter_bf16"]);
        let vectors = channels.div_ceil(format.lanes());
        let (count, vectors_of) = (int("channels", channels)?, int("channels", vectors)?);
        for (maps, entered) in maps.chunks(ITEMS).zip(entered.chunks(ITEMS)) {
            let pairs = maps.iter().zip(entered);
            let items = pairs.map(|(map, entered)| Item {
                output: *entered.buffer.pointer(),
                ..map.item_into(map)
            });
            let (items, blocks) =
                Items::new(items, |item| (pixels_in(item) * vectors).div_ceil(THREADS))?;
            let arguments = [Argument::of(&items), Argument::of(&count), Argument::of(&vectors_of)];
            // SAFETY: the kernel's parameters in its order; the maps were made for each other.
            unsafe { gpu.launch(kernel, [blocks, 1, 1], THREADS, &arguments)? };
        }
        Ok(entered)
    }

    /// Copies as canonical maps; all have the same number of channels and format.
    ///
    /// # Errors
    /// They differ; the GPU has no room or failed.
    pub fn to_canonical(maps: &[&Self]) -> Result<Vec<cuda::Map>> {
        let Some(first) = maps.first() else { return Ok(Vec::new()) };
        let (gpu, channels) = (first.gpu(), first.channels);
        let mut left = Vec::with_capacity(maps.len());
        for map in maps {
            map.check("map", channels, first.format)?;
            left.push(cuda::Map::room(gpu, channels, map.size)?);
        }
        let kernel = first.format.of(["leave_f32", "leave_f16", "leave_bf16"]);
        let (count, vectors) = (int("channels", channels)?, first.vectors()?);
        for (maps, left) in maps.chunks(ITEMS).zip(left.chunks(ITEMS)) {
            let pairs = maps.iter().zip(left);
            let items =
                pairs.map(|(map, left)| Item { output: *left.pointer(), ..map.item_into(map) });
            let (items, blocks) = Items::new(items, |item| pixels_in(item).div_ceil(TILE))?;
            let blocks = [blocks, channels.div_ceil(TILE), 1];
            let arguments = [Argument::of(&items), Argument::of(&count), Argument::of(&vectors)];
            // SAFETY: the kernel's parameters in its order; the maps were made for each other.
            unsafe { gpu.launch(kernel, blocks, THREADS, &arguments)? };
        }
        Ok(left)
    }

    /// The values in (c, y, x) order.
    ///
    /// # Errors
    /// The GPU has no room or failed, now or in earlier work.
    pub fn to_chw(&self) -> Result<Vec<f32>> {
        Self::to_canonical(&[self])?.iter().try_fold(Vec::new(), |_, map| map.to_chw())
    }

    /// Channels.
    pub fn channels(&self) -> usize {
        self.channels
    }

    /// Height and width.
    pub fn size(&self) -> [usize; 2] {
        self.size
    }

    /// What its values are stored in.
    pub fn format(&self) -> Format {
        self.format
    }

    /// The GPU it is on.
    pub fn gpu(&self) -> &Gpu {
        self.buffer.gpu()
    }

    pub(super) fn pointer(&self) -> u64 {
        *self.buffer.pointer()
    }

    /// Vectors of a pixel, as the kernels' `int`.
    pub(super) fn vectors(&self) -> Result<i32> {
        int("channels", self.channels.div_ceil(self.format.lanes()))
    }

    /// Refuses a map of other channels or another format.
    pub(super) fn check(&self, what: &'static str, channels: usize, format: Format) -> Result<()> {
        if (self.channels, self.format) == (channels, format) {
            return Ok(());
        }
        let reason = format!(
            "{} channels of {} where {channels} of {format} were expected",
            self.channels, self.format
        );
        Err(Error::Shape { what, reason })
    }

    /// The item of a launch that reads this map and writes `output`, which may be the same.
    pub(super) fn item_into(&self, output: &Self) -> Item {
        // Sides fit, for the product of all dimensions does.
        let [in_height, in_width] = self.size.map(|side| side as i32);
        let [out_height, out_width] = output.size.map(|side| side as i32);
        let (input, output) = (self.pointer(), output.pointer());
        Item { input, output, in_height, in_width, out_height, out_width, ..Item::default() }
    }
}

/// Pixels of an item's input.
pub(super) fn pixels_in(item: &Item) -> usize {
    item.in_height as usize * item.in_width as usize
}

/// Pixels of an item's output.
pub(super) fn pixels_out(item: &Item) -> usize {
    item.out_height as usize * item.out_width as usize
}
