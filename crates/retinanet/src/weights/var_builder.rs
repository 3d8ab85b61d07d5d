//! Loaded tensors as a candle `VarBuilder`.

use std::sync::{Mutex, PoisonError};

use candle_core::{DType, Device, Shape, Tensor};
use candle_nn::VarBuilder;
use candle_nn::var_builder::SimpleBackend;

use super::loading::{LoadedTensors, widened};

impl LoadedTensors {
    /// A candle `VarBuilder` whose paths are the canonical tensor names.
    pub fn into_var_builder(self, dtype: DType, device: &Device) -> VarBuilder<'static> {
        VarBuilder::from_backend(Box::new(self), dtype, device.clone())
    }

    /// As [`into_var_builder`](Self::into_var_builder), but each tensor can be had once and is gone
    /// from here then: while a model is built, what it has packed is not held a second time.
    pub(crate) fn into_draining_var_builder(self) -> VarBuilder<'static> {
        let backend = Draining(Mutex::new(self));
        VarBuilder::from_backend(Box::new(backend), DType::F32, Device::Cpu)
    }
}

struct Draining(Mutex<LoadedTensors>);

impl SimpleBackend for Draining {
    fn get(
        &self,
        shape: Shape,
        name: &str,
        _: candle_nn::Init,
        dtype: DType,
        device: &Device,
    ) -> candle_core::Result<Tensor> {
        let tensor = self.get_unchecked(name, dtype, device)?;
        check_shape(tensor, shape, name)
    }

    fn get_unchecked(
        &self,
        name: &str,
        dtype: DType,
        device: &Device,
    ) -> candle_core::Result<Tensor> {
        let raw = {
            let mut tensors = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            tensors.take_raw(name).map_err(candle_core::Error::wrap)?
        };
        let elements = widened(&raw);
        Tensor::from_vec(elements, raw.shape, device)?.to_dtype(dtype)
    }

    fn contains_tensor(&self, name: &str) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).shape(name).is_ok()
    }
}

fn check_shape(tensor: Tensor, expected: Shape, name: &str) -> candle_core::Result<Tensor> {
    if *tensor.shape() == expected {
        return Ok(tensor);
    }
    Err(candle_core::Error::UnexpectedShape {
        msg: format!("shape mismatch for {name}"),
        expected,
        got: tensor.shape().clone(),
    }
    .bt())
}

impl SimpleBackend for LoadedTensors {
    fn get(
        &self,
        shape: Shape,
        name: &str,
        _: candle_nn::Init,
        dtype: DType,
        device: &Device,
    ) -> candle_core::Result<Tensor> {
        let tensor = self.get_unchecked(name, dtype, device)?;
        check_shape(tensor, shape, name)
    }

    fn get_unchecked(
        &self,
        name: &str,
        dtype: DType,
        device: &Device,
    ) -> candle_core::Result<Tensor> {
        let find = || Ok((self.tensor(name)?, self.shape(name)?));
        let (elements, shape) = find().map_err(|e: crate::Error| candle_core::Error::wrap(e))?;
        Tensor::from_vec(elements, shape, device)?.to_dtype(dtype)
    }

    fn contains_tensor(&self, name: &str) -> bool {
        self.shape(name).is_ok()
    }
}
