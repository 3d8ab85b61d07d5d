//! Max-pooling.
//!
//! Output (c, y, x) is the maximum over the window that starts at input row `y * stride - padding`
//! (columns alike), taken row by row, left to right, as a chain of `x > best || x is NaN ? x : best`
//! that starts at minus infinity: of equal values (+0 and -0 are equal) the first stays, and a NaN
//! goes through. Padding never takes part; as `padding <= kernel / 2`, no window is all padding.
//!
//! The gradient of a window's output goes to the input that the chain kept: the first of equal maxima, the last NaN
//! where there is one, and the first value of the window where all are minus infinity. An input that several windows
//! kept has the sum of theirs, from +0, windows row by row, left to right.

mod backward;
#[cfg(feature = "cuda")]
mod cuda;
mod kernel;
pub mod reference;
mod spec;
#[cfg(test)]
mod tests;

#[cfg(feature = "cuda")]
pub use cuda::max_pool2d_cuda;
pub use spec::MaxPool2dSpec;

use crate::buffer::with_scratch;
use crate::layout::{Blocked, BlockedBuffer, BlockedMut, BlockedShape};
use crate::simd::LANES;
use crate::{Error, Level, Result, strips};
use backward::Plane;
use kernel::{Rows3, RowsAny};
use spec::WHAT;

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

/// The gradient of [`max_pool2d`] with respect to its input, from that of its output and the input itself.
///
/// # Errors
/// As [`MaxPool2dSpec::output_size`], where a gradient's shape is not that of its activations, and for a window of more
/// than 2^24 values.
///
/// Mirrors `torch.ops.aten.max_pool2d_with_indices_backward`; the [module](self) says where a gradient goes.
pub fn max_pool2d_backward(
    level: Level,
    spec: &MaxPool2dSpec,
    input: Blocked,
    output_gradient: Blocked,
    input_gradient: &mut BlockedMut,
) -> Result<()> {
    let shape = input.shape();
    let pooled = BlockedShape::new(shape.channels, spec.output_size(shape.size())?);
    // f32 counts a window's values.
    if spec.kernel[0].saturating_mul(spec.kernel[1]) > 1 << 24 {
        let reason = format!("a window of {:?} is too large for a gradient", spec.kernel);
        return Err(Error::Shape { what: WHAT, reason });
    }
    for (name, actual, expected) in
        [("output's", output_gradient.shape(), pooled), ("input's", input_gradient.shape(), shape)]
    {
        if actual != expected {
            let reason = format!("the {name} gradient is {actual:?}, expected {expected:?}");
            return Err(Error::Shape { what: WHAT, reason });
        }
    }
    strips::for_each_plane(input_gradient, |block, output| {
        let (input, gradient) = (input.plane(block), output_gradient.plane(block));
        let sizes = [shape.size(), pooled.size()];
        level.run(Plane { spec, sizes, input, gradient, output });
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
