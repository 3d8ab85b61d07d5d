//! A batch norm that is folded into weights that may change.

use candle_core::{CpuStorage, CustomOp3, Device, Layout, Result, Shape, Tensor};
use retinanet_kernels::with_ieee;

use super::images::on_cpu;
use crate::model::kept_tensors::tensor_values;
use crate::model::{BatchNormValues, ModelError};
use crate::ops::differentiable::BatchNormVariables;

const NAME: &str = "retinanet.fold_batch_norm";

/// The folded weights (out, in, height, width) and bias (out), recorded in candle's graph.
pub(super) fn fold(norm: &BatchNormVariables, weight: &Tensor) -> Result<[Tensor; 2]> {
    let operation = Fold {
        name: norm.name.clone(),
        eps: norm.eps,
        mean: tensor_values(&norm.mean)?,
        variance: tensor_values(&norm.variance)?,
    };
    let [gamma, beta] = [&norm.weight, &norm.bias].map(on_cpu);
    let folded = weight.apply_op3(&gamma?, &beta?, operation)?;
    let (weights, channels) = (weight.elem_count(), norm.bias.elem_count());
    let folded_weight = folded.narrow(0, 0, weights)?.reshape(weight.shape())?;
    Ok([folded_weight, folded.narrow(0, weights, channels)?])
}

/// Of a convolution's weights and a batch norm's weight and bias: the folded weights, then the folded bias.
///
/// Its gradient, with s = weight / sqrt(running_var + eps) and gradients g of the folded weights w * s and h of
/// the folded bias, in f64 and rounded once: that of w is g * s, that of the batch norm's bias is h, and that of its weight is
/// (sum - h * running_mean) / sqrt(running_var + eps), where the sum is of g * w from left to right.
struct Fold {
    name: String,
    eps: f64,
    mean: Vec<f32>,
    variance: Vec<f32>,
}

impl Fold {
    fn values<'a>(&'a self, weight: &'a [f32], bias: &'a [f32]) -> BatchNormValues<'a> {
        let Self { mean, variance, eps, .. } = self;
        BatchNormValues { weight, bias, mean, variance, eps: *eps }
    }

    fn refuse(&self, (channel, reason): (usize, String)) -> candle_core::Error {
        let (name, eps) = (self.name.clone(), self.eps);
        candle_core::Error::wrap(ModelError::BatchNorm { name, channel, reason, eps })
    }

    /// The gradients of the convolution's weights and of the batch norm's weight.
    fn gradients(
        &self,
        weight: &[f32],
        gamma: &[f32],
        gradient: &[f32],
    ) -> std::result::Result<(Vec<f32>, Vec<f32>), (usize, String)> {
        let values = self.values(gamma, &[]);
        let (of_weights, of_biases) = gradient.split_at(weight.len());
        let taps = weight.len() / gamma.len();
        let (mut of_weight, mut of_gamma) = (Vec::with_capacity(weight.len()), Vec::new());
        let channels = weight.chunks_exact(taps).zip(of_weights.chunks_exact(taps));
        for (channel, (weight, gradient)) in channels.enumerate() {
            let refuse = |reason| (channel, reason);
            let scale = values.scale(channel).map_err(refuse)?;
            let deviation = values.deviation(channel).map_err(refuse)?;
            let mut sum = 0.0;
            for (weight, gradient) in weight.iter().zip(gradient) {
                of_weight.push((f64::from(*gradient) * scale) as f32);
                sum += f64::from(*gradient) * f64::from(*weight);
            }
            let of_bias = f64::from(of_biases[channel]) * f64::from(self.mean[channel]);
            of_gamma.push(((sum - of_bias) / deviation) as f32);
        }
        Ok((of_weight, of_gamma))
    }
}

/// A contiguous tensor's values.
fn slice<'a>(storage: &'a CpuStorage, layout: &Layout) -> Result<&'a [f32]> {
    let values = storage.as_slice::<f32>()?;
    let range = layout.contiguous_offsets().and_then(|(start, end)| values.get(start..end));
    range.ok_or_else(|| candle_core::Error::RequiresContiguous { op: NAME }.bt())
}

impl CustomOp3 for Fold {
    fn name(&self) -> &'static str {
        NAME
    }

    fn cpu_fwd(
        &self,
        weight: &CpuStorage,
        weight_layout: &Layout,
        gamma: &CpuStorage,
        gamma_layout: &Layout,
        beta: &CpuStorage,
        beta_layout: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let mut folded = slice(weight, weight_layout)?.to_vec();
        let (gamma, beta) = (slice(gamma, gamma_layout)?, slice(beta, beta_layout)?);
        let bias = with_ieee(|| self.values(gamma, beta).fold(&mut folded))
            .map_err(|reason| self.refuse(reason))?;
        folded.extend(bias);
        let shape = Shape::from(folded.len());
        Ok((CpuStorage::F32(folded), shape))
    }

    fn bwd(
        &self,
        weight: &Tensor,
        gamma: &Tensor,
        beta: &Tensor,
        _: &Tensor,
        gradient: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>, Option<Tensor>)> {
        let [weights, gammas, gradients] = [weight, gamma, gradient].map(tensor_values);
        let (weights, gammas, gradients) = (weights?, gammas?, gradients?);
        let (of_weight, of_gamma) = with_ieee(|| self.gradients(&weights, &gammas, &gradients))
            .map_err(|reason| self.refuse(reason))?;
        let of_beta = gradients[weights.len()..].to_vec();
        let tensor = |values, like: &Tensor| {
            let wanted = like.track_op();
            wanted.then(|| Tensor::from_vec(values, like.shape(), &Device::Cpu)).transpose()
        };
        Ok((tensor(of_weight, weight)?, tensor(of_gamma, gamma)?, tensor(of_beta, beta)?))
    }
}

