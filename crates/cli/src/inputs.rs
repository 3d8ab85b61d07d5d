//! Which images the user means: files, folders, patterns.

use std::path::{Component, Path, PathBuf};

use crate::exit::{Failure, Outcome};

/// Endings of the formats that can be decoded; in a folder, other files are left alone.
const IMAGE_ENDINGS: [&str; 13] =
    ["jpg", "jpeg", "jpe", "jfif", "png", "bmp", "gif", "webp", "tif", "tiff", "ppm", "pgm", "pnm"];

/// One image to look at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InputImage {
    /// Where it is, as the user named it.
    pub path: PathBuf,
    /// Its path below the folder that all inputs have in common: what outputs are called.
    pub relative: PathBuf,
}

impl InputImage {
    /// The image's name in records and messages.
    pub fn name(&self) -> String {
        self.path.to_string_lossy().into_owned()
    }
}

/// The images meant by files, folders (with all folders in them, in byte order of the relative path)
/// and patterns (`*`, `?`, `[..]`, `**`), in the order given.
pub fn images(given: &[PathBuf]) -> Outcome<Vec<InputImage>> {
    let mut found: Vec<(PathBuf, PathBuf)> = Vec::new();
    for argument in given {
        if argument.is_dir() {
            let before = found.len();
            found.extend(folder(argument)?.into_iter().map(|path| (path, absolute(argument))));
            if found.len() == before {
                return Err(Failure::bad_input(format!("{argument:?} holds no image files")));
            }
        } else if argument.exists() || !is_pattern(argument) {
            let path = absolute(argument);
            let base = path.parent().map_or_else(PathBuf::new, Path::to_owned);
            found.push((argument.clone(), base));
        } else {
            found.extend(pattern(argument)?);
        }
    }
    let common = found.iter().map(|(_, base)| base.clone()).reduce(|a, b| shared(&a, &b));
    let common = common.unwrap_or_default();
    let named = |(path, _): (PathBuf, PathBuf)| {
        let whole = absolute(&path);
        let relative = whole.strip_prefix(&common).unwrap_or(&whole).to_owned();
        InputImage { path, relative }
    };
    Ok(found.into_iter().map(named).collect())
}

/// All image files below a folder, in byte order of their path.
fn folder(root: &Path) -> Outcome<Vec<PathBuf>> {
    let mut files = Vec::new();
    let mut open = vec![root.to_owned()];
    while let Some(folder) = open.pop() {
        let unreadable =
            |error| Failure::bad_input(format!("cannot read the folder {folder:?}: {error}"));
        for entry in std::fs::read_dir(&folder).map_err(unreadable)? {
            let entry = entry.map_err(unreadable)?;
            // Linked files count, linked folders do not: they may lead round in a circle.
            if entry.file_type().map_err(unreadable)?.is_dir() {
                open.push(entry.path());
            } else if is_image(&entry.path()) && !entry.path().is_dir() {
                files.push(entry.path());
            }
        }
    }
    files.sort_by(|a, b| in_bytes(a).cmp(in_bytes(b)));
    Ok(files)
}

fn pattern(argument: &Path) -> Outcome<Vec<(PathBuf, PathBuf)>> {
    let text = argument.to_string_lossy();
    let refuse = |reason: String| Failure::usage(format!("pattern {text:?}: {reason}"));
    let fixed: PathBuf =
        argument.components().take_while(|part| !is_pattern(Path::new(part))).collect();
    let base = absolute(&fixed);
    let mut files = Vec::new();
    for path in glob::glob(&text).map_err(|error| refuse(error.to_string()))? {
        let path = path.map_err(|error| {
            Failure::bad_input(format!("cannot read {:?}: {}", error.path(), error.error()))
        })?;
        if is_image(&path) && !path.is_dir() {
            files.push(path);
        }
    }
    if files.is_empty() {
        let message = format!("{text:?} is no file, and as a pattern it matches no image file");
        return Err(Failure::bad_input(message));
    }
    files.sort_by(|a, b| in_bytes(a).cmp(in_bytes(b)));
    Ok(files.into_iter().map(|path| (path, base.clone())).collect())
}

fn is_image(path: &Path) -> bool {
    let ending = path.extension().and_then(|ending| ending.to_str());
    ending
        .is_some_and(|ending| IMAGE_ENDINGS.iter().any(|known| known.eq_ignore_ascii_case(ending)))
}

fn is_pattern(path: &Path) -> bool {
    path.as_os_str().as_encoded_bytes().iter().any(|byte| b"*?[".contains(byte))
}

fn in_bytes(path: &Path) -> &[u8] {
    path.as_os_str().as_encoded_bytes()
}

/// The path from the root, without `.` and `..`; links are not followed.
fn absolute(path: &Path) -> PathBuf {
    let mut whole = PathBuf::new();
    for part in std::path::absolute(path).unwrap_or_else(|_| path.to_owned()).components() {
        match part {
            Component::ParentDir => {
                whole.pop();
            }
            Component::CurDir => {}
            part => whole.push(part),
        }
    }
    whole
}

/// The longest folder above both.
fn shared(a: &Path, b: &Path) -> PathBuf {
    let pairs = a.components().zip(b.components());
    pairs.take_while(|(a, b)| a == b).map(|(a, _)| a).collect()
}
