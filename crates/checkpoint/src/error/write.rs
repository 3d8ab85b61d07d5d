//! What can go wrong while a file is written.

use std::io;
use std::path::PathBuf;

/// A file could not be written; what stood under its name before, if anything, is unchanged.
#[derive(Debug, thiserror::Error)]
#[error(
    "cannot write {path:?}: {source}; check that its folder exists, is writable and has room, and that the name is not a folder's"
)]
pub struct WriteError {
    /// The file that was to be written.
    pub path: PathBuf,
    /// What the system said.
    pub source: io::Error,
}
