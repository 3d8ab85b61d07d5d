//! Image files in folders and of patterns.

use std::path::{Path, PathBuf};

use super::DataError;
use super::endings::is_called_like_an_image;
use super::paths::{absolute, bytes};

/// What one input stands for.
pub(super) struct Found {
    /// The folder to which its names are relative; none if that is the folder of each file.
    pub(super) base: Option<PathBuf>,
    /// Absolute.
    pub(super) files: Vec<PathBuf>,
    /// Files left out because of their names.
    pub(super) skipped: usize,
}

/// All image files in `folder` and below, in byte order of their paths.
pub(super) fn search_folder(folder: &Path) -> Result<Found, DataError> {
    let start =
        absolute(folder).map_err(|source| DataError::Folder { path: folder.to_owned(), source })?;
    let mut found = Found { base: Some(start.clone()), files: Vec::new(), skipped: 0 };
    // Each open folder with the real paths of those above it, which a link must not lead back to.
    let mut open: Vec<(PathBuf, Vec<PathBuf>)> = vec![(start, Vec::new())];
    while let Some((folder, above)) = open.pop() {
        let unreadable = |source| DataError::Folder { path: folder.clone(), source };
        let real = std::fs::canonicalize(&folder).map_err(unreadable)?;
        if above.contains(&real) {
            continue;
        }
        let mut inside = above;
        inside.push(real);
        for entry in std::fs::read_dir(&folder).map_err(unreadable)? {
            let entry = entry.map_err(unreadable)?;
            let path = entry.path();
            let mut kind = entry.file_type().map_err(unreadable)?;
            if kind.is_symlink() {
                match std::fs::metadata(&path) {
                    Ok(metadata) => kind = metadata.file_type(),
                    // A link to nothing is listed if it is called like an image: it shows when loaded.
                    Err(_) if is_called_like_an_image(&path) => {
                        found.files.push(path);
                        continue;
                    }
                    Err(_) => {}
                }
            }
            if kind.is_dir() {
                if !bytes(Path::new(&entry.file_name())).starts_with(b".") {
                    open.push((path, inside.clone()));
                }
            } else if kind.is_file() && is_called_like_an_image(&path) {
                found.files.push(path);
            } else {
                found.skipped += 1;
            }
        }
    }
    sort(&mut found.files);
    Ok(found)
}

/// All image files that a pattern matches, in byte order of their paths.
pub(super) fn search_pattern(pattern: &Path) -> Result<Found, DataError> {
    let refuse = |reason: String| DataError::Pattern {
        pattern: pattern.to_string_lossy().into_owned(),
        reason,
    };
    let text = pattern.to_str().ok_or_else(|| refuse("it is not UTF-8".to_owned()))?;
    let fixed: PathBuf =
        pattern.components().take_while(|part| !is_pattern(Path::new(part))).collect();
    let base = absolute(if fixed.as_os_str().is_empty() { Path::new(".") } else { &fixed })
        .map_err(|source| DataError::Input { path: pattern.to_owned(), source })?;
    let options = glob::MatchOptions {
        case_sensitive: true,
        require_literal_separator: true,
        require_literal_leading_dot: true,
    };
    let matches = glob::glob_with(text, options).map_err(|error| refuse(error.to_string()))?;
    let mut found = Found { base: None, files: Vec::new(), skipped: 0 };
    for path in matches {
        let path = path.map_err(|error| DataError::Folder {
            path: error.path().to_owned(),
            source: error.into(),
        })?;
        if is_called_like_an_image(&path) && !path.is_dir() {
            let file = absolute(&path).map_err(|source| DataError::Input { path, source })?;
            found.files.push(file);
        } else {
            found.skipped += 1;
        }
    }
    // A pattern like `link/../*.jpg` has its files elsewhere than its fixed part says.
    if found.files.iter().all(|file| file.starts_with(&base)) {
        found.base = Some(base);
    }
    sort(&mut found.files);
    Ok(found)
}

/// Whether a path has a pattern's characters.
pub(super) fn is_pattern(path: &Path) -> bool {
    bytes(path).iter().any(|byte| b"*?[".contains(byte))
}

fn sort(files: &mut [PathBuf]) {
    let slashed = |byte: &u8| if *byte == std::path::MAIN_SEPARATOR as u8 { b'/' } else { *byte };
    files.sort_by(|a, b| bytes(a).iter().map(slashed).cmp(bytes(b).iter().map(slashed)));
}
