//! What a `.pth` holds once it is read, and what can be wrong inside one.

use std::collections::BTreeMap;
use std::path::Path;

use crate::error::WeightsError;
use crate::pickle::PickleError;
use crate::tensor::RawTensor;

/// What can be wrong inside a `.pth`, before the file's path is attached.
#[derive(Debug)]
pub(crate) enum Fault {
    Foreign(String),
    Compressed(String),
    Invalid(String),
}

impl Fault {
    /// The error that names the file.
    pub(crate) fn of(self, path: &Path) -> WeightsError {
        let path = path.to_path_buf();
        match self {
            Self::Foreign(callable) => WeightsError::ForeignCallable { path, callable },
            Self::Compressed(entry) => WeightsError::CompressedEntry { path, entry },
            Self::Invalid(reason) => WeightsError::Pth { path, reason },
        }
    }
}

impl From<PickleError> for Fault {
    fn from(error: PickleError) -> Self {
        match error {
            PickleError::Foreign(callable) => Self::Foreign(callable),
            PickleError::Invalid(reason) => Self::Invalid(reason),
        }
    }
}

impl From<String> for Fault {
    fn from(reason: String) -> Self {
        Self::Invalid(reason)
    }
}

impl From<&str> for Fault {
    fn from(reason: &str) -> Self {
        Self::Invalid(reason.into())
    }
}

/// The bytes of every storage the pickle refers to, by key.
pub(super) type Storages<'a> = BTreeMap<&'a str, &'a [u8]>;

/// The tensors of a `.pth`, and the entries of its state dict that are not tensors.
#[derive(Debug)]
pub(crate) struct Contents {
    pub(crate) tensors: BTreeMap<String, RawTensor>,
    pub(crate) not_tensors: Vec<String>,
}
