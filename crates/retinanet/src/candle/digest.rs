//! Digests of tensors.

use candle_core::{DType, Device, Tensor};

use crate::Result;
use crate::determinism::{DeterminismError, Digest, digest_f32, digest_u8};

/// Digests a candle tensor of u8 or f32, on any device and in any memory layout.
///
/// # Errors
/// [`DeterminismError::DigestDtype`] for another format, [`DeterminismError::NotANumber`] where it
/// holds a NaN, candle's error where it cannot be copied to the CPU.
pub fn digest_tensor(name: &str, tensor: &Tensor) -> Result<Digest> {
    let flat = tensor.to_device(&Device::Cpu)?.flatten_all()?;
    match tensor.dtype() {
        DType::U8 => digest_u8(name, tensor.dims(), &flat.to_vec1()?),
        DType::F32 => digest_f32(name, tensor.dims(), &flat.to_vec1()?),
        other => {
            Err(DeterminismError::DigestDtype { name: name.to_owned(), dtype: other.as_str() }
                .into())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_memory_layout_of_a_tensor_does_not_count() {
        let values: Vec<f32> = (0..24u8).map(f32::from).collect();
        let plain = Tensor::from_vec(values.clone(), (2, 3, 4), &Device::Cpu).unwrap();
        let moved = plain.transpose(0, 2).unwrap().contiguous().unwrap().transpose(0, 2).unwrap();
        assert!(!moved.is_contiguous());
        let digest = digest_f32("x", &[2, 3, 4], &values).unwrap();
        assert_eq!(digest_tensor("x", &plain).unwrap(), digest);
        assert_eq!(digest_tensor("x", &moved).unwrap(), digest);
        let half = plain.to_dtype(DType::F16).unwrap();
        assert!(digest_tensor("x", &half).unwrap_err().to_string().contains("f16"));
    }
}
