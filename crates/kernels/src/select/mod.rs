//! The few values of large maps that matter: on a GPU, so that millions of logits need not be copied.

use crate::Result;
use crate::cuda::{Argument, ITEMS, Item, Items, Map, int};

/// The values of a map that were selected, in the order of their indices.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Selected {
    /// `(channel * height + y) * width + x` of each.
    pub indices: Vec<i32>,
    /// The values.
    pub values: Vec<f32>,
}

/// Values that a block of threads looks at.
const VALUES_PER_BLOCK: usize = 256 * 16;

/// From each map the values that are not finite, or not below `bound`. The maps have the same channels.
///
/// # Errors
/// The GPU has no room or failed.
pub fn select_cuda(maps: &[&Map], bound: f32) -> Result<Vec<Selected>> {
    let mut all = Vec::with_capacity(maps.len());
    for maps in maps.chunks(ITEMS) {
        all.extend(select(maps, bound)?);
    }
    Ok(all)
}

fn select(maps: &[&Map], bound: f32) -> Result<Vec<Selected>> {
    let Some(first) = maps.first() else { return Ok(Vec::new()) };
    let (gpu, channels) = (first.gpu(), first.channels());
    let values = |item: &Item| {
        crate::cuda::plane([item.in_height as usize, item.in_width as usize]) * channels
    };
    let (items, blocks) = Items::new(maps.iter().map(|map| map.item_into(map)), |item| {
        values(item).div_ceil(VALUES_PER_BLOCK)
    })?;
    let counts = gpu.room::<i32>(blocks + 1)?;
    let (channels, count) = (int("channels", channels)?, int("blocks", blocks)?);
    let (items, channels) = (Argument::of(&items), Argument::of(&channels));
    let (limit, starts) = (Argument::of(&bound), Argument::of(counts.pointer()));
    // SAFETY: the kernels' parameters in their order; there is a count for each block, and one more.
    unsafe {
        gpu.launch("select_count", [blocks, 1, 1], 256, &[items, channels, limit, starts])?;
        gpu.launch("select_place", [1, 1, 1], 256, &[Argument::of(&count), starts])?;
    }
    let mut ends = vec![0i32; blocks + 1];
    counts.read(&mut ends)?;
    let total = ends[blocks] as usize;
    let (found, places) = (gpu.room::<f32>(total)?, gpu.room::<i32>(total)?);
    let (to, at) = (Argument::of(found.pointer()), Argument::of(places.pointer()));
    // SAFETY: as above, with room for all that were counted.
    unsafe {
        let arguments = [items, channels, limit, starts, to, at];
        gpu.launch("select_write", [blocks, 1, 1], 256, &arguments)?;
    }
    let (mut values_found, mut indices) = (vec![0.0; total], vec![0; total]);
    found.read(&mut values_found)?;
    places.read(&mut indices)?;
    let mut block = 0;
    Ok(maps
        .iter()
        .map(|map| {
            let start = ends[block] as usize;
            block += (map.plane() * map.channels()).div_ceil(VALUES_PER_BLOCK);
            let own = start..ends[block] as usize;
            Selected { indices: indices[own.clone()].to_vec(), values: values_found[own].to_vec() }
        })
        .collect())
}
