//! PyTorch's `.pth` files: the zip container and the stream used before 2020.
//!
//! Nothing in a file is executed: its pickle is read by [`pickle`](super::pickle), which only builds
//! plain values.

mod archive;
mod layout;
mod legacy;
mod state;

use std::collections::BTreeMap;
use std::path::Path;

use super::WeightsError;
use super::pickle::PickleError;
use super::tensor::RawTensor;

pub(super) use archive::SIGNATURE as ZIP_SIGNATURE;
pub(super) use legacy::is_legacy;

/// What can be wrong inside a `.pth`, before the file's path is attached.
#[derive(Debug)]
enum Fault {
    Foreign(String),
    Compressed(String),
    Invalid(String),
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
type Storages<'a> = BTreeMap<&'a str, &'a [u8]>;

/// The tensors of a `.pth`, and the entries of its state dict that are not tensors.
#[derive(Debug)]
pub(super) struct Contents {
    pub(super) tensors: BTreeMap<String, RawTensor>,
    pub(super) not_tensors: Vec<String>,
}

/// Reads the zip container.
pub(super) fn read_zip(path: &Path, file: &[u8]) -> Result<Contents, WeightsError> {
    archive::read(file).map_err(|fault| at(path, fault))
}

/// Reads the pre-2020 stream.
pub(super) fn read_legacy(path: &Path, file: &[u8]) -> Result<Contents, WeightsError> {
    legacy::read(file).map_err(|fault| at(path, fault))
}

fn at(path: &Path, fault: Fault) -> WeightsError {
    let path = path.to_path_buf();
    match fault {
        Fault::Foreign(callable) => WeightsError::ForeignCallable { path, callable },
        Fault::Compressed(entry) => WeightsError::CompressedEntry { path, entry },
        Fault::Invalid(reason) => WeightsError::Pth { path, reason },
    }
}
