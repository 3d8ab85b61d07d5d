//! Between the heads' maps and lists by anchor.

use rayon::prelude::*;
use retinanet_kernels::layout::BlockedMut;

use crate::Result;
use crate::model::plan::Map;

/// The lanes of a channel block.
pub(super) const LANES: usize = 16;
/// Pixels that one task copies.
const PIECE: usize = 256;

/// The values of maps as `[location][channel]`, map after map: with channel a * K + k, that is `[anchor][k]`. `list` is memory
/// to put them in.
pub(super) fn by_anchor<'a>(
    maps: impl Iterator<Item = &'a Map> + Clone,
    mut list: Vec<f32>,
) -> Result<Vec<f32>> {
    list.resize(maps.clone().map(|map| map.shape().values()).sum(), 0.0);
    let mut rest = &mut list[..];
    for map in maps {
        let (shape, own);
        shape = map.shape();
        (own, rest) = rest.split_at_mut(shape.values());
        if own.is_empty() {
            continue;
        }
        let map = map.as_ref()?;
        own.par_chunks_mut(PIECE * shape.channels).enumerate().for_each(|(piece, places)| {
            for block in 0..shape.blocks() {
                let first = block * LANES;
                let valid = LANES.min(shape.channels - first);
                let (pixels, _) = map.plane(block).as_chunks::<LANES>();
                let places = places.chunks_exact_mut(shape.channels);
                for (place, pixel) in places.zip(&pixels[piece * PIECE..]) {
                    place[first..first + valid].copy_from_slice(&pixel[..valid]);
                }
            }
        });
    }
    Ok(list)
}

/// The way back for one map, from the front of a list; answers the list's rest.
pub(super) fn to_map<'a>(list: &'a [f32], map: &mut BlockedMut) -> &'a [f32] {
    let shape = map.shape();
    let (own, rest) = list.split_at(shape.values());
    if own.is_empty() {
        return rest;
    }
    let planes = map.data().par_chunks_mut(shape.plane() * LANES).take(shape.blocks());
    planes.enumerate().for_each(|(block, plane)| {
        let first = block * LANES;
        let valid = LANES.min(shape.channels - first);
        let (pixels, _) = plane.as_chunks_mut::<LANES>();
        for (pixel, place) in pixels.iter_mut().zip(own.chunks_exact(shape.channels)) {
            pixel[..valid].copy_from_slice(&place[first..first + valid]);
            pixel[valid..].fill(0.0);
        }
    });
    rest
}
