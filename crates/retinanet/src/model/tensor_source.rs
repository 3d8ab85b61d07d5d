//! Where a network's tensors come from.

use std::sync::{Mutex, PoisonError};

use super::ModelError;
use crate::Result;
use crate::determinism::{Determinism, Init};
use crate::weights::LoadedTensors;

/// Where a network's tensors come from, by torchvision's names: loaded from a file
/// ([`LoadedTensors`] in a [`Mutex`], from which each is taken once), drawn from a seed
/// ([`Determinism`]), or, with the feature `candle`, any `VarBuilder`.
///
/// Layers are built in parallel, so tensors are asked for in no order and from several threads.
pub trait TensorSource: Sync {
    /// The values of the tensor `name`, row-major. A source that creates tensors fills it as `init` says
    /// (torchvision's choice).
    ///
    /// # Errors
    /// [`ModelError::MissingTensor`] and [`ModelError::TensorShape`], or what keeps the source from
    /// answering.
    fn tensor(&self, name: &str, shape: &[usize], init: Init) -> Result<Vec<f32>>;

    /// The tensor itself, of a source that has candle's: asked for instead of its values, so that a layer's forward
    /// pass on tensors can have a gradient for it, where it is a variable. None of any other source.
    ///
    /// # Errors
    /// As [`TensorSource::tensor`].
    #[cfg(feature = "candle")]
    fn candle_tensor(
        &self,
        _name: &str,
        _shape: &[usize],
        _init: Init,
    ) -> Result<Option<candle_core::Tensor>> {
        Ok(None)
    }

    /// The tensor's name from the root of the checkpoint, for messages.
    fn full_name(&self, name: &str) -> String {
        name.to_owned()
    }
}

impl<S: TensorSource + ?Sized> TensorSource for &S {
    fn tensor(&self, name: &str, shape: &[usize], init: Init) -> Result<Vec<f32>> {
        (**self).tensor(name, shape, init)
    }

    #[cfg(feature = "candle")]
    fn candle_tensor(
        &self,
        name: &str,
        shape: &[usize],
        init: Init,
    ) -> Result<Option<candle_core::Tensor>> {
        (**self).candle_tensor(name, shape, init)
    }

    fn full_name(&self, name: &str) -> String {
        (**self).full_name(name)
    }
}

/// Every tensor freshly initialised, each from the seed and its own name.
impl TensorSource for Determinism {
    fn tensor(&self, name: &str, shape: &[usize], init: Init) -> Result<Vec<f32>> {
        self.initial_values(name, shape, init)
    }
}

/// Each tensor once: what a network has packed is not held a second time.
impl TensorSource for Mutex<LoadedTensors> {
    fn tensor(&self, name: &str, shape: &[usize], _: Init) -> Result<Vec<f32>> {
        let mut tensors = self.lock().unwrap_or_else(PoisonError::into_inner);
        let missing = |_| ModelError::MissingTensor { name: name.to_owned() };
        let found = tensors.shape(name).map_err(missing)?;
        if found != shape {
            return Err(ModelError::TensorShape {
                name: name.to_owned(),
                expected: shape.to_vec(),
                found: found.to_vec(),
            }
            .into());
        }
        let stored = tensors.take_stored(name).map_err(missing)?;
        // Widened outside the lock, for layers are built side by side.
        drop(tensors);
        Ok(stored.to_f32())
    }
}

/// The tensors of a source whose names begin with a path.
#[derive(Clone)]
pub(crate) struct TensorsAt<'a> {
    source: &'a dyn TensorSource,
    /// Empty, or ending with a dot.
    prefix: String,
}

impl<'a> TensorsAt<'a> {
    /// All of them.
    pub(crate) fn root(source: &'a dyn TensorSource) -> Self {
        Self { source, prefix: String::new() }
    }

    /// Those under `path`.
    pub(crate) fn at(&self, path: &str) -> Self {
        Self { source: self.source, prefix: format!("{}{path}.", self.prefix) }
    }
}

impl TensorSource for TensorsAt<'_> {
    fn tensor(&self, name: &str, shape: &[usize], init: Init) -> Result<Vec<f32>> {
        self.source.tensor(&format!("{}{name}", self.prefix), shape, init)
    }

    #[cfg(feature = "candle")]
    fn candle_tensor(
        &self,
        name: &str,
        shape: &[usize],
        init: Init,
    ) -> Result<Option<candle_core::Tensor>> {
        self.source.candle_tensor(&format!("{}{name}", self.prefix), shape, init)
    }

    fn full_name(&self, name: &str) -> String {
        self.source.full_name(&format!("{}{name}", self.prefix))
    }
}

/// A handful of tensors, for tests.
#[cfg(test)]
pub(crate) struct Named(std::collections::BTreeMap<String, Vec<f32>>);

#[cfg(test)]
impl Named {
    pub(crate) fn new<const N: usize>(tensors: [(&str, Vec<f32>); N]) -> Self {
        Self(tensors.into_iter().map(|(name, values)| (name.to_owned(), values)).collect())
    }
}

#[cfg(test)]
impl TensorSource for Named {
    fn tensor(&self, name: &str, _: &[usize], _: Init) -> Result<Vec<f32>> {
        let missing = || ModelError::MissingTensor { name: name.to_owned() };
        Ok(self.0.get(name).cloned().ok_or_else(missing)?)
    }
}
