//! One step: pictures to the sum of their gradients, the sum to changed weights.

use retinanet::ops::Level;
use retinanet::training::{Memory, TrainableNetwork};
use retinanet_kernels::with_ieee;

use crate::clip::{clip, norm};
use crate::data::Sample;
use crate::error::{DataError, RunError};
use crate::gradient_sum::{GradientSum, ImageLoss};
use crate::losses::{Predictions, image_losses_in};
use crate::parameters::Parameters;
use crate::recipe::Recipe;
use crate::state::TrainingState;
use crate::{Error, Result};

/// A step's losses, divided as the recipe says.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct MeanLosses {
    /// The focal loss.
    pub classification: f64,
    /// The box loss.
    pub regression: f64,
    /// How many anchors had an object.
    pub foreground: u64,
}

/// Computes steps, in memory that is reused from step to step.
pub struct Stepper {
    trainable: Vec<String>,
    /// From the first step on.
    network: Option<TrainableNetwork>,
    memory: Memory,
    by_logits: Vec<f32>,
    sum: GradientSum,
    gradients: Vec<Vec<f32>>,
}

impl Stepper {
    /// For steps of at most `batch` pictures, those of all ranks counted.
    ///
    /// # Errors
    /// As [`GradientSum::of`].
    pub fn new(parameters: &Parameters, batch: u64) -> Result<Self> {
        Ok(Self {
            trainable: parameters.trainable().map(|one| one.name().to_owned()).collect(),
            network: None,
            memory: Memory::default(),
            by_logits: Vec::new(),
            sum: GradientSum::of(parameters, batch)?,
            gradients: parameters.trainable().map(|one| vec![0.0; one.values().len()]).collect(),
        })
    }

    /// The sum of the gradients of these pictures. Of the parameters, only those that train may have changed since the last
    /// step.
    ///
    /// # Errors
    /// A picture that cannot be had; [`RunError::NotFinite`] naming the picture and the first layer at fault.
    pub fn gradients(
        &mut self,
        recipe: &Recipe,
        parameters: &Parameters,
        level: Level,
        samples: impl Iterator<Item = Result<Sample, DataError>>,
    ) -> Result<()> {
        self.sum.clear();
        let config = parameters.config();
        let network = match self.network.take() {
            Some(mut network) => {
                network.update(parameters)?;
                network
            }
            None => TrainableNetwork::new(config, level, parameters, &self.trainable)?,
        };
        let network = self.network.insert(network);
        let loss = recipe.loss();
        for sample in samples {
            let sample = sample?;
            self.memory.reuse(std::mem::take(&mut self.gradients));
            let forward = network.forward(&mut self.memory, &sample.canvas, sample.size)?;
            let said = Predictions {
                classes: config.num_classes,
                logits: forward.logits(),
                regression: forward.regression(),
            };
            let (anchors, objects) = (forward.anchors(), &sample.objects);
            let by_logits = std::mem::take(&mut self.by_logits);
            match image_losses_in(level, &loss, anchors, objects, &said, by_logits) {
                Ok(losses) => {
                    self.gradients = forward.backward(&losses.by_logits, &losses.by_regression)?;
                    let image = sample.image_id.unsigned_abs();
                    self.sum.add(image, &self.gradients, &ImageLoss::from(&losses))?;
                    self.by_logits = losses.by_logits;
                }
                Err(Error::NotFinite { loss, value }) => {
                    drop(forward);
                    let layer =
                        network.first_not_finite(&mut self.memory, &sample.canvas, sample.size)?;
                    let image = sample.image_id;
                    return Err(RunError::NotFinite { image, loss, value, layer }.into());
                }
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// What the ranks add up.
    pub fn sum_mut(&mut self) -> &mut GradientSum {
        &mut self.sum
    }

    /// Divides and clips the sum, and lets optimiser and average make their step. Answers the losses, and the gradients'
    /// norm before it was clipped.
    ///
    /// # Errors
    /// [`GradientError::Norm`](crate::error::GradientError) where the norm is not finite. The state is then as it was.
    pub fn apply(
        &mut self,
        recipe: &Recipe,
        state: &mut TrainingState,
        learning_rate: f64,
        level: Level,
    ) -> Result<(MeanLosses, f32)> {
        let sums = self.sum.losses();
        let divisor = recipe.divisor(&sums);
        self.sum.finish_into(divisor, &mut self.gradients)?;
        let norm = match recipe.optimiser.clip_norm {
            Some(most) => clip(level, &mut self.gradients, most)?,
            None => norm(level, &self.gradients)?,
        };
        state.optimiser.step(&mut state.parameters, &self.gradients, learning_rate)?;
        state.step += 1;
        if let Some(ema) = &mut state.ema {
            ema.update(&state.parameters, state.step)?;
        }
        let losses = with_ieee(|| MeanLosses {
            classification: sums.classification / divisor as f64,
            regression: sums.regression / divisor as f64,
            foreground: sums.foreground,
        });
        Ok((losses, norm))
    }
}
