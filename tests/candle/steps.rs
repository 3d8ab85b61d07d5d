//! A small network trained with candle's optimisers.

use candle_core::{Device, Result, Tensor};
use candle_nn::{AdamW, Optimizer, SGD};
use retinanet::candle::{digest_tensor, vars_in_name_order};
use retinanet::determinism::Digest;
use retinanet::model::ExtraLevels;

use crate::network::{config, variables};
use crate::{on_threads, values};

/// Losses of some steps, and the digests of the variables after them.
fn train<O: Optimizer>(settings: O::Config, steps: usize) -> Result<(Vec<f32>, Vec<Digest>)> {
    let (variables, model) = variables(&config(false, ExtraLevels::P6P7FromPyramid));
    let images = Tensor::from_vec(values(9, 2 * 3 * 48 * 64), (2, 3, 48, 64), &Device::Cpu)?;
    let loss = || -> Result<Tensor> {
        let (logits, boxes) = model.forward(&images)?.flattened()?;
        // Class 1 everywhere, boxes moved by a half.
        let target = Tensor::new(&[0f32, 1.0], &Device::Cpu)?;
        let classes =
            candle_nn::ops::sigmoid(&logits)?.broadcast_sub(&target)?.sqr()?.mean_all()?;
        classes + (boxes - 0.5)?.sqr()?.mean_all()?
    };
    let mut optimiser = O::new(variables.all_vars(), settings)?;
    let mut losses = Vec::new();
    for _ in 0..steps {
        let loss = loss()?;
        losses.push(loss.to_scalar()?);
        optimiser.step(&loss.backward()?)?;
    }
    losses.push(loss()?.to_scalar()?);
    let digest = |(name, var): (String, candle_core::Var)| digest_tensor(&name, &var);
    let digests = vars_in_name_order(&variables).into_iter().map(digest);
    Ok((losses, digests.collect::<retinanet::Result<_>>().map_err(candle_core::Error::wrap)?))
}

fn check<O: Optimizer>(settings: O::Config, steps: usize)
where
    O::Config: Clone + Sync,
{
    let run = |threads| on_threads(threads, || train::<O>(settings.clone(), steps).unwrap());
    let (losses, digests) = run(1);
    println!("{losses:?}");
    assert!(losses[steps] < 0.8 * losses[0], "{losses:?}");
    for threads in [2, 3] {
        assert_eq!(run(threads), (losses.clone(), digests.clone()), "{threads} threads");
    }
}

#[test]
fn adamw_lowers_the_loss_to_the_same_bits_on_any_number_of_threads() {
    let settings = candle_nn::ParamsAdamW { lr: 3e-3, ..candle_nn::ParamsAdamW::default() };
    check::<AdamW>(settings, 5);
}

#[test]
fn sgd_lowers_the_loss_to_the_same_bits_on_any_number_of_threads() {
    check::<SGD>(0.05, 5);
}
