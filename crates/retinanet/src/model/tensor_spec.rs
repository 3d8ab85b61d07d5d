//! One tensor as a checkpoint stores it: name, shape, and how it is loaded.

use super::ModelError;
use super::tensor_source::{TensorSource, TensorsAt};
use crate::Result;
use crate::determinism::Init;
use crate::weights::first_not_finite;

/// One tensor a layer needs.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct TensorSpec {
    /// Its name, relative to the layer that asks for it; of a whole model, torchvision's name.
    pub name: String,
    /// Its shape, outermost side first.
    pub shape: Vec<usize>,
    /// What a source that creates tensors should fill it with (torchvision's choice).
    pub init: Init,
    /// Whether torchvision counts it as a parameter (frozen batch norm and running statistics are
    /// buffers).
    pub is_parameter: bool,
}

impl TensorSpec {
    /// A parameter.
    pub(crate) fn new(name: String, shape: &[usize], init: Init) -> Self {
        Self { name, shape: shape.to_vec(), init, is_parameter: true }
    }

    /// The tensor's values as f32, row-major.
    ///
    /// # Errors
    /// [`ModelError`] when the tensor is missing, has another shape or holds a NaN or an infinity.
    pub(crate) fn load(&self, tensors: &TensorsAt<'_>) -> Result<Vec<f32>> {
        let values = tensors.tensor(&self.name, &self.shape, self.init)?;
        let name = || tensors.full_name(&self.name);
        let count = self.shape.iter().try_fold(1usize, |count, &dim| count.checked_mul(dim));
        if count != Some(values.len()) {
            let (expected, found) = (self.shape.clone(), vec![values.len()]);
            return Err(ModelError::TensorShape { name: name(), expected, found }.into());
        }
        if let Some(index) = first_not_finite(&values) {
            let value = values[index];
            return Err(ModelError::NonFinite { name: name(), index, value }.into());
        }
        Ok(values)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::tensor_source::Named;

    fn load(tensors: Named, shape: &[usize]) -> Result<Vec<f32>> {
        let spec = TensorSpec::new("b.weight".to_owned(), shape, Init::Constant(0.0));
        spec.load(&TensorsAt::root(&tensors).at("a"))
    }

    #[test]
    fn a_missing_tensor_is_named_in_full() {
        let error = load(Named::new([]), &[1]).unwrap_err().to_string();
        assert!(error.contains("\"a.b.weight\" is missing"), "{error}");
    }

    #[test]
    fn a_source_that_answers_too_few_values_is_found_out() {
        let error = load(Named::new([("a.b.weight", vec![0.0; 5])]), &[3, 2]).unwrap_err();
        let error = error.to_string();
        assert!(error.contains("[5], expected [3, 2]"), "{error}");
    }

    #[test]
    fn a_nan_weight_is_named_with_its_index() {
        let error = load(Named::new([("a.b.weight", vec![0.0, f32::NAN])]), &[2]).unwrap_err();
        let error = error.to_string();
        assert!(error.contains("NaN at index 1"), "{error}");
    }
}
