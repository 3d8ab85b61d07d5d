//! Optimisers: SGD with momentum and AdamW, elementwise, in PyTorch's order of operations.
//!
//! # The order of operations
//!
//! Per element, with `p` its value, `g` its gradient, `lr` the learning rate and `wd` the weight decay of its group. Scalars in
//! brackets are computed in f64 and rounded to f32 once; each other operation is one f32 rounding, none is fused.
//!
//! SGD (`torch.optim.SGD`, dampening 0, not Nesterov):
//!
//! ```text
//! d = g + [wd] * p            (d = g where wd is 0)
//! b = [momentum] * b + d      (b = d at the first step; d is used as it is where momentum is 0)
//! p = p + [-lr] * b
//! ```
//!
//! AdamW (`torch.optim.AdamW`), `t` counting steps from 1:
//!
//! ```text
//! p = p * [1 - lr * wd]
//! m = m + [1 - beta1] * (g - m)
//! v = v * [beta2] + [1 - beta2] * g * g                               (from the left)
//! p = p + [-lr / (1 - beta1^t)] * m / (sqrt(v) / [sqrt(1 - beta2^t)] + [eps])
//! ```
//!
//! The last line divides `[..] * m` by the bracket. `beta^t` is a fixed sequence of f64 multiplications: repeated squaring,
//! the lowest bit of `t` first.

mod adam_w;
mod groups;
mod power;
mod range;
mod sgd;

use rayon::prelude::*;
use retinanet_kernels::with_ieee;
use serde::{Deserialize, Serialize};

pub use adam_w::AdamWConfig;
pub use groups::GroupsConfig;
pub use sgd::SgdConfig;

use crate::parameters::Parameters;
use crate::{Error, Result};

/// Elements that one task handles.
const PIECE: usize = 1 << 14;

/// Which optimiser.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub enum OptimiserConfig {
    /// Stochastic gradient descent with momentum.
    Sgd(SgdConfig),
    /// Adam with decoupled weight decay.
    AdamW(AdamWConfig),
}

impl OptimiserConfig {
    /// What its moments are called in files, in the order of [`Optimiser::moments`].
    pub fn moment_names(&self) -> &'static [&'static str] {
        match self {
            Self::Sgd(_) => &["momentum"],
            Self::AdamW(_) => &["first_moment", "second_moment"],
        }
    }

    pub(crate) fn check(&self) -> Result<()> {
        match self {
            Self::Sgd(config) => config.check(),
            Self::AdamW(config) => config.check(),
        }
    }
}

/// An optimiser with its moments.
///
/// ```
/// use retinanet::Determinism;
/// use retinanet_train::architecture::resnet18_c4_fpn_gn;
/// use retinanet_train::optimiser::{AdamWConfig, GroupsConfig, Optimiser, OptimiserConfig};
/// use retinanet_train::parameters::Parameters;
///
/// let mut parameters = Parameters::initialised(&resnet18_c4_fpn_gn(2), 0, &Determinism::default())?;
/// let config = OptimiserConfig::AdamW(AdamWConfig::default());
/// let mut optimiser = Optimiser::new(config, GroupsConfig::default(), &parameters)?;
/// let gradients: Vec<Vec<f32>> =
///     parameters.trainable().map(|tensor| vec![0.1; tensor.values().len()]).collect();
/// optimiser.step(&mut parameters, &gradients, 1e-4)?;
/// assert_eq!(optimiser.steps(), 1);
/// # Ok::<(), retinanet_train::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct Optimiser {
    config: OptimiserConfig,
    groups: GroupsConfig,
    steps: u64,
    /// By kind of moment, then by tensor.
    moments: Vec<Vec<Vec<f32>>>,
}

impl Optimiser {
    /// An optimiser that has made no step.
    ///
    /// # Errors
    /// [`Error::Setting`] naming a setting that is out of range.
    pub fn new(
        config: OptimiserConfig,
        groups: GroupsConfig,
        parameters: &Parameters,
    ) -> Result<Self> {
        let zeros = || parameters.trainable().map(|one| vec![0.0; one.values().len()]).collect();
        let moments = config.moment_names().iter().map(|_| zeros()).collect();
        Self::resume(config, groups, 0, moments, parameters)
    }

