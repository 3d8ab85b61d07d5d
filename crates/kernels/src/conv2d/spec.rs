//! What a convolution is, and in which form it is computed.

use crate::simd::LANES;
use crate::{Error, Result};

/// A convolution's shape: no dilation, no groups, zero padding. Pairs are (height, width).
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Conv2dSpec {
    /// Input channels.
    pub in_channels: usize,
    /// Output channels.
    pub out_channels: usize,
    /// Kernel size.
    pub kernel: [usize; 2],
    /// Stride.
    pub stride: [usize; 2],
    /// Zeros around the input, on each side.
    pub padding: [usize; 2],
}

impl Conv2dSpec {
    /// Number of weights: out x in x kh x kw.
    ///
    /// # Errors
    /// A size is zero, or the product overflows.
    pub fn weights(&self) -> Result<usize> {
        let bad =
            |reason: &str| Error::Shape { what: "conv2d", reason: format!("{reason}: {self:?}") };
        let factors = [self.in_channels, self.out_channels, self.kernel[0], self.kernel[1]];
        if factors.contains(&0) || self.stride.contains(&0) {
            return Err(bad("a size of zero"));
        }
        factors
            .into_iter()
            .try_fold(1usize, usize::checked_mul)
            .filter(|n| *n < u32::MAX as usize)
            .ok_or_else(|| bad("too many weights"))
    }

    /// The output's (height, width): `(in + 2 * padding - kernel) / stride + 1`, as in PyTorch.
    ///
    /// # Errors
    /// The kernel is larger than the padded input, or a size is zero.
    pub fn output_size(&self, input: [usize; 2]) -> Result<[usize; 2]> {
        let mut out = [0; 2];
        for i in 0..2 {
            let padded = self.padding[i].checked_mul(2).and_then(|p| p.checked_add(input[i]));
            let room = padded.and_then(|p| p.checked_sub(self.kernel[i]));
            out[i] = match room {
                Some(room) if self.stride[i] > 0 && input[i] > 0 => room / self.stride[i] + 1,
                _ => {
                    return Err(Error::Shape {
                        what: "conv2d input",
                        reason: format!("{input:?} is too small for {self:?}"),
                    });
                }
            };
        }
        Ok(out)
    }
}

/// How a convolution is computed. The choice decides bits, so it is a function of [`Conv2dSpec`]'s
/// channels, kernel and stride alone.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Algorithm {
    /// One chain over (input channel, ky, kx).
    Direct,
    /// F(4x4, 3x3).
    Winograd,
}

impl Algorithm {
    /// Winograd for 3x3 kernels with stride 1 from at least 16 channels to at least 16, else direct.
    pub fn of(spec: &Conv2dSpec) -> Self {
        let wide = spec.in_channels >= LANES && spec.out_channels >= LANES;
        if spec.kernel == [3, 3] && spec.stride == [1, 1] && wide {
            Self::Winograd
        } else {
            Self::Direct
        }
    }
}
