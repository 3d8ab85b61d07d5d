//! candle's devices under a promise of equal bits.

use candle_core::Device;
use candle_core::conv::CudnnFwdAlgo;

use crate::Result;
use crate::determinism::{Determinism, DeterminismError, cuda_setting_problems};

impl Determinism {
    /// Refuses, in strict mode, an operation that has no deterministic implementation on `device`.
    ///
    /// The caller knows whether it has one; this is the single place that makes the error, so
    /// that no operation falls back silently.
    ///
    /// # Errors
    /// [`DeterminismError::UnsupportedOperation`] where `has_deterministic` is false.
    pub fn check_operation(
        &self,
        operation: &str,
        device: &Device,
        has_deterministic: bool,
    ) -> Result<()> {
        if self.is_strict() && !has_deterministic {
            return Err(DeterminismError::UnsupportedOperation {
                operation: operation.to_owned(),
                device: device_name(device),
            }
            .into());
        }
        Ok(())
    }

    /// The cuDNN algorithm to ask for in a forward convolution; `None` leaves it to cuDNN's heuristic.
    ///
    /// The heuristic may answer differently for another driver, shape or amount of free memory. The
    /// algorithm pinned in strict mode needs no choice of a transform.
    pub fn cudnn_forward_algorithm(&self) -> Option<CudnnFwdAlgo> {
        self.is_strict().then_some(CudnnFwdAlgo::ImplicitPrecompGemm)
    }

    /// Readies a device: checks its settings, forbids TF32 and seeds candle's own generator.
    ///
    /// candle cannot seed its CPU generator, so on the CPU there is nothing to do and nothing of
    /// candle's random numbers is repeatable: draw from [`Determinism::stream`], and initialise
    /// with [`Determinism::var_builder`].
    ///
    /// On CUDA the seed goes to candle's generator in both modes. Strict mode also keeps candle's
    /// f32 matrix products off TF32, for the whole process, and refuses to go on unless
    /// `CUBLAS_WORKSPACE_CONFIG` and `NVIDIA_TF32_OVERRIDE` are set as
    /// [`cuda_setting_problems`] describes. The libraries read these
    /// variables when they start, so they must be set before the program does.
    ///
    /// # Errors
    /// [`DeterminismError::Settings`] lists every wrong setting with its remedy;
    /// [`DeterminismError::UnsupportedOperation`] on Metal in strict mode; candle's error where
    /// seeding fails.
    pub fn prepare_device(&self, device: &Device) -> Result<()> {
        match device {
            Device::Cpu => return Ok(()),
            Device::Cuda(_) => {
                if self.is_strict() {
                    let problems = cuda_setting_problems(process_variable);
                    if !problems.is_empty() {
                        return Err(DeterminismError::Settings { problems }.into());
                    }
                    candle_core::cuda::set_gemm_reduced_precision_f32(false);
                }
            }
            Device::Metal(_) => self.check_operation("conv2d", device, false)?,
        }
        device.set_seed(self.seed())?;
        Ok(())
    }
}

fn process_variable(name: &str) -> Option<String> {
    std::env::var_os(name).map(|value| value.to_string_lossy().into_owned())
}

/// `cpu`, `cuda:0`, `metal:0`.
pub(super) fn device_name(device: &Device) -> String {
    match device.location() {
        candle_core::DeviceLocation::Cpu => "cpu".to_owned(),
        candle_core::DeviceLocation::Cuda { gpu_id } => format!("cuda:{gpu_id}"),
        candle_core::DeviceLocation::Metal { gpu_id } => format!("metal:{gpu_id}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Error;

    #[test]
    fn strict_names_the_operation_it_refuses() {
        let strict = Determinism::default();
        strict.check_operation("max_pool2d", &Device::Cpu, true).unwrap();
        let error = strict.check_operation("scatter_add", &Device::Cpu, false).unwrap_err();
        assert!(matches!(
            &error,
            Error::Determinism(DeterminismError::UnsupportedOperation { operation, device })
                if operation == "scatter_add" && device == "cpu"
        ));
        Determinism::fast().check_operation("scatter_add", &Device::Cpu, false).unwrap();
    }

    #[test]
    fn a_cpu_needs_no_preparation() {
        Determinism::default().prepare_device(&Device::Cpu).unwrap();
        Determinism::fast().prepare_device(&Device::Cpu).unwrap();
    }
}
