//! Initial values, each tensor's from the seed and its own name.

use super::{Determinism, DeterminismError, Purpose, Stream};
use crate::Result;

/// How a new tensor is filled.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Init {
    /// One value.
    Constant(f64),
    /// A normal distribution.
    Normal {
        /// Its mean.
        mean: f64,
        /// Its standard deviation.
        stdev: f64,
    },
    /// A uniform distribution.
    Uniform {
        /// Its lower bound.
        low: f64,
        /// Its upper bound.
        high: f64,
    },
    /// A normal distribution around 0 whose standard deviation is gain / sqrt(fan) (He et al., 2015):
    /// `torch.nn.init.kaiming_normal_`.
    KaimingNormal {
        /// Which side's connections are counted.
        fan: Fan,
        /// What makes up for the nonlinearity after it: sqrt(2) for ReLU.
        gain: f64,
    },
    /// A uniform distribution around 0 of that standard deviation: `torch.nn.init.kaiming_uniform_`.
    KaimingUniform {
        /// Which side's connections are counted.
        fan: Fan,
        /// What makes up for the nonlinearity after it.
        gain: f64,
    },
}

/// The side of a layer whose connections are counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fan {
    /// An output's inputs: (in channels) * (kernel size).
    In,
    /// An input's outputs: (out channels) * (kernel size).
    Out,
}

impl Fan {
    /// Of weights of shape (out, in, kernel..).
    fn of(self, shape: &[usize]) -> f64 {
        let kernel: usize = shape.iter().skip(2).product();
        let side = match self {
            Self::In if shape.len() < 2 => return 1.0,
            Self::In => shape[1],
            Self::Out if shape.is_empty() => return 1.0,
            Self::Out => shape[0],
        };
        (side * kernel) as f64
    }
}

impl Determinism {
    /// What the new tensor `name` of this `shape` starts from, row-major, from this seed.
    ///
    /// The order in which tensors are asked for does not matter. The shape matters only where `init`
    /// itself uses it (Kaiming's fan).
    ///
    /// # Errors
    /// [`DeterminismError::Initialisation`] for a shape that no memory holds, or an `init` that is no
    /// distribution.
    ///
    /// ```
    /// use retinanet::determinism::{Determinism, Init};
    ///
    /// let init = Init::Normal { mean: 0.0, stdev: 0.01 };
    /// let weight = Determinism::strict(3407).initial_values("head.weight", &[2, 3], init)?;
    /// assert_eq!(weight.len(), 6);
    /// # Ok::<(), retinanet::Error>(())
    /// ```
    pub fn initial_values(&self, name: &str, shape: &[usize], init: Init) -> Result<Vec<f32>> {
        let mut stream = self.stream(Purpose::Initialisation, name, 0);
        Ok(initial_values(&mut stream, shape, name, init)?)
    }
}

/// What each element is drawn from.
enum Distribution {
    Constant(f32),
    Normal { mean: f64, stdev: f64 },
    Uniform { low: f64, span: f64 },
}

impl Distribution {
    /// The distribution that `init` means for this shape.
    fn new(init: Init, shape: &[usize]) -> Self {
        match init {
            Init::Constant(value) => Self::Constant(value as f32),
            Init::Normal { mean, stdev } => Self::Normal { mean, stdev },
            Init::Uniform { low, high } => Self::Uniform { low, span: high - low },
            Init::KaimingNormal { fan, gain } => {
                Self::Normal { mean: 0.0, stdev: gain / fan.of(shape).sqrt() }
            }
            Init::KaimingUniform { fan, gain } => {
                let bound = 3f64.sqrt() * (gain / fan.of(shape).sqrt());
                Self::Uniform { low: -bound, span: 2.0 * bound }
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
    shape: &[usize],
    name: &str,
    init: Init,
) -> Result<Vec<f32>, DeterminismError> {
    let refuse =
        |reason: String| DeterminismError::Initialisation { name: name.to_owned(), reason };
    let count = shape
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
