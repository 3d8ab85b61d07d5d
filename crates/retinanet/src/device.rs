//! Where a detector runs, and in which number format.

use std::str::FromStr;

use crate::Error;
use crate::detector::DetectorError;

/// Where a detector runs. In strict mode the answers are the same, to the bit.
///
/// ```
/// use retinanet::Device;
///
/// assert_eq!("cuda:1".parse::<Device>()?, Device::Cuda(1));
/// assert_eq!("cpu".parse::<Device>()?, Device::default());
/// # Ok::<(), retinanet::Error>(())
/// ```
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub enum Device {
    /// The CPU.
    #[default]
    Cpu,
    /// The NVIDIA GPU of that number, from 0. Needs the feature `cuda`.
    Cuda(usize),
}

impl Device {
    /// What the device is: a GPU's name, memory and driver. The CPU is described by
    /// [`Environment`](crate::determinism::Environment).
    ///
    /// # Errors
    /// A build without the feature `cuda`, no driver, no such GPU: with what to do.
    pub fn describe_gpu(ordinal: usize) -> Result<String, Error> {
        #[cfg(feature = "cuda")]
        return Ok(retinanet_kernels::cuda::Nvidia::describe(ordinal)?.to_string());
        #[cfg(not(feature = "cuda"))]
        Err(Self::Cuda(ordinal).not_in_this_build())
    }

    #[cfg(not(feature = "cuda"))]
    pub(crate) fn not_in_this_build(self) -> Error {
        let reason = "this build has no CUDA: build with `--features cuda`, or use `cpu`, whose answers are the same";
        DetectorError::Device { device: self.to_string(), reason: reason.to_owned() }.into()
    }
}

impl std::fmt::Display for Device {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Cpu => f.write_str("cpu"),
            Self::Cuda(ordinal) => write!(f, "cuda:{ordinal}"),
        }
    }
}

impl FromStr for Device {
    type Err = Error;

    /// The device of that name: `cpu`, `cuda` (GPU 0) or `cuda:N`.
    ///
    /// # Errors
    /// [`DetectorError::Device`] for another name.
    fn from_str(name: &str) -> Result<Self, Error> {
        let ordinal = match name.split_once(':') {
            None if name == "cpu" => return Ok(Self::Cpu),
            None if name == "cuda" => Some(0),
            Some(("cuda", ordinal)) => ordinal.parse().ok(),
            _ => None,
        };
        ordinal.map(Self::Cuda).ok_or_else(|| {
            let reason = "expected `cpu`, `cuda` or `cuda:N`".to_owned();
            DetectorError::Device { device: format!("{name:?}"), reason }.into()
        })
    }
}

/// The number format of a network's weights and maps.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum DType {
    /// 32 bits: the only one whose answers are the same everywhere.
    #[default]
    F32,
    /// IEEE 754's 16 bits, with 11 of precision.
    F16,
    /// The upper half of an f32: 16 bits, with 8 of precision.
    BF16,
}

impl DType {
    /// `f32`, `f16` or `bf16`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::F32 => "f32",
            Self::F16 => "f16",
            Self::BF16 => "bf16",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_and_written() {
        for (name, device) in
            [("cpu", Device::Cpu), ("cuda:0", Device::Cuda(0)), ("cuda:7", Device::Cuda(7))]
        {
            assert_eq!(name.parse::<Device>().unwrap(), device);
            assert_eq!(device.to_string(), name);
        }
        for wrong in ["gpu", "cuda:", "cuda:-1", "cpu:0", "", "cu\nda"] {
            let error = wrong.parse::<Device>().unwrap_err().to_string();
            assert!(error.contains(&format!("{wrong:?}")) && error.contains("cuda:N"), "{error}");
        }
    }
}
