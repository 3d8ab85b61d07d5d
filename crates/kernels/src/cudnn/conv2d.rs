//! Convolution by a library.

use super::{Convolution, CudnnGpu, Map, Operands};
use crate::conv2d::Conv2dSpec;
use crate::cuda::Buffer;
use crate::{Error, Result};

/// A convolution with its weights on a GPU, in its format.
#[derive(Debug)]
pub struct CudnnConv2d {
    on: CudnnGpu,
    spec: Conv2dSpec,
    /// (output channel, ky, kx, input channel), channels padded to whole vectors by zeros.
    weights: Buffer,
    /// One per output channel, padded likewise.
    bias: Buffer,
}

/// One image of a call.
#[derive(Debug, Clone, Copy)]
pub struct CudnnItem<'a> {
    /// What is convolved.
    pub input: &'a Map,
    /// Added after the bias; has the output's shape.
    pub residual: Option<&'a Map>,
}

impl CudnnConv2d {
    /// Lays out, rounds and copies weights of shape out x in x kh x kw and a bias of `out` values.
    ///
    /// # Errors
    /// The lengths do not match `spec`, a size in it is zero or too large, a value is too large for the
    /// format, or the GPU has no room.
    pub fn new(
        on: &CudnnGpu,
        spec: Conv2dSpec,
        weight: &[f32],
        bias: Option<&[f32]>,
    ) -> Result<Self> {
        Error::check_length("conv2d weight", spec.weights()?, weight.len())?;
        if let Some(bias) = bias {
            Error::check_length("conv2d bias", spec.out_channels, bias.len())?;
        }
        let format = on.format();
        let padded = padded(on, &spec);
        let taps = spec.kernel[0] * spec.kernel[1];
        let mut values = vec![0.0; padded.weights()?];
        for (n, kernels) in weight.chunks_exact(spec.in_channels * taps).enumerate() {
            for (channel, kernel) in kernels.chunks_exact(taps).enumerate() {
                for (tap, value) in kernel.iter().enumerate() {
                    values[(n * taps + tap) * padded.in_channels + channel] = *value;
                }
            }
        }
        let weights = on.gpu().copy_of(&format.encode("conv2d weight", &values)?)?;
        let mut values = bias.unwrap_or_default().to_vec();
        values.resize(padded.out_channels, 0.0);
        let bias = on.gpu().copy_of(&format.encode("conv2d bias", &values)?)?;
        Ok(Self { on: on.clone(), spec, weights, bias })
    }

    /// The shape.
    pub fn spec(&self) -> &Conv2dSpec {
        &self.spec
    }

    /// The GPU, and how it convolves.
    pub fn on(&self) -> &CudnnGpu {
        &self.on
    }

    /// Convolves each item's input, adds bias and residual, and applies ReLU where asked.
    ///
    /// # Errors
    /// A shape or format does not match; the library has no algorithm; the GPU has no room or failed.
    pub fn forward(&self, items: &[CudnnItem<'_>], relu: bool) -> Result<Vec<Map>> {
        let (spec, format) = (&self.spec, self.on.format());
        let mut all = Vec::with_capacity(items.len());
        for item in items {
            item.input.check("conv2d input", spec.in_channels, format)?;
            let output = spec.output_size(item.input.size())?;
            if let Some(residual) = item.residual {
                residual.check("conv2d residual", spec.out_channels, format)?;
                if residual.size() != output {
                    let reason = format!("{:?}, wanted {output:?}", residual.size());
                    return Err(Error::Shape { what: "conv2d residual", reason });
                }
            }
            let convolution = Convolution {
                spec: padded(&self.on, spec),
                input: item.input.size(),
                output,
                format,
                residual: item.residual.is_some(),
                relu,
                pinned: self.on.is_pinned(),
            };
            all.push((item, convolution));
        }
        let gpu = self.on.gpu();
        all.into_iter()
            .map(|(item, convolution)| {
                let output = Map::room(gpu, format, spec.out_channels, convolution.output)?;
                let operands = Operands {
                    input: item.input.pointer(),
                    weights: *self.weights.pointer(),
                    bias: *self.bias.pointer(),
                    residual: item.residual.map_or(0, Map::pointer),
                    output: output.pointer(),
                };
                // SAFETY: maps, weights and bias were made for this shape and checked against each other;
                // the output is new.
                unsafe { self.on.library().convolve(gpu, &convolution, &operands)? };
                Ok(output)
            })
            .collect()
    }
}

/// The shape with its channels as they lie in memory.
fn padded(on: &CudnnGpu, spec: &Conv2dSpec) -> Conv2dSpec {
    let lanes = on.format().lanes();
    Conv2dSpec {
        in_channels: spec.in_channels.next_multiple_of(lanes),
        out_channels: spec.out_channels.next_multiple_of(lanes),
        ..*spec
    }
}
