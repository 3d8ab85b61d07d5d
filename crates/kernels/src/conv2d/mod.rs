//! 2-D convolution with bias, residual and ReLU: one fused chain per output.
//!
//! # The order of operations
//! - Direct form: the accumulator starts at +0 and takes k = (input channel, ky, kx) in increasing
//!   order, fused at every step; padding takes part as +0.
//! - Winograd form F(4x4, 3x3), see [`winograd`]: for each of the 36 points one fused chain over the
//!   input channels, between two transforms with a fixed sequence of operations.
//! - Then bias, then residual, then ReLU, each rounded.
//!
//! Which form is used depends on the weights' shape and stride only: see [`Algorithm::of`].

#[cfg(target_arch = "x86_64")]
mod by_lists;
#[cfg(feature = "cuda")]
mod cuda;
pub mod data_gradient;
mod direct;
#[cfg(target_arch = "x86_64")]
mod fast;
mod item;
mod pointwise;
pub mod reference;
mod spec;
mod strip;
#[cfg(test)]
mod tests;
pub mod weight_gradient;
pub mod winograd;

#[cfg(feature = "cuda")]
pub use cuda::{CudaConv2d, CudaItem};
pub use data_gradient::{DataGradient, DataGradientItem};
pub use item::{Input, Item};
pub use spec::{Algorithm, Conv2dSpec};
pub use weight_gradient::{GradientPair, weight_gradient};

use crate::gemm::{CHUNK, PackedMatrix};
use crate::layout::{BlockedBuffer, BlockedShape};
use crate::simd::LANES;
use crate::{Error, Level, Result};

/// A convolution with its weights packed for the kernels.
#[derive(Clone, Debug)]
pub struct Conv2d {
    level: Level,
    spec: Conv2dSpec,
    weights: Weights,
    /// Padded to a whole chunk.
    bias: Option<Vec<f32>>,
}

#[derive(Clone, Debug)]
enum Weights {
    /// k = (ci, ky, kx).
    Direct(PackedMatrix),
    Winograd(winograd::TransformedWeights),
    /// The direct form rounded to bfloat16: only in the fast mode.
    #[cfg(target_arch = "x86_64")]
    Pairs(fast::PairWeights),
}

impl Conv2d {
    /// Packs weights of shape out x in x kh x kw and a bias of `out` values.
    ///
    /// # Errors
    /// The lengths do not match `spec`, or a size in it is zero.
    pub fn new(
        level: Level,
        spec: Conv2dSpec,
        weight: &[f32],
        bias: Option<&[f32]>,
    ) -> Result<Self> {
        Error::check_length("conv2d weight", spec.weights()?, weight.len())?;
        let bias = pad_bias(&spec, bias)?;
        let weights = match Algorithm::of(&spec) {
            Algorithm::Winograd => {
                Weights::Winograd(winograd::TransformedWeights::new(level, &spec, weight))
            }
            Algorithm::Direct => {
                let k = spec.in_channels * spec.kernel[0] * spec.kernel[1];
                Weights::Direct(PackedMatrix::pack(k, spec.out_channels, weight))
            }
        };
        Ok(Self { level, spec, weights, bias })
    }

    /// As [`Conv2d::new`], but free to round: where the CPU multiplies pairs of bfloat16, inputs and
    /// weights of at least 16 channels are rounded to it, in Winograd's form after their transforms.
    /// The result is not canonical.
    ///
    /// # Errors
    /// As [`Conv2d::new`].
    pub fn new_fast(
        level: Level,
        spec: Conv2dSpec,
        weight: &[f32],
        bias: Option<&[f32]>,
    ) -> Result<Self> {
        #[cfg(target_arch = "x86_64")]
        if let Some(bf16) = level.bf16()
            && spec.in_channels >= LANES
        {
            Error::check_length("conv2d weight", spec.weights()?, weight.len())?;
            let weights = match Algorithm::of(&spec) {
                Algorithm::Winograd => Weights::Winograd(winograd::TransformedWeights::rounded(
                    level, bf16, &spec, weight,
                )),
                Algorithm::Direct => Weights::Pairs(fast::PairWeights::new(bf16, &spec, weight)),
            };
            return Ok(Self { level, spec, weights, bias: pad_bias(&spec, bias)? });
        }
        Self::new(level, spec, weight, bias)
    }

    /// The same convolution with other weights and bias, packed into the memory of those it had: what [`Conv2d::new`]
    /// makes of them, for steps of training.
    ///
    /// # Errors
    /// As [`Conv2d::new`].
    pub fn repack(&mut self, weight: &[f32], bias: Option<&[f32]>) -> Result<()> {
        Error::check_length("conv2d weight", self.spec.weights()?, weight.len())?;
        self.bias = pad_bias(&self.spec, bias)?;
        match &mut self.weights {
            Weights::Winograd(weights) => weights.repack(self.level, weight),
            Weights::Direct(weights) => weights.repack(weight),
            #[cfg(target_arch = "x86_64")]
            Weights::Pairs(pairs) => {
                *pairs = fast::PairWeights::new(pairs.bf16, &self.spec, weight);
            }
        }
        Ok(())
    }

