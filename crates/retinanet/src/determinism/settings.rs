//! Settings of the process that let a library change bits, and what to set instead.

use crate::error::SettingProblem;

/// What strict mode's users would have to know of the fast mode.
pub(super) fn fast_mode() -> SettingProblem {
    SettingProblem {
        setting: "Determinism".to_owned(),
        value: Some("fast".to_owned()),
        remedy: "use Determinism::strict(seed)".to_owned(),
    }
}

/// What is wrong with the CUDA settings that `lookup` answers; empty where all is well.
///
/// - `CUBLAS_WORKSPACE_CONFIG` must be `:4096:8` or `:16:8`: NVIDIA promises equal bits from run to
///   run over several streams with these two only.
/// - `NVIDIA_TF32_OVERRIDE` must be `0`: cuDNN may otherwise round the inputs of an f32 convolution
///   to 10 bits.
///
/// Pure: it reads nothing but `lookup`, so it needs no GPU.
///
/// ```
/// use retinanet::determinism::cuda_setting_problems;
///
/// let problems = cuda_setting_problems(|name| std::env::var(name).ok());
/// for problem in &problems {
///     println!("{problem}");
/// }
/// ```
pub fn cuda_setting_problems(lookup: impl Fn(&str) -> Option<String>) -> Vec<SettingProblem> {
    const REQUIRED: [(&str, &[&str]); 2] =
        [("CUBLAS_WORKSPACE_CONFIG", &[":4096:8", ":16:8"]), ("NVIDIA_TF32_OVERRIDE", &["0"])];
    REQUIRED
        .iter()
        .filter_map(|(name, allowed)| {
            let value = lookup(name);
            if value.as_deref().is_some_and(|v| allowed.contains(&v)) {
                return None;
            }
            Some(SettingProblem {
                setting: (*name).to_owned(),
                value,
                remedy: format!("start the program with {name}={}", allowed[0]),
            })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::determinism::DeterminismError;

    #[test]
    fn the_right_settings_leave_no_problem() {
        for workspace in [":4096:8", ":16:8"] {
            let problems = cuda_setting_problems(|name| match name {
                "CUBLAS_WORKSPACE_CONFIG" => Some(workspace.to_owned()),
                "NVIDIA_TF32_OVERRIDE" => Some("0".to_owned()),
                _ => None,
            });
            assert_eq!(problems, []);
        }
    }

    #[test]
    fn every_wrong_setting_is_listed_with_its_remedy() {
        let problems =
            cuda_setting_problems(|name| (name == "NVIDIA_TF32_OVERRIDE").then(|| "1".to_owned()));
        let message = DeterminismError::Settings { problems }.to_string();
        assert_eq!(
            message,
            "strict determinism needs other settings:\n  \
             CUBLAS_WORKSPACE_CONFIG is not set: start the program with \
             CUBLAS_WORKSPACE_CONFIG=:4096:8\n  \
             NVIDIA_TF32_OVERRIDE is \"1\": start the program with NVIDIA_TF32_OVERRIDE=0"
        );
    }
}
