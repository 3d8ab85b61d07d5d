//! What would break the promise of equal bits.

use serde::{Deserialize, Serialize};

/// Something that would break the promise of equal bits.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum DeterminismError {
    /// Strict mode was asked for in a number format other than f32.
    #[error(
        "strict determinism computes in f32, not {dtype}: ask for DType::F32, or take \
         Determinism::fast() and its limits"
    )]
    Dtype {
        /// The format that was asked for, as candle names it.
        dtype: &'static str,
    },
    /// Strict mode was asked for an operation that has no deterministic implementation.
    #[error(
        "{operation} has no deterministic implementation on {device}: run it on the CPU, or take \
         Determinism::fast() and its limits"
    )]
    UnsupportedOperation {
        /// The operation.
        operation: String,
        /// The device it was asked for on.
        device: String,
    },
    /// The process was started with settings under which a library may change bits.
    #[error("strict determinism needs other settings:{}", problem_list(.problems))]
    Settings {
        /// Each setting with its remedy.
        problems: Vec<SettingProblem>,
    },
    /// A value to digest is not a number; such values have no portable bits.
    #[error(
        "{name:?} holds a NaN at index {index}: its bits differ between machines, so it has no \
         digest. A NaN usually comes from damaged weights or an overflow before this stage"
    )]
    NotANumber {
        /// The tensor.
        name: String,
        /// The flat index, in logical (row-major) order, of the first NaN.
        index: u64,
    },
    /// A digest was given more or fewer elements than its shape says.
    #[error("{name:?} has shape {shape:?}, hence {expected} elements, but {found} were given")]
    ElementCount {
        /// The tensor.
        name: String,
        /// Its declared shape.
        shape: Vec<usize>,
        /// The product of the shape.
        expected: u64,
        /// How many elements came.
        found: u64,
    },
    /// The product of a shape does not fit 64 bits.
    #[error("{name:?} has shape {shape:?}, whose number of elements does not fit 64 bits")]
    ShapeTooLarge {
        /// The tensor.
        name: String,
        /// Its declared shape.
        shape: Vec<usize>,
    },
    /// A tensor's number format has no digest layout.
    #[error("{name:?} is {dtype}: digests are defined for u8 and f32 only, convert it first")]
    DigestDtype {
        /// The tensor.
        name: String,
        /// Its format, as candle names it.
        dtype: &'static str,
    },
    /// Text that is not a SHA-256 digest.
    #[error("{text:?} is not a SHA-256 digest: 64 hexadecimal digits are expected")]
    DigestText {
        /// The text, cut to 80 characters.
        text: String,
    },
    /// A stage was recorded twice.
    #[error("stage {stage:?} already has a digest: record each stage once")]
    DuplicateStage {
        /// The stage.
        stage: String,
    },
    /// A file is no receipt, or one that this release does not read.
    #[error("{name:?} is not a usable receipt: {reason}")]
    Receipt {
        /// Its path.
        name: String,
        /// What is wrong with it.
        reason: String,
    },
    /// A receipt was asked of a detector whose weights come from no file.
    #[error(
        "a receipt names the file of its weights, and this detector was made of a model in memory: \
         save the weights and build the detector from that file"
    )]
    ReceiptWithoutWeights,
    /// A random index was asked for below zero possibilities.
    #[error("a random index below 0 was asked for: the range must hold at least one value")]
    EmptyRange,
    /// More distinct samples were asked for than there are.
    #[error("{count} distinct samples were asked for out of {population}")]
    SampleTooLarge {
        /// How many samples.
        count: usize,
        /// Out of how many.
        population: usize,
    },
    /// A tensor cannot be initialised as asked.
    #[error("{name:?} cannot be initialised: {reason}")]
    Initialisation {
        /// The tensor.
        name: String,
        /// Why not, and what to do.
        reason: String,
    },
}

fn problem_list(problems: &[SettingProblem]) -> String {
    problems.iter().map(|p| format!("\n  {p}")).collect()
}

/// One setting that breaks determinism, and its remedy.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SettingProblem {
    /// The setting: an environment variable or a value of the program.
    pub setting: String,
    /// Its present value; `None` where it is not set.
    pub value: Option<String>,
    /// What to do.
    pub remedy: String,
}

impl std::fmt::Display for SettingProblem {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.value {
            Some(value) => write!(f, "{} is {value:?}: {}", self.setting, self.remedy),
            None => write!(f, "{} is not set: {}", self.setting, self.remedy),
        }
    }
}
