//! Seeded initial values behind candle's `VarBuilder`, each tensor from its own name.

use candle_core::{DType, Device, Shape, Tensor, Var};
use candle_nn::init::NormalOrUniform;
use candle_nn::var_builder::SimpleBackend;
use candle_nn::{Init, VarBuilder, VarMap};

use super::{Determinism, DeterminismError, Purpose, Stream};
use crate::Result;

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
        self.check_dtype(dtype)?;
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
        init: Init,
        dtype: DType,
        device: &Device,
    ) -> Result<Tensor> {
        self.determinism.check_dtype(dtype)?;
        let mut stream = self.determinism.stream(Purpose::Initialisation, name, 0);
        let values = initial_values(&mut stream, &shape, name, init)?;
        Ok(Tensor::from_vec(values, shape, &Device::Cpu)?.to_dtype(dtype)?.to_device(device)?)
    }
}

impl SimpleBackend for SeededInit {
    fn get(
        &self,
        shape: Shape,
        name: &str,
        init: Init,
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

/// What each element is drawn from.
enum Distribution {
    Constant(f32),
    Normal { mean: f64, stdev: f64 },
    Uniform { low: f64, span: f64 },
}

impl Distribution {
    /// The distribution a candle hint means for this shape, with candle's own formulas.
    fn new(init: Init, shape: &Shape) -> Self {
        match init {
            Init::Const(value) => Self::Constant(value as f32),
            Init::Randn { mean, stdev } => Self::Normal { mean, stdev },
            Init::Uniform { lo, up } => Self::Uniform { low: lo, span: up - lo },
            Init::Kaiming { dist, fan, non_linearity } => {
                let stdev = non_linearity.gain() / (fan.for_shape(shape) as f64).sqrt();
                match dist {
                    NormalOrUniform::Normal => Self::Normal { mean: 0.0, stdev },
                    NormalOrUniform::Uniform => {
                        let bound = 3f64.sqrt() * stdev;
                        Self::Uniform { low: -bound, span: 2.0 * bound }
                    }
                }
            }
        }
    }

    fn is_usable(&self) -> bool {
        match *self {
            Self::Constant(_) => true,
            Self::Normal { mean, stdev } => mean.is_finite() && stdev.is_finite() && stdev >= 0.0,
            Self::Uniform { low, span } => low.is_finite() && span.is_finite() && span >= 0.0,
        }
    }

    /// One element, worked out in f64 and rounded once.
    fn draw(&self, stream: &mut Stream) -> f32 {
        match *self {
            Self::Constant(value) => value,
            Self::Normal { mean, stdev } => (mean + stdev * stream.normal_f64()) as f32,
            Self::Uniform { low, span } => (low + span * stream.uniform_f64()) as f32,
        }
    }
}

fn initial_values(
    stream: &mut Stream,
    shape: &Shape,
    name: &str,
    init: Init,
) -> Result<Vec<f32>, DeterminismError> {
    let refuse =
        |reason: String| DeterminismError::Initialisation { name: name.to_owned(), reason };
    let count = shape
        .dims()
        .iter()
        .try_fold(1usize, |count, &dim| count.checked_mul(dim))
        .ok_or_else(|| refuse(format!("its shape {shape:?} is too large")))?;
    let mut values = Vec::new();
    values
        .try_reserve_exact(count)
        .map_err(|_| refuse(format!("there is no memory for its shape {shape:?}")))?;
    if count == 0 {
        return Ok(values);
    }
    let distribution = Distribution::new(init, shape);
    if !distribution.is_usable() {
        return Err(refuse(format!(
            "{init:?} for shape {shape:?} is no distribution: its bounds must be finite and in order"
        )));
    }
    values.extend((0..count).map(|_| distribution.draw(stream)));
    Ok(values)
}
