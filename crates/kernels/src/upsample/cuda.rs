//! Nearest-neighbour upsampling on a GPU.

use super::refuse;
use crate::Result;
use crate::cuda::{Argument, Map};

/// Adds the upsampled coarse map to `fine`: bit for bit
/// [`upsample_nearest_add_in_place`](super::upsample_nearest_add_in_place).
///
/// # Errors
/// The maps have different channels, or `coarse` is empty; the GPU failed.
pub fn upsample_nearest_add_cuda(coarse: &Map, fine: &mut Map) -> Result<()> {
    let (from, to) = (coarse.channels(), fine.channels());
    if from != to {
        return refuse(format!("the coarse map has {from} channels, expected {to}"));
    }
    let [height, width] = fine.size();
    if coarse.size().contains(&0) && height * width > 0 {
        return refuse(format!("the coarse map is empty: {:?}", coarse.size()));
    }
    let item = coarse.item_into(fine);
    let blocks = [(height * width).div_ceil(256), to, 1];
    // SAFETY: the kernel's parameter; the maps have the shapes that the item states.
    unsafe { fine.gpu().launch("upsample_add", blocks, 256, &[Argument::of(&item)]) }
}
