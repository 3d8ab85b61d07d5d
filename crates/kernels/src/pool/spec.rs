//! What a max-pooling is.

use crate::{Error, Result};

pub(super) const WHAT: &str = "max_pool2d";

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
