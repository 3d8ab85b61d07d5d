//! Memory for feature maps that is reused from layer to layer and from image to image.

use retinanet_kernels::layout::{Blocked, BlockedMut, BlockedShape};
use retinanet_kernels::{AlignedBuffer, zeros};

use crate::Result;

/// One image's feature map in the kernels' channel-blocked layout.
#[derive(Debug)]
pub(crate) struct Map {
    shape: BlockedShape,
    buffer: AlignedBuffer,
}

impl Map {
    pub(crate) fn shape(&self) -> BlockedShape {
        self.shape
    }

    pub(crate) fn as_ref(&self) -> Result<Blocked<'_>> {
        Ok(Blocked::new(self.shape, self.buffer.as_slice())?)
    }

    pub(crate) fn as_mut(&mut self) -> Result<BlockedMut<'_>> {
        Ok(BlockedMut::new(self.shape, self.buffer.as_mut_slice())?)
    }

    /// The values as (c, y, x).
    pub(crate) fn to_chw(&self) -> Result<Vec<f32>> {
        let mut values = zeros(self.shape.values())?;
        self.as_ref()?.to_chw(&mut values)?;
        Ok(values)
    }
}

/// The buffers that no map uses at the moment. Running the same sizes again soon
/// allocates nothing.
#[derive(Debug, Default)]
pub(crate) struct Workspace {
    free: Vec<AlignedBuffer>,
}

/// A buffer this many times too large is left for a map that needs it...
const LOOSE: usize = 3;
/// ... unless it is small anyway (values).
const SMALL: usize = 1 << 18;

impl Workspace {
    /// A map whose values are left over from before.
    ///
    /// # Errors
    /// There is no memory for it.
    pub(crate) fn take(&mut self, shape: BlockedShape) -> Result<Map> {
        let len = shape.len();
        let size = |buffer: &AlignedBuffer| buffer.as_slice().len();
        let loose = len.saturating_mul(LOOSE).saturating_add(SMALL);
        let fits = |buffer: &AlignedBuffer| (len..=loose).contains(&size(buffer));
        let indices = 0..self.free.len();
        let best =
            indices.clone().filter(|&i| fits(&self.free[i])).min_by_key(|&i| size(&self.free[i]));
        let mut buffer = match best {
            Some(i) => self.free.swap_remove(i),
            None => {
                // The largest of those that are too small makes room, so that memory follows the
                // largest image and not the sum of all sizes seen.
                let small = indices
                    .filter(|&i| size(&self.free[i]) < len)
                    .max_by_key(|&i| size(&self.free[i]));
                drop(small.map(|i| self.free.swap_remove(i)));
                AlignedBuffer::try_zeroed(len)?
            }
        };
        if cfg!(test) {
            buffer.as_mut_slice().fill(f32::NAN);
        }
        Ok(Map { shape, buffer })
    }

    /// Address and length of each buffer that no map uses, in order.
    #[cfg(test)]
    pub(super) fn buffers(&self) -> Vec<(usize, usize)> {
        let slices = self.free.iter().map(AlignedBuffer::as_slice);
        let mut buffers: Vec<_> =
            slices.map(|slice| (slice.as_ptr() as usize, slice.len())).collect();
        buffers.sort_unstable();
        buffers
    }

    /// Gives a map's memory back.
    pub(crate) fn give(&mut self, map: Map) {
        self.free.push(map.buffer);
    }

    /// Gives several maps' memory back.
    pub(crate) fn give_all(&mut self, maps: impl IntoIterator<Item = Map>) {
        maps.into_iter().for_each(|map| self.give(map));
    }
}
