//! cuDNN's description of a convolution.

use std::ffi::c_int;
use std::sync::Arc;

use super::library::{Functions, Object, Status};
use super::{Convolution, Format};
use crate::Result;
use crate::cuda::int;

/// `CUDNN_TENSOR_NHWC`.
const NHWC: c_int = 1;
/// `CUDNN_CROSS_CORRELATION`.
const CROSS_CORRELATION: c_int = 1;
/// `CUDNN_DATA_FLOAT`.
const FLOAT: c_int = 0;
/// `CUDNN_ACTIVATION_RELU` and `CUDNN_ACTIVATION_IDENTITY`.
const RELU: c_int = 1;
const IDENTITY: c_int = 5;
/// `CUDNN_NOT_PROPAGATE_NAN`: what fused kernels are made for.
const NOT_PROPAGATE_NAN: c_int = 0;

/// An object of cuDNN's, which goes when it is dropped.
#[derive(Debug)]
struct Owned {
    object: Object,
    destroy: unsafe extern "C" fn(Object) -> Status,
}

impl Drop for Owned {
    fn drop(&mut self) {
        // SAFETY: it was made, and nobody uses it any more. Descriptors are copied by the calls that
        // take them.
        let _ = unsafe { (self.destroy)(self.object) };
    }
}

/// The descriptors of one [`Convolution`].
#[derive(Debug)]
pub(super) struct Descriptors {
    functions: Arc<Functions>,
    input: Owned,
    filter: Owned,
    convolution: Owned,
    bias: Owned,
    output: Owned,
    activation: Owned,
}

impl Descriptors {
    /// Describes it to cuDNN; [`Descriptors::set_math`] is still to be called.
    pub(super) fn new(functions: &Arc<Functions>, of: &Convolution) -> Result<Self> {
        let format = match of.format {
            Format::F32 => FLOAT,
            Format::F16 => 2,
            Format::Bf16 => 9,
        };
        let size = |value: usize| int("conv2d", value);
        let spec = &of.spec;
        let (inputs, outputs) = (size(spec.in_channels)?, size(spec.out_channels)?);
        let [ky, kx] = [size(spec.kernel[0])?, size(spec.kernel[1])?];
        let tensor = |channels: c_int, height: usize, width: usize| -> Result<Owned> {
            let tensor = make(
                functions,
                "cudnnCreateTensorDescriptor",
                functions.create_tensor,
                functions.destroy_tensor,
            )?;
            let (height, width) = (size(height)?, size(width)?);
            // SAFETY: the descriptor was made a moment ago.
            let status = unsafe {
                (functions.set_tensor)(tensor.object, NHWC, format, 1, channels, height, width)
            };
            functions.check("cudnnSetTensor4dDescriptor", status)?;
            Ok(tensor)
        };
        let input = tensor(inputs, of.input[0], of.input[1])?;
        let output = tensor(outputs, of.output[0], of.output[1])?;
        let bias = tensor(outputs, 1, 1)?;
        let filter = make(
            functions,
            "cudnnCreateFilterDescriptor",
            functions.create_filter,
            functions.destroy_filter,
        )?;
        // SAFETY: as above.
        let status =
            unsafe { (functions.set_filter)(filter.object, format, NHWC, outputs, inputs, ky, kx) };
        functions.check("cudnnSetFilter4dDescriptor", status)?;
        let convolution = make(
            functions,
            "cudnnCreateConvolutionDescriptor",
            functions.create_convolution,
            functions.destroy_convolution,
        )?;
        let [pad_y, pad_x] = [size(spec.padding[0])?, size(spec.padding[1])?];
        let [stride_y, stride_x] = [size(spec.stride[0])?, size(spec.stride[1])?];
        // SAFETY: as above.
        let status = unsafe {
            (functions.set_convolution)(
                convolution.object,
                pad_y,
                pad_x,
                stride_y,
                stride_x,
                1,
                1,
                CROSS_CORRELATION,
                FLOAT,
            )
        };
        functions.check("cudnnSetConvolution2dDescriptor", status)?;
        let activation = make(
            functions,
            "cudnnCreateActivationDescriptor",
            functions.create_activation,
            functions.destroy_activation,
        )?;
        let mode = if of.relu { RELU } else { IDENTITY };
        // SAFETY: as above.
        let status =
            unsafe { (functions.set_activation)(activation.object, mode, NOT_PROPAGATE_NAN, 0.0) };
        functions.check("cudnnSetActivationDescriptor", status)?;
        let functions = Arc::clone(functions);
        Ok(Self { functions, input, filter, convolution, bias, output, activation })
    }

    /// Says with which instructions to multiply.
    pub(super) fn set_math(&self, math: c_int) -> Result<()> {
        // SAFETY: the descriptor is there.
        let status = unsafe { (self.functions.set_math)(self.convolution.object, math) };
        self.functions.check("cudnnSetConvolutionMathType", status)
    }

    pub(super) fn input(&self) -> Object {
        self.input.object
    }

    pub(super) fn filter(&self) -> Object {
        self.filter.object
    }

    pub(super) fn convolution(&self) -> Object {
        self.convolution.object
    }

    pub(super) fn bias(&self) -> Object {
        self.bias.object
    }

    pub(super) fn output(&self) -> Object {
        self.output.object
    }

    pub(super) fn activation(&self) -> Object {
        self.activation.object
    }
}

fn make(
    functions: &Functions,
    call: &'static str,
    create: unsafe extern "C" fn(*mut Object) -> Status,
    destroy: unsafe extern "C" fn(Object) -> Status,
) -> Result<Owned> {
    let mut object = std::ptr::null_mut();
    // SAFETY: it writes the new descriptor there.
    functions.check(call, unsafe { create(&mut object) })?;
    Ok(Owned { object, destroy })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Error;
    use crate::conv2d::Conv2dSpec;
    use crate::error::CudaError;

    #[test]
    fn cudnn_takes_every_description_where_it_is_installed() {
        // Descriptors need the library, but no GPU.
        let functions = match Functions::load() {
            Ok(functions) => Arc::new(functions),
            Err(Error::Cuda(CudaError::NoLibrary { .. })) => {
                eprintln!("skipped: cuDNN is not installed");
                return;
            }
            Err(error) => panic!("{error}"),
        };
        for format in Format::ALL {
            for (kernel, stride, relu) in [(7, 2, true), (3, 1, false), (1, 2, true)] {
                let spec = Conv2dSpec {
                    in_channels: 8,
                    out_channels: 64,
                    kernel: [kernel; 2],
                    stride: [stride; 2],
                    padding: [kernel / 2; 2],
                };
                let (input, output) = ([33, 40], spec.output_size([33, 40]).unwrap());
                let (residual, pinned) = (false, true);
                let convolution =
                    Convolution { spec, input, output, format, residual, relu, pinned };
                let descriptors = Descriptors::new(&functions, &convolution).unwrap();
                descriptors.set_math(3).unwrap();
                let error = descriptors.set_math(77).unwrap_err().to_string();
                assert!(error.contains("cuDNN status"), "{error}");
            }
        }
    }
}
