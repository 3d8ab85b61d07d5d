//! Whether, and how, a detector convolves with cuDNN.

use std::path::Path;
use std::sync::Arc;

use retinanet_kernels::cuda::{Gpu, Nvidia};
use retinanet_kernels::cudnn::{Cudnn, CudnnGpu, Format};

use super::DetectorError;
use crate::Result;
use crate::determinism::{Determinism, DeterminismError, SettingProblem, cuda_setting_problems};
use crate::device::DType;

/// How cuDNN is to convolve.
#[derive(Debug, Clone, Copy)]
pub(super) struct Choice {
    pub(super) format: Format,
    /// Whether algorithm and precision are fixed: in strict mode.
    pub(super) pinned: bool,
}

impl Choice {
    /// cuDNN where it was `asked` for, or, where nothing was said, in the fast mode on a GPU.
    /// `possible` is whether there is a GPU to use it on.
    pub(super) fn of(
        determinism: &Determinism,
        dtype: DType,
        asked: Option<bool>,
        possible: bool,
    ) -> Result<Option<Self>> {
        if asked == Some(true) && !possible {
            let needs =
                "cuDNN computes on a GPU: name one (`device(Device::Cuda(0))`), or leave it out";
            let (setting, value) = ("cudnn", "true".to_owned());
            return Err(DetectorError::Setting { setting, value, needs }.into());
        }
        let pinned = determinism.is_strict();
        if !possible || !asked.unwrap_or(!pinned) {
            return Ok(None);
        }
        let format = match dtype {
            DType::F32 => Format::F32,
            DType::F16 => Format::F16,
            DType::BF16 => Format::Bf16,
        };
        if pinned {
            let problems = cuda_setting_problems(|name| std::env::var(name).ok());
            if !problems.is_empty() {
                return Err(DeterminismError::Settings { problems }.into());
            }
        }
        Ok(Some(Self { format, pinned }))
    }

    /// Opens GPU `ordinal` and cuDNN on it, and says what they are; compiled kernels are kept in the
    /// folder `shelf`.
    pub(super) fn open(self, ordinal: usize, shelf: Option<&Path>) -> Result<(CudnnGpu, String)> {
        let driver = Nvidia::open(ordinal, shelf)?.with_fast_layers(shelf)?;
        let cudnn = Cudnn::open(&driver)?;
        let name = format!("{}, {}", driver.info(), cudnn.name());
        let gpu = Gpu::new(Arc::new(driver));
        Ok((CudnnGpu::new(gpu, Arc::new(cudnn), self.format, self.pinned), name))
    }
}

/// The device's name, with what computes there: `cuda:0 (cuDNN f16)`.
pub(super) fn named(device: &str, cudnn: &CudnnGpu) -> String {
    let pinned = if cudnn.is_pinned() { ", pinned" } else { "" };
    format!("{device} (cuDNN {}{pinned})", cudnn.format())
}

/// What the strict mode's users have to know of pinned cuDNN.
pub(super) fn problem() -> SettingProblem {
    SettingProblem {
        setting: "cuDNN".to_owned(),
        value: Some("pinned".to_owned()),
        remedy: "its bits are those of one GPU, driver and cuDNN; for the same everywhere, leave \
                 `cudnn(true)` out"
            .to_owned(),
    }
}
