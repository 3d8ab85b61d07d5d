//! `VarBuilder`: seeded initial values behind it, and a network's tensors from any.

use candle_core::{DType, Device, Shape, Tensor, Var};
use candle_nn::init::{FanInOut, NonLinearity, NormalOrUniform};
use candle_nn::var_builder::SimpleBackend;
use candle_nn::{VarBuilder, VarMap};

use crate::Result;
use crate::determinism::{Determinism, DeterminismError, Fan, Init};
use crate::model::kept_tensors::tensor_values;
use crate::model::{ModelError, TensorSource};

/// Any `VarBuilder` over torchvision's names.
impl TensorSource for VarBuilder<'_> {
    fn tensor(&self, name: &str, shape: &[usize], init: Init) -> Result<Vec<f32>> {
        let tensor = tensor(self, name, shape, init)?;
        Ok(tensor_values(&tensor).map_err(|source| ModelError::Tensor {
            name: self.full_name(name),
            source: source.into(),
        })?)
    }

    fn candle_tensor(&self, name: &str, shape: &[usize], init: Init) -> Result<Option<Tensor>> {
        tensor(self, name, shape, init).map(Some)
    }

    fn full_name(&self, name: &str) -> String {
        let prefix = self.prefix();
        if prefix.is_empty() { name.to_owned() } else { format!("{prefix}.{name}") }
    }
}

fn tensor(vb: &VarBuilder<'_>, name: &str, shape: &[usize], init: Init) -> Result<Tensor> {
    let full = vb.full_name(name);
    let tensor =
        vb.get_with_hints(shape, name, to_candle(init)).map_err(|error| describe(error, &full))?;
    if tensor.dims() != shape {
        let (expected, found) = (shape.to_vec(), tensor.dims().to_vec());
        return Err(ModelError::TensorShape { name: full, expected, found }.into());
    }
    Ok(tensor)
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
        source => ModelError::Tensor { name, source: source.into() },
    }
}

fn to_candle(init: Init) -> candle_nn::Init {
    let kaiming = |dist, fan, gain| {
        let fan = match fan {
            Fan::In => FanInOut::FanIn,
            Fan::Out => FanInOut::FanOut,
        };
        let non_linearity = NonLinearity::ExplicitGain(gain);
        candle_nn::Init::Kaiming { dist, fan, non_linearity }
    };
    match init {
        Init::Constant(value) => candle_nn::Init::Const(value),
        Init::Normal { mean, stdev } => candle_nn::Init::Randn { mean, stdev },
        Init::Uniform { low, high } => candle_nn::Init::Uniform { lo: low, up: high },
        Init::KaimingNormal { fan, gain } => kaiming(NormalOrUniform::Normal, fan, gain),
        Init::KaimingUniform { fan, gain } => kaiming(NormalOrUniform::Uniform, fan, gain),
    }
}

fn from_candle(init: candle_nn::Init) -> Init {
    match init {
        candle_nn::Init::Const(value) => Init::Constant(value),
        candle_nn::Init::Randn { mean, stdev } => Init::Normal { mean, stdev },
        candle_nn::Init::Uniform { lo, up } => Init::Uniform { low: lo, high: up },
        candle_nn::Init::Kaiming { dist, fan, non_linearity } => {
            let gain = non_linearity.gain();
            let fan = match fan {
                FanInOut::FanIn => Fan::In,
                FanInOut::FanOut => Fan::Out,
            };
            match dist {
                NormalOrUniform::Normal => Init::KaimingNormal { fan, gain },
                NormalOrUniform::Uniform => Init::KaimingUniform { fan, gain },
            }
        }
    }
}

/// Refuses a number format that breaks the promise: in strict mode, all but f32.
fn check_dtype(determinism: &Determinism, dtype: DType) -> Result<()> {
    if determinism.is_strict() && dtype != DType::F32 {
        return Err(DeterminismError::Dtype { dtype: dtype.as_str() }.into());
    }
    Ok(())
}

impl Determinism {
    /// A `VarBuilder` that makes every tensor from this seed, the tensor's full name and the
    /// initialisation its layer asks for.
    ///
    /// The order in which tensors are asked for does not matter, nor does candle's own generator.
    /// The values fill the tensor in row-major order, so the shape matters only where the
    /// initialisation itself uses it (Kaiming's fan). They are drawn as f32; another `dtype` (fast
    /// mode only) is converted from it. `VarBuilder::get` asks for zeros, as everywhere in candle:
    /// use `get_with_hints`, or candle's layers.
    ///
    /// # Errors
    /// [`DeterminismError::Dtype`] in strict mode with a `dtype` other than f32.
    ///
    /// ```
    /// use candle_core::{DType, Device};
    /// use retinanet::determinism::Determinism;
    ///
    /// # fn main() -> retinanet::Result<()> {
    /// let vb = Determinism::strict(3407).var_builder(DType::F32, &Device::Cpu)?;
    /// let layer = candle_nn::linear(3, 2, vb.pp("head"))?;
    /// assert_eq!(layer.weight().dims(), [2, 3]);
    /// # Ok(())
    /// # }
    /// ```
    pub fn var_builder(&self, dtype: DType, device: &Device) -> Result<VarBuilder<'static>> {
        self.builder_over(SeededInit::new(self.clone()), dtype, device)
    }

    /// [`var_builder`](Self::var_builder) whose tensors are variables kept in `variables`.
    ///
    /// A name that `variables` already holds is answered from there. `VarMap::all_vars` lists
    /// variables in an order that changes at every run: give an optimiser
    /// [`vars_in_name_order`].
    ///
    /// # Errors
    /// As [`var_builder`](Self::var_builder).
    pub fn trainable_var_builder(
        &self,
        variables: &VarMap,
        dtype: DType,
        device: &Device,
    ) -> Result<VarBuilder<'static>> {
        let backend = SeededInit { determinism: self.clone(), variables: Some(variables.clone()) };
        self.builder_over(backend, dtype, device)
    }

    fn builder_over(
        &self,
        backend: SeededInit,
        dtype: DType,
        device: &Device,
    ) -> Result<VarBuilder<'static>> {
        check_dtype(self, dtype)?;
        Ok(VarBuilder::from_backend(Box::new(backend), dtype, device.clone()))
    }
}

