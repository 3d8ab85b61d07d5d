//! A moving average of the weights, which is often better than the last ones (EMA).
//!
//! After step `t` (from 1), per element, each operation one f32 rounding: `average = average + [1 - d] * (weight - average)`, with
//! `d` the decay, or, with a ramp `r` above 0, the smaller of the decay and `(1 + t) / (r + t)`; the bracket is computed in f64 and
//! rounded once.

use rayon::prelude::*;
use retinanet_kernels::with_ieee;
use serde::{Deserialize, Serialize};

use crate::parameters::Parameters;
use crate::{Error, Result};

/// Elements that one task handles.
const PIECE: usize = 1 << 14;

/// What a user may set.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EmaConfig {
    /// How much of the average is kept at each step, 0 to below 1.
    pub decay: f64,
    /// Above 0: at first less is kept, `(1 + t) / (ramp + t)` at step t.
    #[serde(default)]
    pub ramp: f64,
}

impl EmaConfig {
    pub(crate) fn check(&self) -> Result<()> {
        let refuse = |setting, value: f64, expected| {
            Err(Error::Setting { setting, value: value.to_string(), expected })
        };
        if !(0.0..1.0).contains(&self.decay) {
            return refuse("ema_decay", self.decay, "0 to below 1");
        }
        if !(0.0..=1e9).contains(&self.ramp) {
            return refuse("ema_ramp", self.ramp, "0 to 1e9");
        }
        Ok(())
    }
}

/// The average of the tensors that train.
#[derive(Debug, Clone, PartialEq)]
pub struct Ema {
    config: EmaConfig,
    values: Vec<Vec<f32>>,
}

impl Ema {
    /// Begins at the weights.
    ///
    /// # Errors
    /// [`Error::Setting`].
    pub fn new(config: EmaConfig, parameters: &Parameters) -> Result<Self> {
        let values = parameters.trainable().map(|one| one.values().to_vec()).collect();
        Self::resume(config, values, parameters)
    }

    /// Goes on from these values, in the order of [`Parameters::trainable`].
    ///
    /// # Errors
    /// [`Error::Setting`], and [`Error::Length`] where they do not fit the parameters.
    pub fn resume(
        config: EmaConfig,
        values: Vec<Vec<f32>>,
        parameters: &Parameters,
    ) -> Result<Self> {
        config.check()?;
        let average = Self { config, values };
        average.check(parameters)?;
        Ok(average)
    }

    /// In the order of [`Parameters::trainable`].
    pub fn values(&self) -> &[Vec<f32>] {
        &self.values
    }

    /// Takes the weights in after step number `step`, from 1.
    ///
    /// # Errors
    /// [`Error::Length`] where they are another model's.
    pub fn update(&mut self, parameters: &Parameters, step: u64) -> Result<()> {
        self.check(parameters)?;
        let EmaConfig { decay, ramp } = self.config;
        let share = with_ieee(|| {
            let step = step as f64;
            let ramped = (1.0 + step) / (ramp + step);
            let decay = if ramp > 0.0 && ramped < decay { ramped } else { decay };
            (1.0 - decay) as f32
        });
        let tensors = self.values.iter_mut().zip(parameters.trainable());
        let pieces: Vec<(&mut [f32], &[f32])> = tensors
            .flat_map(|(average, tensor)| {
                average.chunks_mut(PIECE).zip(tensor.values().chunks(PIECE))
            })
            .collect();
        pieces.into_par_iter().for_each(|(average, values)| {
            with_ieee(|| {
                for (average, value) in average.iter_mut().zip(values) {
                    *average += share * (value - *average);
                }
            });
        });
        Ok(())
    }

    fn check(&self, parameters: &Parameters) -> Result<()> {
        let check = |what, expected: usize, actual: usize| {
            if expected == actual { Ok(()) } else { Err(Error::Length { what, expected, actual }) }
        };
        check("tensors of the average", parameters.trainable().count(), self.values.len())?;
        for (tensor, values) in parameters.trainable().zip(&self.values) {
            check("values of the average", tensor.values().len(), values.len())?;
        }
        Ok(())
    }
}
