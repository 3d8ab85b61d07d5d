//! The tensors of a source that has candle's, kept while a layer is built from their values.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use candle_core::{DType, Device, Tensor};

use super::ModelError;
use super::tensor_source::{TensorSource, TensorsAt};
use super::tensor_spec::TensorSpec;
use crate::Result;
use crate::determinism::Init;

/// A source that remembers the tensors it was asked for.
pub(crate) struct KeptTensors<'a> {
    source: &'a TensorsAt<'a>,
    kept: Mutex<BTreeMap<String, Tensor>>,
}

impl<'a> KeptTensors<'a> {
    pub(crate) fn of(source: &'a TensorsAt<'a>) -> Self {
        Self { source, kept: Mutex::default() }
    }

    /// Hands a tensor out, as a constant where it is not a parameter. None where the source has values only.
    pub(crate) fn take(&self, spec: &TensorSpec) -> Option<Tensor> {
        let tensor = self.kept.lock().unwrap_or_else(PoisonError::into_inner).remove(&spec.name)?;
        Some(if spec.is_parameter { tensor } else { tensor.detach() })
    }
}

impl TensorSource for KeptTensors<'_> {
    fn tensor(&self, name: &str, shape: &[usize], init: Init) -> Result<Vec<f32>> {
        let Some(tensor) = self.source.candle_tensor(name, shape, init)? else {
            return self.source.tensor(name, shape, init);
        };
        let values = tensor_values(&tensor).map_err(|source| ModelError::Tensor {
            name: self.full_name(name),
            source: source.into(),
        })?;
        self.kept.lock().unwrap_or_else(PoisonError::into_inner).insert(name.to_owned(), tensor);
        Ok(values)
    }

    fn full_name(&self, name: &str) -> String {
        self.source.full_name(name)
    }
}

/// The values of a tensor in any format and anywhere, as f32, row-major.
pub(crate) fn tensor_values(tensor: &Tensor) -> candle_core::Result<Vec<f32>> {
    tensor.to_device(&Device::Cpu)?.to_dtype(DType::F32)?.flatten_all()?.to_vec1()
}
