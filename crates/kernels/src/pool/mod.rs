//! Max-pooling.
//!
//! Output (c, y, x) is the maximum over the window that starts at input row `y * stride - padding`
//! (columns alike), taken row by row, left to right, as a chain of `x > best || x is NaN ? x : best`
//! that starts at minus infinity: of equal values (+0 and -0 are equal) the first stays, and a NaN
//! goes through. Padding never takes part; as `padding <= kernel / 2`, no window is all padding.

#[cfg(feature = "cuda")]
mod cuda;
mod kernel;
pub mod reference;
#[cfg(test)]
mod tests;

#[cfg(feature = "cuda")]
pub use cuda::max_pool2d_cuda;

use crate::buffer::with_scratch;
use crate::layout::{Blocked, BlockedBuffer, BlockedMut, BlockedShape};
use crate::simd::LANES;
use crate::{Error, Level, Result, strips};
use kernel::{Rows3, RowsAny};

const WHAT: &str = "max_pool2d";

/// A max-pooling problem. All pairs are (vertical, horizontal).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct MaxPool2dSpec {
    /// The window's size.
    pub kernel: [usize; 2],
    /// From one window to the next.
    pub stride: [usize; 2],
    /// Rows and columns added on each side, at most half the kernel.
    pub padding: [usize; 2],
}

impl MaxPool2dSpec {
    /// Height and width of the output for an input of height and width `size`:
    /// `(size + 2 * padding - kernel) / stride + 1`, rounded down.
    ///
    /// # Errors
    /// The kernel or stride is 0, the padding is more than half the kernel, or the padded input is
    /// smaller than the kernel or empty.
    ///
    /// Mirrors `torch.nn.MaxPool2d` with `ceil_mode=False, dilation=1`.
    ///
    /// ```
    /// use retinanet_kernels::pool::MaxPool2dSpec;
    /// let stem = MaxPool2dSpec { kernel: [3, 3], stride: [2, 2], padding: [1, 1] };
    /// assert_eq!(stem.output_size([400, 544])?, [200, 272]);
    /// # Ok::<(), retinanet_kernels::Error>(())
    /// ```
    pub fn output_size(&self, size: [usize; 2]) -> Result<[usize; 2]> {
        let refuse = |reason: String| Err(Error::Shape { what: WHAT, reason });
        let mut out = [0; 2];
        for axis in 0..2 {
            let (kernel, stride) = (self.kernel[axis], self.stride[axis]);
            let (padding, len) = (self.padding[axis], size[axis]);
            if kernel == 0 || stride == 0 {
                return refuse(format!("kernel {kernel} and stride {stride} must be at least 1"));
            }
            if padding > kernel / 2 {
                return refuse(format!(
                    "padding {padding} is more than half the kernel ({kernel})"
                ));
            }
            let padded = len.checked_add(2 * padding);
            out[axis] = match padded.and_then(|padded| padded.checked_sub(kernel)) {
                Some(room) if len > 0 => room / stride + 1,
                _ => {
                    return refuse(format!(
                        "an input of {len} with padding {padding} is too small for a kernel of {kernel}"
                    ));
                }
            };
        }
        Ok(out)
    }
}

/// Max-pools one image's activations.
///
/// # Errors
/// As [`MaxPool2dSpec::output_size`], and where `output` has not the input's channels and that size.
///
/// Mirrors `torch.nn.functional.max_pool2d`.
pub fn max_pool2d(
    level: Level,
    spec: &MaxPool2dSpec,
    input: Blocked,
    output: &mut BlockedMut,
) -> Result<()> {
    let shape = input.shape();
    let expected = BlockedShape::new(shape.channels, spec.output_size(shape.size())?);
    if output.shape() != expected {
        return Err(Error::Shape {
            what: WHAT,
            reason: format!("the output is {:?}, expected {expected:?}", output.shape()),
        });
    }
    let three = *spec == MaxPool2dSpec { kernel: [3, 3], stride: [2, 2], padding: [1, 1] };
    strips::for_each(output, |strip| {
        if three {
            with_scratch(expected.width * LANES, |scratch| {
                level.run(Rows3 { input, strip, scratch });
            });
        } else {
            level.run(RowsAny { spec, input, strip });
        }
    });
    Ok(())
}

/// [`max_pool2d`] on slices in (c, y, x) order; `size` is the input's height and width.
///
/// # Errors
/// As [`MaxPool2dSpec::output_size`], and where a slice's length does not match its shape.
///
/// ```
/// use retinanet_kernels::{Level, pool::{MaxPool2dSpec, max_pool2d_nchw}};
/// let spec = MaxPool2dSpec { kernel: [2, 2], stride: [2, 2], padding: [0, 0] };
/// let mut output = [0.0; 2];
/// max_pool2d_nchw(Level::best(), &spec, 1, [2, 4], &[1., 5., 2., 0., 3., 4., 9., 7.], &mut output)?;
/// assert_eq!(output, [5.0, 9.0]);
/// # Ok::<(), retinanet_kernels::Error>(())
/// ```
pub fn max_pool2d_nchw(
    level: Level,
    spec: &MaxPool2dSpec,
    channels: usize,
    size: [usize; 2],
    input: &[f32],
    output: &mut [f32],
) -> Result<()> {
    let pooled = BlockedShape::new(channels, spec.output_size(size)?);
    let input = BlockedBuffer::from_chw(BlockedShape::new(channels, size), input)?;
    let mut blocked = BlockedBuffer::zeroed(pooled);
    max_pool2d(level, spec, input.as_ref(), &mut blocked.as_mut())?;
    blocked.as_ref().to_chw(output)
}
