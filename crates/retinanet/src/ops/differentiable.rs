//! What the way back through a layer on candle's tensors needs.

use std::sync::{Arc, Mutex, PoisonError};

use candle_core::Tensor;
use retinanet_kernels::Level;
use retinanet_kernels::conv2d::{Conv2dSpec, DataGradient};

/// The weights of a convolution that are packed already, for the gradient of its input.
///
/// They are packed for it when the first gradient is asked for, and then given up.
#[derive(Debug)]
pub(crate) struct KeptWeights {
    level: Level,
    spec: Conv2dSpec,
    kept: Mutex<Kept>,
}

#[derive(Debug)]
enum Kept {
    Weights(Vec<f32>),
    Packed(Arc<DataGradient>),
}

impl KeptWeights {
    /// Keeps `weight`, (out, in, height, width), batch norm folded.
    pub(crate) fn new(level: Level, spec: Conv2dSpec, weight: Vec<f32>) -> Self {
        Self { level, spec, kept: Mutex::new(Kept::Weights(weight)) }
    }

    /// # Errors
    /// The padding is as large as the kernel.
    pub(crate) fn data_gradient(&self) -> retinanet_kernels::Result<Arc<DataGradient>> {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let packed = match &*kept {
            Kept::Packed(packed) => return Ok(packed.clone()),
            Kept::Weights(weight) => Arc::new(DataGradient::new(self.level, self.spec, weight)?),
        };
        *kept = Kept::Packed(packed.clone());
        Ok(packed)
    }
}

/// The tensors of a convolution, at least one of which may change: a variable, or computed from one.
#[derive(Debug)]
pub(crate) struct ConvVariables {
    pub(crate) level: Level,
    /// Whether it is computed from bfloat16 where the CPU is faster at it.
    pub(crate) fast: bool,
    pub(crate) spec: Conv2dSpec,
    pub(crate) weight: Tensor,
    pub(crate) shift: VariableShift,
}

/// What shifts a convolution's outputs.
#[derive(Debug)]
pub(crate) enum VariableShift {
    None,
    Bias(Tensor),
    BatchNorm(BatchNormVariables),
}

/// The tensors of a batch norm that is folded into the convolution before it.
#[derive(Debug)]
pub(crate) struct BatchNormVariables {
    /// Its full name.
    pub(crate) name: String,
    pub(crate) eps: f64,
    pub(crate) weight: Tensor,
    pub(crate) bias: Tensor,
    /// Constants, as the variance is.
    pub(crate) mean: Tensor,
    pub(crate) variance: Tensor,
}

impl ConvVariables {
    /// Whether a gradient of any of them may be asked for.
    pub(crate) fn train(&self) -> bool {
        let shift = match &self.shift {
            VariableShift::None => false,
            VariableShift::Bias(bias) => bias.track_op(),
            VariableShift::BatchNorm(norm) => norm.weight.track_op() || norm.bias.track_op(),
        };
        shift || self.weight.track_op()
    }
}
