//! Loaded tensors as a candle `VarBuilder`.

use candle_core::{DType, Device, Shape, Tensor};
use candle_nn::VarBuilder;
use candle_nn::var_builder::SimpleBackend;

use crate::error::Error;
use crate::loading::LoadedTensors;

impl LoadedTensors {
    /// A candle `VarBuilder` whose paths are the tensors' names.
    pub fn into_var_builder(self, dtype: DType, device: &Device) -> VarBuilder<'static> {
        VarBuilder::from_backend(Box::new(Backend(self)), dtype, device.clone())
    }
}

struct Backend(LoadedTensors);

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
        let found = || Ok::<_, Error>((self.0.shape(name)?.to_vec(), self.0.tensor(name)?));
        let (shape, values) = found().map_err(candle_core::Error::wrap)?;
        Tensor::from_vec(values, shape, device)?.to_dtype(dtype)
    }

    fn contains_tensor(&self, name: &str) -> bool {
        self.0.shape(name).is_ok()
    }
}
