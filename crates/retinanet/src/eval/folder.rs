//! Annotation files of a folder, one for each image.

use std::path::{Path, PathBuf};

use super::EvalError;
use super::files::read_within;

/// The largest file of one image's annotations.
const MAX_FILE_BYTES: u64 = 16 << 20;

/// The files in `folder` and the folders below that end so, as paths below it, in byte order. Links to folders are not
/// followed: they may lead round in a circle.
pub(super) fn files_ending(folder: &Path, ending: &str) -> Result<Vec<PathBuf>, EvalError> {
    let mut found = Vec::new();
    let mut open = vec![folder.to_owned()];
    while let Some(next) = open.pop() {
        let unreadable = |source| EvalError::Read { path: next.clone(), source };
        for entry in std::fs::read_dir(&next).map_err(unreadable)? {
            let entry = entry.map_err(unreadable)?;
            let path = entry.path();
            let hidden = entry.file_name().as_encoded_bytes().starts_with(b".");
            if entry.file_type().map_err(unreadable)?.is_dir() {
                if !hidden {
                    open.push(path);
                }
            } else if !hidden && path.extension().is_some_and(|is| is.eq_ignore_ascii_case(ending))
            {
                found.push(path.strip_prefix(folder).unwrap_or(&path).to_owned());
            }
        }
    }
    found.sort();
    Ok(found)
}

/// A file of one image's annotations, within the limit.
pub(super) fn read_small(path: &Path) -> Result<Vec<u8>, EvalError> {
    read_within(path, MAX_FILE_BYTES)
}
