//! One convolution as a checkpoint stores it: where its tensors are and how they become an
//! operation.

use rayon::prelude::*;
use retinanet_kernels::with_ieee;

use super::batch_norm::{BatchNormConfig, BatchNormSite};
#[cfg(feature = "candle")]
use super::kept_tensors::KeptTensors;
use super::tensor_source::{TensorSource, TensorsAt};
use super::tensor_spec::TensorSpec;
use crate::Result;
use crate::determinism::{Fan, Init};
#[cfg(feature = "candle")]
use crate::ops::differentiable::{BatchNormVariables, ConvVariables, VariableShift};
use crate::ops::{Arithmetic, Conv2d, Conv2dSpec};

/// torchvision's initialisation of ResNet's convolutions: Kaiming normal, fan out, ReLU.
pub(crate) const KAIMING_NORMAL_FAN_OUT: Init =
    Init::KaimingNormal { fan: Fan::Out, gain: std::f64::consts::SQRT_2 };

/// torchvision's initialisation of the FPN's convolutions: Kaiming uniform with a = 1 (gain 1).
pub(crate) const KAIMING_UNIFORM_FAN_IN: Init = Init::KaimingUniform { fan: Fan::In, gain: 1.0 };

/// What shifts a convolution's outputs.
pub(crate) enum Shift {
    /// Nothing.
    None,
    /// A bias of its own, initialised to a constant.
    Bias(f64),
    /// A batch norm, folded into weights and bias.
    BatchNorm(BatchNormSite),
}

/// A convolution of the network.
pub(crate) struct ConvSite {
    /// Its path, relative to the layer that holds it.
    pub(crate) path: String,
    pub(crate) spec: Conv2dSpec,
    pub(crate) init: Init,
    pub(crate) shift: Shift,
}

/// A square convolution that keeps the size at stride 1 (padding = kernel / 2).
pub(crate) fn same_conv(
    in_channels: usize,
    out_channels: usize,
    kernel: usize,
    stride: usize,
) -> Conv2dSpec {
    Conv2dSpec {
        in_channels,
        out_channels,
        kernel: [kernel; 2],
        stride: [stride; 2],
        padding: [kernel / 2; 2],
    }
}

impl ConvSite {
    /// A convolution without bias and the batch norm after it.
    pub(crate) fn with_batch_norm(
        path: &str,
        norm_path: &str,
        spec: Conv2dSpec,
        config: BatchNormConfig,
    ) -> Self {
        Self {
            path: path.to_owned(),
            spec,
            init: KAIMING_NORMAL_FAN_OUT,
            shift: Shift::BatchNorm(BatchNormSite {
                path: norm_path.to_owned(),
                channels: spec.out_channels,
                config,
            }),
        }
    }

    fn weight(&self) -> TensorSpec {
        let Conv2dSpec { in_channels, out_channels, kernel, .. } = self.spec;
        let shape = [out_channels, in_channels, kernel[0], kernel[1]];
        TensorSpec::new(format!("{}.weight", self.path), &shape, self.init)
    }

    fn bias(&self, value: f64) -> TensorSpec {
        let shape = [self.spec.out_channels];
        TensorSpec::new(format!("{}.bias", self.path), &shape, Init::Constant(value))
    }

    /// The same site seen from `prefix`.
    pub(crate) fn under(mut self, prefix: &str) -> Self {
        self.path = format!("{prefix}.{}", self.path);
        if let Shift::BatchNorm(norm) = &mut self.shift {
            norm.path = format!("{prefix}.{}", norm.path);
        }
        self
    }

    /// The tensors it needs.
    pub(crate) fn tensors(&self) -> Vec<TensorSpec> {
        let mut tensors = vec![self.weight()];
        match &self.shift {
            Shift::None => {}
            Shift::Bias(value) => tensors.push(self.bias(*value)),
            Shift::BatchNorm(norm) => tensors.extend(norm.tensors()),
        }
        tensors
    }