#[cfg(test)]
mod tests {
    use candle_core::{DType, Var};

    use super::*;

    fn var(from: i64, shape: &[usize]) -> Var {
        let values = 0..shape.iter().product::<usize>() as i64;
        let values = values.map(|i| ((from + i * 37) % 101) as f32 / 50.0 - 0.99).collect();
        Var::from_vec(values, shape, &Device::Cpu).unwrap()
    }

    /// The fold of three channels, of weight, and of weight and bias of a batch norm.
    fn folded(weight: &Var, gamma: &Var, beta: &Var) -> [Tensor; 2] {
        let norm = BatchNormVariables {
            name: "bn".to_owned(),
            eps: 1e-3,
            weight: gamma.as_tensor().clone(),
            bias: beta.as_tensor().clone(),
            mean: var(7, &[3]).as_detached_tensor(),
            variance: var(90, &[3]).sqr().unwrap().detach(),
        };
        fold(&norm, weight).unwrap()
    }

    #[test]
    fn gradients_are_those_of_the_formula_in_f64() {
        let (weight, gamma, beta) = (var(1, &[3, 2, 2, 1]), var(2, &[3]), var(3, &[3]));
        let [folded_weight, folded_bias] = folded(&weight, &gamma, &beta);
        let wide = |tensor: &Tensor| tensor.to_dtype(DType::F64).unwrap();
        let variance = wide(&var(90, &[3]).sqr().unwrap().detach());
        let deviation = (variance + 1e-3).unwrap().sqrt().unwrap();
        let scale = (wide(&gamma) / deviation).unwrap();
        let by_channel = scale.reshape((3, 1, 1, 1)).unwrap();
        let theirs_weight = wide(&weight).broadcast_mul(&by_channel).unwrap();
        let theirs_bias =
            (wide(&beta) - (wide(&var(7, &[3]).as_detached_tensor()) * scale).unwrap()).unwrap();
        let loss = |weight: &Tensor, bias: &Tensor| {
            let dtype = weight.dtype();
            let of = |tensor: &Tensor, from| {
                let gradient = var(from, tensor.dims()).as_detached_tensor();
                (tensor * gradient.to_dtype(dtype).unwrap()).unwrap().sum_all().unwrap()
            };
            (of(weight, 50) + of(bias, 60)).unwrap().backward().unwrap()
        };
        let ours = loss(&folded_weight, &folded_bias);
        let theirs = loss(&theirs_weight, &theirs_bias);
        for one in [&weight, &gamma, &beta] {
            let [ours, theirs] = [&ours, &theirs].map(|all| tensor_values(all.get(one).unwrap()));
            for (ours, theirs) in ours.unwrap().iter().zip(theirs.unwrap()) {
                assert!((ours - theirs).abs() <= 1e-5 * theirs.abs(), "{ours} is not {theirs}");
            }
        }
    }

    #[test]
    fn the_fold_is_that_of_constants_and_a_variance_that_is_no_more_names_the_layer() {
        let (weight, gamma, beta) = (var(1, &[3, 2, 2, 1]), var(2, &[3]), var(3, &[3]));
        let [gammas, betas] = [&gamma, &beta].map(|one| tensor_values(one).unwrap());
        let [mean, variance] = [var(7, &[3]).as_tensor().clone(), var(90, &[3]).sqr().unwrap()];
        let (mean, variance) = (tensor_values(&mean).unwrap(), tensor_values(&variance).unwrap());
        let values = BatchNormValues {
            weight: &gammas,
            bias: &betas,
            mean: &mean,
            variance: &variance,
            eps: 1e-3,
        };
        let mut expected = tensor_values(&weight).unwrap();
        let bias = values.fold(&mut expected).unwrap();
        let [folded_weight, folded_bias] = folded(&weight, &gamma, &beta);
        assert_eq!(tensor_values(&folded_weight).unwrap(), expected);
        assert_eq!(tensor_values(&folded_bias).unwrap(), bias);
        let norm = BatchNormVariables {
            name: "bn".to_owned(),
            eps: 0.0,
            weight: gamma.as_tensor().clone(),
            bias: beta.as_tensor().clone(),
            mean: beta.as_detached_tensor(),
            variance: beta.zeros_like().unwrap(),
        };
        let error = fold(&norm, &weight).unwrap_err().to_string();
        assert!(error.contains("\"bn\", channel 0"), "{error}");
    }
}
