//! Which device a name means.

use candle_core::Device;

use super::DetectorError;
use crate::Result;

/// The device of that name: `cpu`, `cuda` or `cuda:N`.
///
/// # Errors
/// [`DetectorError::Device`] for another name, for CUDA in a build without the feature `cuda`, and
/// for a GPU that cannot be opened.
pub fn device(name: &str) -> Result<Device> {
    let refuse = |reason: String| DetectorError::Device { device: format!("{name:?}"), reason };
    let ordinal = match name.split_once(':') {
        None if name == "cpu" => return Ok(Device::Cpu),
        None if name == "cuda" => Some(0),
        Some(("cuda", ordinal)) => ordinal.parse::<usize>().ok(),
        _ => None,
    };
    let ordinal = ordinal.ok_or_else(|| refuse("expected `cpu`, `cuda` or `cuda:N`".to_owned()))?;
    if !cfg!(feature = "cuda") {
        let reason = "this build has no CUDA: build with `--features cuda`, or use `cpu`, whose answers are the same";
        return Err(refuse(reason.to_owned()).into());
    }
    // One ordered stream: the default per-thread stream has no order across threads.
    Device::new_cuda_with_stream(ordinal)
        .map_err(|error| refuse(format!("{error}; or use `cpu`")).into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cpu_is_always_there_and_other_names_are_refused() {
        assert!(device("cpu").is_ok());
        for wrong in ["gpu", "cuda:", "cuda:-1", "cpu:0", "", "cu\nda"] {
            let error = device(wrong).unwrap_err().to_string();
            assert!(error.contains(&format!("{wrong:?}")) && error.contains("cuda:N"), "{error}");
        }
    }

    #[test]
    #[cfg(not(feature = "cuda"))]
    fn cuda_without_the_feature_says_how_to_build_it() {
        let error = device("cuda:1").unwrap_err().to_string();
        assert!(error.contains("--features cuda") && error.contains("cpu"), "{error}");
    }
}