    /// An optimiser that has made `steps` steps and has these moments, by kind (in the order of
    /// [`OptimiserConfig::moment_names`]), then by tensor.
    ///
    /// # Errors
    /// [`Error::Setting`] naming a setting that is out of range, [`Error::Length`] where moments and parameters do not
    /// fit.
    pub fn resume(
        config: OptimiserConfig,
        groups: GroupsConfig,
        steps: u64,
        moments: Vec<Vec<Vec<f32>>>,
        parameters: &Parameters,
    ) -> Result<Self> {
        config.check()?;
        groups.check()?;
        let kinds = config.moment_names().len();
        check_length("kinds of moments", kinds, moments.len())?;
        for moment in &moments {
            check_tensors("moments", parameters, moment)?;
        }
        Ok(Self { config, groups, steps, moments })
    }

    /// Which optimiser it is.
    pub fn config(&self) -> &OptimiserConfig {
        &self.config
    }

    /// How many steps it has made.
    pub fn steps(&self) -> u64 {
        self.steps
    }

    /// By kind of moment, in the order of [`OptimiserConfig::moment_names`], then by tensor.
    pub fn moments(&self) -> &[Vec<Vec<f32>>] {
        &self.moments
    }

    /// One step: changes the tensors that train by their gradients, in the order of
    /// [`Parameters::trainable`], at this learning rate.
    ///
    /// # Errors
    /// [`Error::Length`] where gradients and parameters do not fit, [`Error::Setting`] for a learning rate that is not a
    /// number from 0 up.
    pub fn step(
        &mut self,
        parameters: &mut Parameters,
        gradients: &[Vec<f32>],
        learning_rate: f64,
    ) -> Result<()> {
        check_tensors("gradients", parameters, gradients)?;
        for moment in &self.moments {
            check_tensors("moments", parameters, moment)?;
        }
        if !(0.0..=1e6).contains(&learning_rate) {
            let (setting, value) = ("learning_rate", learning_rate.to_string());
            return Err(Error::Setting { setting, value, expected: "0 to 1000000" });
        }
        self.steps += 1;
        let steps = self.steps;
        let groups = self.groups;
        // Scalars depend on the tensor's group.
        let tensors = parameters.trainable_mut().zip(gradients);
        match (&self.config, self.moments.as_mut_slice()) {
            (OptimiserConfig::Sgd(config), [momentum]) => {
                let mut pieces = Vec::new();
                for ((tensor, gradient), momentum) in tensors.zip(momentum) {
                    let rate = with_ieee(|| groups.learning_rate(tensor, learning_rate));
                    let decay = groups.weight_decay(tensor);
                    let scalars = with_ieee(|| config.scalars(rate, decay, steps));
                    let chunks = tensor.values_mut().chunks_mut(PIECE);
                    let others = gradient.chunks(PIECE).zip(momentum.chunks_mut(PIECE));
                    pieces.extend(chunks.zip(others).map(|(p, (g, b))| (scalars, p, g, b)));
                }
                pieces.into_par_iter().for_each(|(scalars, values, gradient, momentum)| {
                    with_ieee(|| scalars.step(values, gradient, momentum));
                });
            }
            (OptimiserConfig::AdamW(config), [first, second]) => {
                let mut pieces = Vec::new();
                for ((tensor, gradient), (first, second)) in
                    tensors.zip(first.iter_mut().zip(second))
                {
                    let rate = with_ieee(|| groups.learning_rate(tensor, learning_rate));
                    let decay = groups.weight_decay(tensor);
                    let scalars = with_ieee(|| config.scalars(rate, decay, steps));
                    let chunks = tensor.values_mut().chunks_mut(PIECE).zip(gradient.chunks(PIECE));
                    let moments = first.chunks_mut(PIECE).zip(second.chunks_mut(PIECE));
                    pieces.extend(chunks.zip(moments).map(|both| (scalars, both)));
                }
                pieces.into_par_iter().for_each(
                    |(scalars, ((values, gradient), (first, second)))| {
                        with_ieee(|| scalars.step(values, gradient, first, second));
                    },
                );
            }
            _ => unreachable!("`resume` checked the number of moments"),
        }
        Ok(())
    }
}

fn check_tensors(what: &'static str, parameters: &Parameters, values: &[Vec<f32>]) -> Result<()> {
    check_length(what, parameters.trainable().count(), values.len())?;
    for (tensor, values) in parameters.trainable().zip(values) {
        check_length(what, tensor.values().len(), values.len())?;
    }
    Ok(())
}

fn check_length(what: &'static str, expected: usize, actual: usize) -> Result<()> {
    if expected == actual { Ok(()) } else { Err(Error::Length { what, expected, actual }) }
}