    /// Loads and folds: the weights, (out, in, height, width), and the bias that the operation has.
    pub(crate) fn folded(&self, tensors: &TensorsAt<'_>) -> Result<(Vec<f32>, Option<Vec<f32>>)> {
        // Folding computes, so it too needs the default rounding and subnormals.
        with_ieee(|| {
            let mut weight = self.weight().load(tensors)?;
            let bias = match &self.shift {
                Shift::None => None,
                Shift::Bias(value) => Some(self.bias(*value).load(tensors)?),
                Shift::BatchNorm(norm) => Some(norm.fold(tensors, &mut weight)?),
            };
            Ok((weight, bias))
        })
    }

    /// Loads and folds again, into the memory of what [`ConvSite::build`] made; `also` gets the weights.
    #[cfg(feature = "training")]
    pub(crate) fn rebuild(
        &self,
        conv: &mut Conv2d,
        tensors: &TensorsAt<'_>,
        also: impl FnOnce(&[f32]) -> Result<()>,
    ) -> Result<()> {
        let (weight, bias) = self.folded(tensors)?;
        conv.repack(&weight, bias.as_deref())?;
        also(&weight)
    }

    /// Loads, folds and packs; the tensors are dropped.
    #[cfg(not(feature = "candle"))]
    pub(crate) fn build(
        &self,
        arithmetic: Arithmetic<'_>,
        tensors: &TensorsAt<'_>,
    ) -> Result<Conv2d> {
        let (weight, bias) = self.folded(tensors)?;
        let conv = Conv2d::packed(arithmetic, self.spec, &weight, bias.as_deref())?;
        Ok(conv.named(&tensors.full_name(&self.path)))
    }

    /// Loads, folds and packs; the tensors are dropped. Those of candle's are kept: as they are where one may change,
    /// else folded.
    #[cfg(feature = "candle")]
    pub(crate) fn build(
        &self,
        arithmetic: Arithmetic<'_>,
        tensors: &TensorsAt<'_>,
    ) -> Result<Conv2d> {
        let kept = KeptTensors::of(tensors);
        // Also where nothing is packed: it checks the values.
        let (weight, bias) = self.folded(&TensorsAt::root(&kept))?;
        let variables = self.variables(arithmetic, &kept);
        let conv = match variables.filter(|_| arithmetic.is_on_cpu()) {
            Some(variables) if variables.train() => Conv2d::of_variables(variables),
            variables => {
                let conv = Conv2d::packed(arithmetic, self.spec, &weight, bias.as_deref())?;
                if variables.is_some() { conv.keeping(weight) } else { conv }
            }
        };
        Ok(conv.named(&tensors.full_name(&self.path)))
    }

    /// Its tensors, where the source has candle's.
    #[cfg(feature = "candle")]
    fn variables(
        &self,
        arithmetic: Arithmetic<'_>,
        kept: &KeptTensors<'_>,
    ) -> Option<ConvVariables> {
        let shift = match &self.shift {
            Shift::None => VariableShift::None,
            Shift::Bias(value) => VariableShift::Bias(kept.take(&self.bias(*value))?),
            Shift::BatchNorm(norm) => {
                let [weight, bias, mean, variance] = norm.tensors();
                VariableShift::BatchNorm(BatchNormVariables {
                    name: kept.full_name(&norm.path),
                    eps: norm.config.eps,
                    weight: kept.take(&weight)?,
                    bias: kept.take(&bias)?,
                    mean: kept.take(&mean)?,
                    variance: kept.take(&variance)?,
                })
            }
        };
        let (level, fast, spec) = (arithmetic.level, arithmetic.fast, self.spec);
        Some(ConvVariables { level, fast, spec, weight: kept.take(&self.weight())?, shift })
    }
}

/// What `build` makes of each site, in order; the sites are built in parallel. The error is the
/// first in the sites' order.
pub(crate) fn build_each<S: Sync, T: Send>(
    sites: &[S],
    build: impl Fn(&S) -> Result<T> + Send + Sync,
) -> Result<Vec<T>> {
    let built: Vec<Result<T>> = sites.par_iter().map(build).collect();
    built.into_iter().collect()
}
