//! A convolution library without cuDNN: the CPU's own kernel on the emulated GPU's memory.

use std::sync::Mutex;

use half::{bf16, f16};
use retinanet_kernels::conv2d::{Conv2d, Conv2dSpec};
use retinanet_kernels::cuda::{CudaError, Gpu};
use retinanet_kernels::cudnn::{
    Convolution, ConvolutionLibrary, Format, Operands, finish_convolution,
};
use retinanet_kernels::{Level, Result};

/// Sums in f32 from the values as they lie in memory.
#[derive(Debug, Default)]
pub struct NaiveLibrary {
    /// Whether bias, residual and ReLU are left to [`finish_convolution`], after the sums were rounded.
    pub unfused: bool,
    /// Whether it has no algorithm for anything.
    pub refuses: bool,
    /// What was asked for.
    pub asked: Mutex<Vec<Convolution>>,
}

/// As many values at an address.
///
/// # Safety
/// They are there.
unsafe fn values(format: Format, at: u64, count: usize) -> Vec<f32> {
    assert_eq!(at % 16, 0, "misaligned");
    // SAFETY: the caller's.
    unsafe {
        match format {
            Format::F32 => std::slice::from_raw_parts(at as *const f32, count).to_vec(),
            Format::F16 => std::slice::from_raw_parts(at as *const u16, count)
                .iter()
                .map(|bits| f16::from_bits(*bits).to_f32())
                .collect(),
            Format::Bf16 => std::slice::from_raw_parts(at as *const u16, count)
                .iter()
                .map(|bits| bf16::from_bits(*bits).to_f32())
                .collect(),
        }
    }
}

/// # Safety
/// There is room for them.
unsafe fn write(format: Format, at: u64, values: &[f32]) {
    for (i, value) in values.iter().enumerate() {
        // SAFETY: the caller's.
        unsafe {
            match format {
                Format::F32 => (at as *mut f32).add(i).write(*value),
                Format::F16 => (at as *mut u16).add(i).write(f16::from_f32(*value).to_bits()),
                Format::Bf16 => (at as *mut u16).add(i).write(bf16::from_f32(*value).to_bits()),
            }
        }
    }
}

/// (outer, inner) to (inner, outer), for each of the batches.
fn transposed(values: &[f32], outer: usize, inner: usize) -> Vec<f32> {
    let batches = values.chunks_exact(outer * inner);
    batches
        .flat_map(|batch| {
            (0..inner).flat_map(move |i| (0..outer).map(move |o| batch[o * inner + i]))
        })
        .collect()
}

impl ConvolutionLibrary for NaiveLibrary {
    unsafe fn convolve(
        &self,
        gpu: &Gpu,
        convolution: &Convolution,
        operands: &Operands,
    ) -> Result<()> {
        if self.refuses {
            let reason = "no algorithm".to_owned();
            return Err(CudaError::Call { call: "convolve", reason }.into());
        }
        self.asked.lock().unwrap().push(*convolution);
        let Convolution { spec, input, output, format, relu, .. } = *convolution;
        let Conv2dSpec { in_channels, out_channels, .. } = spec;
        assert!(in_channels % format.lanes() == 0 && out_channels % format.lanes() == 0);
        assert_eq!(spec.output_size(input).unwrap(), output);
        assert_eq!(convolution.residual, operands.residual != 0);
        let (in_pixels, out_pixels) = (input[0] * input[1], output[0] * output[1]);
        let taps = spec.kernel[0] * spec.kernel[1];
        // SAFETY: the caller's.
        let (x, weights, bias, residual) = unsafe {
            (
                values(format, operands.input, in_pixels * in_channels),
                values(format, operands.weights, out_channels * taps * in_channels),
                values(format, operands.bias, out_channels),
                convolution
                    .residual
                    .then(|| values(format, operands.residual, out_pixels * out_channels)),
            )
        };
        let weights = transposed(&weights, taps, in_channels);
        let x = transposed(&x, in_pixels, in_channels);
        let residual = residual.map(|residual| transposed(&residual, out_pixels, out_channels));
        let fused = !self.unfused;
        let conv = Conv2d::new(Level::best(), spec, &weights, fused.then_some(&bias))?;
        let mut sums = vec![f32::NAN; out_pixels * out_channels];
        let residual = residual.as_deref().filter(|_| fused);
        conv.forward_nchw(&x, input, residual, relu && fused, &mut sums)?;
        let sums = transposed(&sums, out_channels, out_pixels);
        // SAFETY: the caller's.
        unsafe {
            write(format, operands.output, &sums);
            if self.unfused {
                finish_convolution(gpu, convolution, operands)?;
            }
        }
        Ok(())
    }
}
