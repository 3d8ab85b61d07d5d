//! The crate's one error type.

#[cfg(feature = "cuda")]
mod cuda;

#[cfg(feature = "cuda")]
pub use cuda::CudaError;

/// Why a kernel refused to run.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A slice's length does not match the shape it is said to have.
    #[error("{what}: expected {expected} values, got {actual}")]
    Length {
        /// Which argument.
        what: &'static str,
        /// How many values its shape needs.
        expected: usize,
        /// How many it has.
        actual: usize,
    },
    /// Shapes or parameters that do not fit together.
    #[error("{what}: {reason}")]
    Shape {
        /// Which kernel or argument.
        what: &'static str,
        /// What is wrong with it.
        reason: String,
    },
    /// More memory than there is, or than an address can reach.
    #[error(
        "there is no memory for {values} more values of 4 bytes: take a smaller image, fewer images together, or a configuration with smaller inputs (`min_size`, `max_size`)"
    )]
    Memory {
        /// How many were to be kept.
        values: usize,
    },
    /// A CPU level was asked for that this machine does not have.
    #[error(
        "CPU level `{asked}` is not available here (this machine has: {available}); unset RETINANET_CPU_LEVEL or choose one of these"
    )]
    LevelUnavailable {
        /// The level's name as given.
        asked: String,
        /// The names this machine has.
        available: String,
    },
    /// A GPU cannot be used.
    #[cfg(feature = "cuda")]
    #[error(transparent)]
    Cuda(#[from] CudaError),
}

impl Error {
    pub(crate) fn check_length(what: &'static str, expected: usize, actual: usize) -> Result<()> {
        if expected == actual { Ok(()) } else { Err(Self::Length { what, expected, actual }) }
    }
}

/// A `Result` with this crate's [`enum@Error`].
pub type Result<T, E = Error> = std::result::Result<T, E>;
