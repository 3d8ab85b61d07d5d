//! The value a user builds once: mode and seed.

use serde::{Deserialize, Serialize};

use super::settings;
use super::{Purpose, Stream};
use crate::Result;
use crate::device::DType;
use crate::error::{DeterminismError, SettingProblem};

/// The seed of [`Determinism::default`] and [`Determinism::fast`].
pub const DEFAULT_SEED: u64 = 3407;

/// How far the promise of equal bits reaches.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum Mode {
    /// The same bits on every machine; what cannot keep that promise is an error.
    Strict,
    /// Whatever the device does fastest, in any float format it has; random numbers are still seeded.
    Fast,
}

impl std::fmt::Display for Mode {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Strict => "strict",
            Self::Fast => "fast",
        })
    }
}

/// How repeatable an answer must be, and the seed behind every random number.
///
/// Build one value and hand it to whatever needs it; there is no global state.
///
/// ```
/// use retinanet::determinism::{Determinism, Mode, Purpose};
///
/// let determinism = Determinism::strict(3407);
/// assert_eq!(determinism, Determinism::default());
/// assert_eq!(determinism.mode(), Mode::Strict);
///
/// // The same order of images in epoch 2, on every machine, whatever was drawn before.
/// let mut images = ["a.jpg", "b.jpg", "c.jpg", "d.jpg"];
/// determinism.stream(Purpose::Shuffle, "train", 2).shuffle(&mut images);
/// assert_eq!(images, ["b.jpg", "c.jpg", "d.jpg", "a.jpg"]);
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Determinism {
    mode: Mode,
    seed: u64,
}

impl Default for Determinism {
    /// [`Determinism::strict`] with [`DEFAULT_SEED`].
    fn default() -> Self {
        Self::strict(DEFAULT_SEED)
    }
}

impl Determinism {
    /// The same bits everywhere, or an error that says why not.
    pub fn strict(seed: u64) -> Self {
        Self { mode: Mode::Strict, seed }
    }

    /// No promise about bits: the fastest kernels, any float format, still seeded.
    ///
    /// On a CPU with AVX-512 BF16 all convolutions but the first multiply in bfloat16 and add in f32, with
    /// errors like those of PyTorch's autocast to bfloat16; on other CPUs it computes what strict mode
    /// computes. On a GPU see the table in [`determinism`](crate::determinism).
    pub fn fast() -> Self {
        Self { mode: Mode::Fast, seed: DEFAULT_SEED }
    }

    /// The same mode with another seed.
    pub fn with_seed(self, seed: u64) -> Self {
        Self { seed, ..self }
    }

    /// The mode.
    pub fn mode(&self) -> Mode {
        self.mode
    }

    /// The seed.
    pub fn seed(&self) -> u64 {
        self.seed
    }

    /// Whether the mode is [`Mode::Strict`].
    pub fn is_strict(&self) -> bool {
        self.mode == Mode::Strict
    }

    /// The random stream for `purpose`, `name` and `index` (an epoch, a worker, a sample).
    ///
    /// Both modes draw the same numbers.
    pub fn stream(&self, purpose: Purpose, name: &str, index: u64) -> Stream {
        Stream::new(self.seed, purpose, name, index)
    }

    /// Refuses a number format that breaks the promise: in strict mode, all but f32.
    ///
    /// # Errors
    /// [`DeterminismError::Dtype`].
    pub fn check_dtype(&self, dtype: DType) -> Result<()> {
        if self.is_strict() && dtype != DType::F32 {
            return Err(DeterminismError::Dtype { dtype: dtype.as_str() }.into());
        }
        Ok(())
    }

    /// What about this process breaks determinism, with the remedy of each. The kernels use neither
    /// cuBLAS nor cuDNN, so their settings are nothing to them.
    pub(super) fn setting_problems(&self) -> Vec<SettingProblem> {
        if self.is_strict() { Vec::new() } else { vec![settings::fast_mode()] }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_default_is_strict_with_seed_3407() {
        let default = Determinism::default();
        assert_eq!(default, Determinism::strict(3407));
        assert_eq!((default.mode(), default.seed()), (Mode::Strict, 3407));
        assert_ne!(default, Determinism::fast());
        assert_eq!(Determinism::fast().with_seed(5).seed(), 5);
    }

    #[test]
    fn strict_refuses_every_format_but_f32() {
        let strict = Determinism::default();
        strict.check_dtype(DType::F32).unwrap();
        for dtype in [DType::F16, DType::BF16] {
            let message = strict.check_dtype(dtype).unwrap_err().to_string();
            assert!(message.contains(dtype.as_str()), "{message}");
            Determinism::fast().check_dtype(dtype).unwrap();
        }
    }

    #[test]
    fn it_survives_json_and_refuses_unknown_fields() {
        let value = Determinism::fast().with_seed(u64::MAX);
        let text = serde_json::to_string(&value).unwrap();
        assert_eq!(text, r#"{"mode":"fast","seed":18446744073709551615}"#);
        assert_eq!(serde_json::from_str::<Determinism>(&text).unwrap(), value);
        assert!(
            serde_json::from_str::<Determinism>(r#"{"mode":"fast","seed":1,"sead":2}"#).is_err()
        );
    }
}
