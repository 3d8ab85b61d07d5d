//! Between the heads' maps and lists by anchor.

use retinanet_kernels::layout::BlockedMut;

use crate::Result;
use crate::model::plan::Map;

/// The lanes of a channel block.
pub(super) const LANES: usize = 16;

/// The values of maps as `[location][channel]`, map after map: with channel a * K + k, that is `[anchor][k]`.
pub(super) fn by_anchor<'a>(maps: impl Iterator<Item = &'a Map>) -> Result<Vec<f32>> {
    let mut list = Vec::new();
    for map in maps {
        let shape = map.shape();
        let start = list.len();
        list.resize(start + shape.values(), 0.0);
        let map = map.as_ref()?;
        for block in 0..shape.blocks() {
            let first = block * LANES;
            let valid = LANES.min(shape.channels - first);
            let (pixels, _) = map.plane(block).as_chunks::<LANES>();
            let places = list[start..].chunks_exact_mut(shape.channels);
            for (place, pixel) in places.zip(pixels) {
                place[first..first + valid].copy_from_slice(&pixel[..valid]);
            }
        }
    }
    Ok(list)
}

/// The way back for one map, from the front of a list; answers the list's rest.
pub(super) fn to_map<'a>(list: &'a [f32], map: &mut BlockedMut) -> &'a [f32] {
    let shape = map.shape();
    let (own, rest) = list.split_at(shape.values());
    for block in 0..shape.blocks() {
        let first = block * LANES;
        let valid = LANES.min(shape.channels - first);
        let start = block * shape.plane() * LANES;
        let (pixels, _) = map.data()[start..].as_chunks_mut::<LANES>();
        for (pixel, place) in pixels.iter_mut().zip(own.chunks_exact(shape.channels)) {
            pixel[..valid].copy_from_slice(&place[first..first + valid]);
            pixel[valid..].fill(0.0);
        }
    }
    rest
}
