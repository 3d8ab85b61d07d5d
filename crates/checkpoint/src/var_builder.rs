//! Loaded tensors as a candle `VarBuilder`.

use std::sync::{Mutex, MutexGuard, PoisonError};

use candle_core::{DType, Device, Shape, Tensor};
use candle_nn::VarBuilder;
use candle_nn::var_builder::SimpleBackend;

use crate::error::Result;
use crate::loading::{LoadedTensors, widened};

impl LoadedTensors {
    /// A candle `VarBuilder` whose paths are the tensors' names.
    pub fn into_var_builder(self, dtype: DType, device: &Device) -> VarBuilder<'static> {
        let backend = Backend { tensors: Mutex::new(self), drains: false };
        VarBuilder::from_backend(Box::new(backend), dtype, device.clone())
    }

    /// As [`into_var_builder`](Self::into_var_builder), but each tensor can be had once and is gone
    /// from here then: while a model is built, what it has packed is not held a second time.
    pub fn into_draining_var_builder(self) -> VarBuilder<'static> {
        let backend = Backend { tensors: Mutex::new(self), drains: true };
        VarBuilder::from_backend(Box::new(backend), DType::F32, Device::Cpu)
    }
}

struct Backend {
    tensors: Mutex<LoadedTensors>,
    /// Whether a tensor is gone when it was had.
    drains: bool,
}

impl Backend {
    fn tensors(&self) -> MutexGuard<'_, LoadedTensors> {
        self.tensors.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Shape and values. What drains is widened outside the lock, for layers are built side by side.
    fn values(&self, name: &str) -> Result<(Vec<usize>, Vec<f32>)> {
        if self.drains {
            let raw = self.tensors().take_raw(name)?;
            return Ok((raw.shape.clone(), widened(&raw)));
        }
        let tensors = self.tensors();
        Ok((tensors.shape(name)?.to_vec(), tensors.tensor(name)?))
    }
}

impl SimpleBackend for Backend {
    fn get(
        &self,
        expected: Shape,
        name: &str,
        _: candle_nn::Init,
        dtype: DType,
        device: &Device,
    ) -> candle_core::Result<Tensor> {
        let tensor = self.get_unchecked(name, dtype, device)?;
        if *tensor.shape() == expected {
            return Ok(tensor);
        }
        let (msg, got) = (format!("shape mismatch for {name}"), tensor.shape().clone());
        Err(candle_core::Error::UnexpectedShape { msg, expected, got }.bt())
    }

    fn get_unchecked(
        &self,
        name: &str,
        dtype: DType,
        device: &Device,
    ) -> candle_core::Result<Tensor> {
        let (shape, values) = self.values(name).map_err(candle_core::Error::wrap)?;
        Tensor::from_vec(values, shape, device)?.to_dtype(dtype)
    }

    fn contains_tensor(&self, name: &str) -> bool {
        self.tensors().shape(name).is_ok()
    }
}
