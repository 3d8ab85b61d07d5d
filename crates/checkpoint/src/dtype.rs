//! The element types a checkpoint may hold.

use std::fmt;

use half::{bf16, f16};

/// Element type of a stored tensor; all are little-endian.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum StoredDtype {
    /// One byte, 0 or 1.
    Bool,
    /// Unsigned 8-bit integer.
    U8,
    /// Signed 8-bit integer.
    I8,
    /// Signed 16-bit integer.
    I16,
    /// Signed 32-bit integer.
    I32,
    /// Signed 64-bit integer (step counters, say).
    I64,
    /// IEEE half precision.
    F16,
    /// bfloat16.
    BF16,
    /// IEEE single precision.
    F32,
    /// IEEE double precision: listed and converted, but not loaded as weights.
    F64,
}

use StoredDtype::{BF16, Bool, F16, F32, F64, I8, I16, I32, I64, U8};

/// Each type, its safetensors twin and its size in bytes.
const TYPES: [(StoredDtype, safetensors::Dtype, usize); 10] = [
    (Bool, safetensors::Dtype::BOOL, 1),
    (U8, safetensors::Dtype::U8, 1),
    (I8, safetensors::Dtype::I8, 1),
    (I16, safetensors::Dtype::I16, 2),
    (I32, safetensors::Dtype::I32, 4),
    (I64, safetensors::Dtype::I64, 8),
    (F16, safetensors::Dtype::F16, 2),
    (BF16, safetensors::Dtype::BF16, 2),
    (F32, safetensors::Dtype::F32, 4),
    (F64, safetensors::Dtype::F64, 8),
];

impl StoredDtype {
    /// Size of one element in bytes.
    pub fn size(self) -> usize {
        TYPES[self.row()].2
    }

    pub(crate) fn to_safetensors(self) -> safetensors::Dtype {
        TYPES[self.row()].1
    }

    pub(crate) fn from_safetensors(dtype: safetensors::Dtype) -> Option<Self> {
        TYPES.iter().find(|row| row.1 == dtype).map(|row| row.0)
    }

    fn row(self) -> usize {
        TYPES.iter().position(|row| row.0 == self).unwrap_or_default()
    }
}

impl fmt::Display for StoredDtype {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.to_safetensors(), f)
    }
}

/// Widens little-endian bytes to f32, which is exact for the three types it takes; `None` for others.
pub(crate) fn decode_f32(dtype: StoredDtype, bytes: &[u8]) -> Option<Vec<f32>> {
    let pairs = || bytes.chunks_exact(2).map(|b| [b[0], b[1]]);
    Some(match dtype {
        F32 => {
            bytes.chunks_exact(4).map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]])).collect()
        }
        F16 => pairs().map(|b| f16::from_le_bytes(b).to_f32()).collect(),
        BF16 => pairs().map(|b| bf16::from_le_bytes(b).to_f32()).collect(),
        _ => return None,
    })
}

/// The index of the first NaN or infinity.
pub fn first_not_finite(values: &[f32]) -> Option<usize> {
    // Blocks are looked at whole: a search that may stop at every value takes one at a time.
    const BLOCK: usize = 1024;
    let is_clean = |block: &[f32]| block.iter().fold(true, |clean, v| clean & v.is_finite());
    let start = BLOCK * values.chunks(BLOCK).position(|block| !is_clean(block))?;
    values[start..].iter().position(|value| !value.is_finite()).map(|index| start + index)
}

/// Number of elements of a shape, or `None` when the product does not fit.
pub(crate) fn element_count(shape: &[usize]) -> Option<usize> {
    // A zero anywhere makes the tensor empty, however large the other sides claim to be.
    if shape.contains(&0) {
        return Some(0);
    }
    shape.iter().try_fold(1usize, |product, &side| product.checked_mul(side))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_half_precision_number_widens_exactly() {
        for bits in 0..=u16::MAX {
            let [wide] = decode_f32(F16, &bits.to_le_bytes()).unwrap()[..] else { panic!() };
            let back = f16::from_f32(wide);
            assert!(wide.is_nan() || back.to_bits() == bits, "{bits:#x}");
            let [wide] = decode_f32(BF16, &bits.to_le_bytes()).unwrap()[..] else { panic!() };
            assert!(wide.is_nan() || wide.to_bits() == u32::from(bits) << 16, "{bits:#x}");
        }
    }

    #[test]
    fn the_first_of_several_values_that_are_not_finite_is_found() {
        let mut values = vec![f32::MAX; 3000];
        assert_eq!(first_not_finite(&values), None);
        values[2999] = f32::NAN;
        assert_eq!(first_not_finite(&values), Some(2999));
        values[1024] = f32::NEG_INFINITY;
        assert_eq!(first_not_finite(&values), Some(1024));
        values[0] = f32::INFINITY;
        assert_eq!(first_not_finite(&values), Some(0));
    }

    #[test]
    fn sizes_are_those_of_safetensors_and_the_names_too() {
        for (dtype, twin, size) in TYPES {
            assert_eq!(twin.bitsize(), 8 * size);
            assert_eq!(StoredDtype::from_safetensors(twin), Some(dtype));
        }
        assert_eq!(F16.to_string(), "F16");
        assert_eq!(decode_f32(F64, &[0; 8]), None);
    }
}
