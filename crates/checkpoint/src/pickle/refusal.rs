//! Why a pickle is refused.

/// Why a pickle was refused.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum PickleError {
    /// A callable or class outside the list; quoted.
    Foreign(String),
    /// Anything else.
    Invalid(String),
}

/// What a step of the machine answers.
pub(super) type Step<T = ()> = Result<T, PickleError>;

pub(super) fn invalid<T>(reason: impl Into<String>) -> Step<T> {
    Err(PickleError::Invalid(reason.into()))
}
