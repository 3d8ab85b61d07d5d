//! The maps of one launch, as the kernels see them.

use super::Parameter;
use crate::Result;
use crate::error::CudaError;

/// Maps of one launch.
pub(crate) const ITEMS: usize = 16;

/// Mirrors `Item` in common.cu.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Item {
    pub(crate) input: u64,
    pub(crate) residual: u64,
    pub(crate) output: u64,
    pub(crate) in_height: i32,
    pub(crate) in_width: i32,
    pub(crate) out_height: i32,
    pub(crate) out_width: i32,
    pub(crate) first: i32,
    pub(crate) scratch: i32,
}

// SAFETY: repr(C), with the fields of its mirror.
unsafe impl Parameter for Item {}

/// Mirrors `Items` in common.cu.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Items {
    item: [Item; ITEMS],
    count: i32,
    unused: i32,
}

// SAFETY: repr(C), with the fields of its mirror.
unsafe impl Parameter for Items {}

impl Items {
    /// Up to [`ITEMS`] items, and how many units they have together; `units` counts those of one.
    pub(crate) fn new(
        items: impl IntoIterator<Item = Item>,
        units: impl Fn(&Item) -> usize,
    ) -> Result<(Self, usize)> {
        let mut all = Self::default();
        let mut total = 0;
        for mut item in items.into_iter().take(ITEMS) {
            item.first = int("the units of a launch", total)?;
            total += units(&item);
            all.item[all.count as usize] = item;
            all.count += 1;
        }
        int("the units of a launch", total)?;
        Ok((all, total))
    }

    /// How many there are.
    pub(crate) fn count(&self) -> usize {
        self.count as usize
    }
}

/// A size as the kernels' `int`.
pub(crate) fn int(what: &'static str, size: usize) -> Result<i32> {
    i32::try_from(size).map_err(|_| CudaError::TooLarge { what, values: size }.into())
}