/// The variables of a map, sorted by name: an order that is the same at every run.
pub fn vars_in_name_order(variables: &VarMap) -> Vec<(String, Var)> {
    let map = match variables.data().lock() {
        Ok(map) => map,
        Err(poisoned) => poisoned.into_inner(),
    };
    let mut vars: Vec<_> = map.iter().map(|(name, var)| (name.clone(), var.clone())).collect();
    vars.sort_by(|a, b| a.0.cmp(&b.0));
    vars
}

/// The backend behind [`Determinism::var_builder`], for those who combine it with another one.
pub struct SeededInit {
    determinism: Determinism,
    variables: Option<VarMap>,
}

impl SeededInit {
    /// Tensors from `determinism`'s seed, kept nowhere.
    pub fn new(determinism: Determinism) -> Self {
        Self { determinism, variables: None }
    }

    fn make(
        &self,
        shape: Shape,
        name: &str,
        init: candle_nn::Init,
        dtype: DType,
        device: &Device,
    ) -> Result<Tensor> {
        check_dtype(&self.determinism, dtype)?;
        let values = self.determinism.initial_values(name, shape.dims(), from_candle(init))?;
        Ok(Tensor::from_vec(values, shape, &Device::Cpu)?.to_dtype(dtype)?.to_device(device)?)
    }
}

impl SimpleBackend for SeededInit {
    fn get(
        &self,
        shape: Shape,
        name: &str,
        init: candle_nn::Init,
        dtype: DType,
        device: &Device,
    ) -> candle_core::Result<Tensor> {
        let make =
            |shape| self.make(shape, name, init, dtype, device).map_err(candle_core::Error::wrap);
        let Some(variables) = &self.variables else {
            return make(shape);
        };
        let mut map = match variables.data().lock() {
            Ok(map) => map,
            Err(poisoned) => poisoned.into_inner(),
        };
        if let Some(var) = map.get(name) {
            if var.shape() != &shape {
                return Err(candle_core::Error::UnexpectedShape {
                    msg: format!("{name:?} is already a variable of another shape"),
                    expected: shape,
                    got: var.shape().clone(),
                });
            }
            return Ok(var.as_tensor().clone());
        }
        let var = Var::from_tensor(&make(shape)?)?;
        let tensor = var.as_tensor().clone();
        map.insert(name.to_owned(), var);
        Ok(tensor)
    }

    fn get_unchecked(&self, name: &str, _: DType, _: &Device) -> candle_core::Result<Tensor> {
        candle_core::bail!("{name:?} cannot be initialised without its shape: use `get`")
    }

    /// Always true: any name can be initialised.
    fn contains_tensor(&self, _: &str) -> bool {
        true
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use super::*;
    use crate::model::{RetinaNet, RetinaNetConfig};

    /// What a network says to its first tensor.
    fn load(tensors: &[(&str, Tensor)]) -> String {
        let map: HashMap<String, Tensor> =
            tensors.iter().map(|(name, tensor)| ((*name).to_owned(), tensor.clone())).collect();
        let vb = VarBuilder::from_tensors(map, DType::F32, &Device::Cpu);
        let values = vb.pp("a").tensor("b.weight", &[2], Init::Constant(0.0));
        values.map_or_else(|error| error.to_string(), |values| format!("{values:?}"))
    }

    #[test]
    fn a_missing_tensor_is_named_in_full() {
        let error = load(&[]);
        assert!(error.contains("\"a.b.weight\" is missing"), "{error}");
        let vb = VarBuilder::from_tensors(HashMap::new(), DType::F32, &Device::Cpu);
        let error = RetinaNet::new(&RetinaNetConfig::resnet50_fpn(), vb.pp("model")).unwrap_err();
        let error = error.to_string();
        assert!(error.contains("\"model.backbone.body.conv1.weight\" is missing"), "{error}");
    }

    #[test]
    fn a_wrong_shape_gives_both_shapes() {
        let tensor = Tensor::zeros((2, 3), DType::F32, &Device::Cpu).unwrap();
        let error = load(&[("a.b.weight", tensor)]);
        assert!(error.contains("[2, 3], expected [2]"), "{error}");
    }

    #[test]
    fn half_precision_weights_are_widened() {
        let tensor = Tensor::from_slice(&[0.5f32, -2.0], 2, &Device::Cpu).unwrap();
        let tensor = tensor.to_dtype(DType::F16).unwrap();
        assert_eq!(load(&[("a.b.weight", tensor)]), "[0.5, -2.0]");
    }

    #[test]
    fn initialisations_survive_the_way_to_candle_and_back() {
        for init in [
            Init::Constant(0.5),
            Init::Normal { mean: 1.0, stdev: 2.0 },
            Init::Uniform { low: -1.0, high: 3.0 },
            Init::KaimingNormal { fan: Fan::Out, gain: std::f64::consts::SQRT_2 },
            Init::KaimingUniform { fan: Fan::In, gain: 1.0 },
        ] {
            assert_eq!(from_candle(to_candle(init)), init);
        }
    }
}
