//! Copying a strided tensor out of its storage.

use crate::dtype::element_count;

/// A tensor's place in its storage, all in elements.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Layout {
    pub(super) start: usize,
    pub(super) shape: Vec<usize>,
    pub(super) strides: Vec<usize>,
}

impl Layout {
    /// Size of the tensor in bytes, once it is proved to lie inside `elements` elements.
    pub(super) fn bytes(&self, element_size: usize, elements: usize) -> Result<usize, String> {
        if self.shape.len() != self.strides.len() {
            return Err(format!("shape {:?} with strides {:?}", self.shape, self.strides));
        }
        let overflow = || format!("shape {:?} overflows", self.shape);
        let count = element_count(&self.shape).ok_or_else(overflow)?;
        if count == 0 {
            return Ok(0);
        }
        if count > elements {
            return Err(format!(
                "shape {:?} needs {count} elements, but its storage has {elements}",
                self.shape
            ));
        }
        let mut sides = self.shape.iter().zip(&self.strides);
        let last = sides.try_fold(self.start, |last: usize, (&side, &stride)| {
            last.checked_add((side - 1).checked_mul(stride)?)
        });
        if last.is_none_or(|last| last >= elements) {
            return Err(format!(
                "start {}, shape {:?} and strides {:?} reach outside its storage of {elements} elements",
                self.start, self.shape, self.strides
            ));
        }
        count.checked_mul(element_size).ok_or_else(overflow)
    }

    fn is_row_major(&self) -> bool {
        let mut expected = 1;
        self.shape.iter().zip(&self.strides).rev().all(|(&side, &stride)| {
            let fits = side == 1 || stride == expected;
            expected *= side;
            fits
        })
    }
}

/// The tensor's elements in row-major order. [`Layout::bytes`] has proved that they exist.
pub(super) fn gather(layout: &Layout, element_size: usize, storage: &[u8]) -> Vec<u8> {
    let count = element_count(&layout.shape).unwrap_or(0);
    if count == 0 {
        return Vec::new();
    }
    let element = |index: usize| &storage[index * element_size..][..element_size];
    if layout.is_row_major() {
        return storage[layout.start * element_size..][..count * element_size].to_vec();
    }
    let mut bytes = Vec::with_capacity(count * element_size);
    // The stride of a side of one is never used, so a file may give it any value.
    let sides = layout.shape.iter().zip(&layout.strides);
    let strides: Vec<usize> =
        sides.map(|(&side, &stride)| if side == 1 { 0 } else { stride }).collect();
    let mut at = vec![0; layout.shape.len()];
    let mut index = layout.start;
    for _ in 0..count {
        bytes.extend_from_slice(element(index));
        // The last side turns fastest; a full turn carries to the side before it.
        for side in (0..at.len()).rev() {
            at[side] += 1;
            index += strides[side];
            if at[side] < layout.shape[side] {
                break;
            }
            index -= at[side] * strides[side];
            at[side] = 0;
        }
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    fn layout(start: usize, shape: &[usize], strides: &[usize]) -> Layout {
        Layout { start, shape: shape.into(), strides: strides.into() }
    }

    #[test]
    fn strides_are_followed_in_row_major_order() {
        let storage: Vec<u8> = (0..12).collect();
        let transposed = layout(0, &[4, 3], &[1, 4]);
        assert_eq!(transposed.bytes(1, 12), Ok(12));
        assert_eq!(gather(&transposed, 1, &storage), [0, 4, 8, 1, 5, 9, 2, 6, 10, 3, 7, 11]);
        let every_other = layout(1, &[3], &[2]);
        assert_eq!(gather(&every_other, 2, &storage), [2, 3, 6, 7, 10, 11]);
        assert_eq!(gather(&layout(0, &[2, 1, 2], &[1, usize::MAX, 2]), 1, &storage), [0, 2, 1, 3]);
        assert_eq!(gather(&layout(5, &[], &[]), 1, &storage), [5]);
        assert_eq!(gather(&layout(2, &[2, 1, 2], &[2, usize::MAX, 1]), 1, &storage), [2, 3, 4, 5]);
    }

    #[test]
    fn tensors_outside_their_storage_are_refused() {
        for (bad, elements) in [
            (layout(0, &[3], &[1]), 2),
            (layout(1, &[2], &[1]), 2),
            (layout(usize::MAX, &[2], &[1]), 2),
            (layout(0, &[2], &[usize::MAX]), 9),
            (layout(0, &[usize::MAX, 2], &[0, 0]), 9),
            (layout(0, &[10], &[0]), 9),
            (layout(0, &[2], &[]), 9),
            (layout(0, &[], &[]), 0),
        ] {
            assert!(bad.bytes(4, elements).is_err(), "{bad:?}");
        }
        assert_eq!(layout(99, &[0, usize::MAX], &[1, 1]).bytes(4, 1), Ok(0));
    }
}
