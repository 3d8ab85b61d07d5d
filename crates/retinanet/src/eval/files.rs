//! Files of annotations and detections.

use std::io::Read;
use std::path::Path;

use super::EvalError;
use crate::files::open_regular;

/// A whole file of at most `limit` bytes.
pub(super) fn read_within(path: &Path, limit: u64) -> Result<Vec<u8>, EvalError> {
    let unreadable = |source| EvalError::Read { path: path.to_owned(), source };
    let mut bytes = Vec::new();
    let file = open_regular(path).map_err(unreadable)?;
    file.take(limit + 1).read_to_end(&mut bytes).map_err(unreadable)?;
    if bytes.len() as u64 > limit {
        return Err(EvalError::FileTooLarge { path: path.to_owned(), limit });
    }
    Ok(bytes)
}
