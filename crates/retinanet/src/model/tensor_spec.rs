//! One tensor as a checkpoint stores it: name, shape, and how it is loaded.

use candle_core::{DType, Device};
use candle_nn::{Init, VarBuilder};

use super::ModelError;
use crate::Result;
use crate::weights::first_not_finite;

/// One tensor a layer needs.
#[derive(Debug, Clone)]
pub(crate) struct TensorSpec {
    /// Its name, relative to the layer that asks for it.
    pub(crate) name: String,
    pub(crate) shape: Vec<usize>,
    /// What a [`VarBuilder`] that creates tensors should fill it with (torchvision's choice).
    pub(crate) init: Init,
    /// Whether torchvision counts it as a parameter (frozen batch norm and running statistics are
    /// buffers).
    pub(crate) is_parameter: bool,
}

impl TensorSpec {
    /// A parameter.
    pub(crate) fn new(name: String, shape: &[usize], init: Init) -> Self {
        Self { name, shape: shape.to_vec(), init, is_parameter: true }
    }

    /// The same tensor seen from `prefix`.
    pub(crate) fn under(mut self, prefix: &str) -> Self {
        self.name = format!("{prefix}.{}", self.name);
        self
    }

    /// The tensor's values as f32, row-major.
    ///
    /// # Errors
    /// [`ModelError`] when the tensor is missing, has another shape or holds a NaN or an infinity.
    pub(crate) fn load(&self, vb: &VarBuilder) -> Result<Vec<f32>> {
        let name = full_name(vb, &self.name);
        let tensor = vb
            .get_with_hints(self.shape.as_slice(), &self.name, self.init)
            .map_err(|error| describe(error, &name))?;
        if tensor.dims() != self.shape {
            return Err(ModelError::TensorShape {
                name,
                expected: self.shape.clone(),
                found: tensor.dims().to_vec(),
            }
            .into());
        }
        let values: Vec<f32> = tensor
            .to_device(&Device::Cpu)
            .and_then(|tensor| tensor.to_dtype(DType::F32)?.flatten_all()?.to_vec1())
            .map_err(|source| ModelError::Tensor {
                name: name.clone(),
                source: Box::new(source),
            })?;
        if let Some(index) = first_not_finite(&values) {
            return Err(ModelError::NonFinite { name, index, value: values[index] }.into());
        }
        Ok(values)
    }
}

/// A tensor's or layer's name from the root of the checkpoint.
pub(crate) fn full_name(vb: &VarBuilder, name: &str) -> String {
    let prefix = vb.prefix();
    if prefix.is_empty() { name.to_owned() } else { format!("{prefix}.{name}") }
}

/// Says which tensor candle's complaint is about, in this crate's words.
fn describe(error: candle_core::Error, name: &str) -> ModelError {
    let name = name.to_owned();
    match error {
        candle_core::Error::WithBacktrace { inner, .. } => describe(*inner, &name),
        candle_core::Error::CannotFindTensor { .. } => ModelError::MissingTensor { name },
        candle_core::Error::UnexpectedShape { expected, got, .. } => {
            ModelError::TensorShape { name, expected: expected.into_dims(), found: got.into_dims() }
        }
        source => ModelError::Tensor { name, source: Box::new(source) },
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use candle_core::Tensor;

    use super::*;

    fn load(tensors: &[(&str, Tensor)], shape: &[usize]) -> Result<Vec<f32>> {
        let map: HashMap<String, Tensor> =
            tensors.iter().map(|(name, tensor)| ((*name).to_owned(), tensor.clone())).collect();
        let vb = VarBuilder::from_tensors(map, DType::F32, &Device::Cpu);
        TensorSpec::new("b.weight".to_owned(), shape, Init::Const(0.0)).load(&vb.pp("a"))
    }

    #[test]
    fn a_missing_tensor_is_named_in_full() {
        let error = load(&[], &[1]).unwrap_err().to_string();
        assert!(error.contains("\"a.b.weight\" is missing"), "{error}");
    }

    #[test]
    fn a_wrong_shape_gives_both_shapes() {
        let tensor = Tensor::zeros((2, 3), DType::F32, &Device::Cpu).unwrap();
        let error = load(&[("a.b.weight", tensor)], &[3, 2]).unwrap_err();
        let error = error.to_string();
        assert!(error.contains("[2, 3], expected [3, 2]"), "{error}");
    }

    #[test]
    fn a_nan_weight_is_named_with_its_index() {
        let tensor = Tensor::from_slice(&[0f32, f32::NAN], 2, &Device::Cpu).unwrap();
        let error = load(&[("a.b.weight", tensor)], &[2]).unwrap_err();
        let error = error.to_string();
        assert!(error.contains("NaN at index 1"), "{error}");
    }

    #[test]
    fn half_precision_weights_are_widened() {
        let tensor = Tensor::from_slice(&[0.5f32, -2.0], 2, &Device::Cpu).unwrap();
        let tensor = tensor.to_dtype(DType::F16).unwrap();
        assert_eq!(load(&[("a.b.weight", tensor)], &[2]).unwrap(), [0.5, -2.0]);
    }
}