    /// The shape.
    pub fn spec(&self) -> &Conv2dSpec {
        &self.spec
    }

    /// The CPU level it was packed for.
    pub fn level(&self) -> Level {
        self.level
    }

    /// The output's (height, width).
    ///
    /// # Errors
    /// As [`Conv2dSpec::output_size`].
    pub fn output_size(&self, input: [usize; 2]) -> Result<[usize; 2]> {
        self.spec.output_size(input)
    }

    /// Whether the input is given as planes of (y, x) instead of channel blocks.
    pub fn takes_planar(&self) -> bool {
        self.spec.in_channels < LANES
    }

    /// Convolves each item's input into its output.
    ///
    /// # Errors
    /// A shape does not match, or the input is not in the form that [`Conv2d::takes_planar`] says.
    pub fn forward(&self, items: &mut [Item<'_>], relu: bool) -> Result<()> {
        for item in items.iter() {
            self.check(item)?;
        }
        let bias = self.bias.as_deref();
        match &self.weights {
            Weights::Winograd(weights) => {
                winograd::forward(self.level, &self.spec, weights, bias, relu, items);
            }
            #[cfg(target_arch = "x86_64")]
            Weights::Pairs(weights) => fast::forward(&self.spec, weights, bias, relu, items),
            Weights::Direct(weights) if pointwise::applies(&self.spec) => {
                pointwise::forward(self.level, weights, bias, relu, items);
            }
            Weights::Direct(weights) => {
                direct::forward(self.level, &self.spec, weights, bias, relu, items);
            }
        }
        Ok(())
    }

    /// Convolves one image given and wanted as (c, y, x): the same bits as [`Conv2d::forward`], with
    /// copies into and out of the blocked layout.
    ///
    /// # Errors
    /// A length does not match.
    pub fn forward_nchw(
        &self,
        input: &[f32],
        size: [usize; 2],
        residual: Option<&[f32]>,
        relu: bool,
        output: &mut [f32],
    ) -> Result<()> {
        let in_shape = BlockedShape::new(self.spec.in_channels, size);
        let out_shape = BlockedShape::new(self.spec.out_channels, self.output_size(size)?);
        Error::check_length("conv2d input", in_shape.values(), input.len())?;
        Error::check_length("conv2d output", out_shape.values(), output.len())?;
        let blocked;
        let input = if self.takes_planar() {
            Input::Planar { data: input, size }
        } else {
            blocked = BlockedBuffer::from_chw(in_shape, input)?;
            Input::Blocked(blocked.as_ref())
        };
        let residual = residual.map(|r| BlockedBuffer::from_chw(out_shape, r)).transpose()?;
        let mut result = BlockedBuffer::zeroed(out_shape);
        let residual = residual.as_ref().map(BlockedBuffer::as_ref);
        self.forward(&mut [Item { input, residual, output: result.as_mut() }], relu)?;
        result.as_ref().to_chw(output)
    }

    fn check(&self, item: &Item<'_>) -> Result<()> {
        let bad = |reason: String| Err(Error::Shape { what: "conv2d item", reason });
        let size = match item.input {
            Input::Planar { data, size } if self.takes_planar() => {
                let shape = BlockedShape::new(self.spec.in_channels, size);
                Error::check_length("conv2d planar input", shape.values(), data.len())?;
                size
            }
            Input::Blocked(blocked) if !self.takes_planar() => {
                if blocked.shape().channels != self.spec.in_channels {
                    return bad(format!("{:?} into {:?}", blocked.shape(), self.spec));
                }
                blocked.shape().size()
            }
            _ => {
                return bad(format!("the input's layout is not the one {:?} takes", self.spec));
            }
        };
        let wanted = BlockedShape::new(self.spec.out_channels, self.output_size(size)?);
        if item.output.shape() != wanted {
            return bad(format!("output {:?}, wanted {wanted:?}", item.output.shape()));
        }
        match item.residual {
            Some(residual) if residual.shape() != wanted => {
                bad(format!("residual {:?}, wanted {wanted:?}", residual.shape()))
            }
            _ => Ok(()),
        }
    }
}

/// The bias, padded to a whole chunk.
fn pad_bias(spec: &Conv2dSpec, bias: Option<&[f32]>) -> Result<Option<Vec<f32>>> {
    let Some(bias) = bias else { return Ok(None) };
    Error::check_length("conv2d bias", spec.out_channels, bias.len())?;
    let mut padded = bias.to_vec();
    padded.resize(spec.out_channels.next_multiple_of(CHUNK), 0.0);
    Ok(Some(padded))
}
