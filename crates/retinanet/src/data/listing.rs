//! Which images are meant: files, lists of files, folders and patterns, in one fixed order.

use std::borrow::Cow;
use std::io::Read;
use std::path::{Path, PathBuf};

use super::DataError;
use super::endings::{ENDINGS, has_ending};
use super::paths::{absolute, common_folder, relative_to};
use super::search::{Found, is_pattern, search_folder, search_pattern};
use crate::Result;
use crate::determinism::Digest;
use crate::files::open_regular;
use sha2::{Digest as _, Sha256};

/// Endings of the files that hold one path a line.
const LIST_ENDINGS: [&str; 3] = ["txt", "list", "lst"];
/// The longest line of a list; paths are shorter on every system.
const MAX_LINE: usize = 65_536;

/// Image files in a fixed order, each with a name: its path below the deepest folder that all inputs
/// have in common.
///
/// `photos` (a folder) holding `a/1.jpg` gives the name `a/1.jpg`; `photos/a` and `photos/b` together
/// give `a/1.jpg` and `b/1.jpg`. Names therefore tell all files apart, do not depend on where the
/// common folder is or on the current folder, and can be mirrored below an output folder: they never
/// hold `..`. A file that is given twice is listed twice.
///
/// ```no_run
/// use retinanet::data::Listing;
///
/// let photos = Listing::of(&["photos"])?;
/// for index in 0..photos.len() {
///     println!("{} is {}", photos.name(index), photos.path(index).display());
/// }
/// # Ok::<(), retinanet::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listing {
    root: PathBuf,
    /// Below the root.
    files: Vec<PathBuf>,
    skipped: usize,
}

impl Listing {
    /// The images that `inputs` mean, in the order of the inputs. An input is
    /// - a folder: the image files in it and in the folders below, in byte order of their relative
    ///   paths (`/` between the parts). Image files are those with the ending of a format that is
    ///   read, in any case; others, and all whose name starts with a dot, are left out. Links are
    ///   followed, except round in a circle.
    /// - a file that ends in `.txt`, `.list` or `.lst`: the paths in it, one a line, in its order;
    ///   relative ones start at the folder of the list. They are not looked at: one that is missing
    ///   shows when it is loaded.
    /// - another file: itself, whatever it is called.
    /// - a pattern (`*`, `?`, `[ab]`, `**` for any folders), where no file has that name: the image
    ///   files it matches, in byte order.
    ///
    /// # Errors
    /// [`DataError`]: an input that is not there, a folder that cannot be read, a damaged list, an
    /// input without images.
    pub fn of<P: AsRef<Path>>(inputs: &[P]) -> Result<Self> {
        let mut files = Vec::new();
        let mut bases: Vec<PathBuf> = Vec::new();
        let mut skipped = 0;
        for input in inputs {
            let input = input.as_ref();
            let found = find(input)?;
            skipped += found.skipped;
            if found.files.is_empty() {
                let endings = ENDINGS.join(", ");
                let given = format!("{input:?}");
                return Err(DataError::NoImages { given, skipped: found.skipped, endings }.into());
            }
            match found.base {
                Some(base) => bases.push(base),
                None => bases
                    .extend(found.files.iter().filter_map(|file| Some(file.parent()?.to_owned()))),
            }
            bases = common_folder(&bases).into_iter().collect();
            files.extend(found.files);
        }
        let Some(root) = bases.pop() else {
            let (given, endings) = ("an empty list of inputs".to_owned(), ENDINGS.join(", "));
            return Err(DataError::NoImages { given, skipped, endings }.into());
        };
        for file in &mut files {
            *file = relative_to(&root, file)
                .ok_or_else(|| DataError::NoCommonFolder { path: file.clone() })?;
        }
        files.shrink_to_fit();
        Ok(Self { root, files, skipped })
    }

    /// How many images there are.
    pub fn len(&self) -> usize {
        self.files.len()
    }

    /// Whether there are none; [`of`](Self::of) never answers that.
    pub fn is_empty(&self) -> bool {
        self.files.is_empty()
    }

    /// The deepest folder that all inputs have in common.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// How many files of folders and patterns were left out because of their names.
    pub fn skipped(&self) -> usize {
        self.skipped
    }

    /// An image's name: its path below [`root`](Self::root) with `/` between the parts. What is not
    /// UTF-8 is replaced by U+FFFD.
    ///
    /// # Panics
    /// If there is no image `index`, like [`path`](Self::path) and [`relative_path`](Self::relative_path).
    pub fn name(&self, index: usize) -> Cow<'_, str> {
        let name = self.files[index].to_string_lossy();
        if std::path::MAIN_SEPARATOR == '/' {
            return name;
        }
        Cow::Owned(name.replace(std::path::MAIN_SEPARATOR, "/"))
    }

    /// Where an image is.
    pub fn path(&self, index: usize) -> PathBuf {
        self.root.join(&self.files[index])
    }

    /// An image's path below [`root`](Self::root): plain names only, no `..`.
    pub fn relative_path(&self, index: usize) -> &Path {
        &self.files[index]
    }

    /// SHA-256 over the names in their order; neither the root nor the files' content takes part.
    ///
    /// Layout, version 1: see [`ListDigest`].
    pub fn digest(&self) -> Digest {
        let mut digest = ListDigest::new();
        for index in 0..self.len() {
            digest.push(&self.name(index));
        }
        digest.finish()
    }
}

/// Hashes a list of names one by one.
///
/// Layout, version 1: the text `retinanet-list-v1`, then each name: its length in bytes (u64, little-endian)
/// and its UTF-8; at the end the number of names (u64).
#[derive(Debug, Clone)]
pub struct ListDigest {
    hash: Sha256,
    names: u64,
}

impl Default for ListDigest {
    fn default() -> Self {
        Self::new()
    }
}

impl ListDigest {
    /// The digest of a list without names yet.
    pub fn new() -> Self {
        Self { hash: Sha256::new_with_prefix("retinanet-list-v1"), names: 0 }
    }

    /// Adds the next name.
    pub fn push(&mut self, name: &str) {
        self.hash.update((name.len() as u64).to_le_bytes());
        self.hash.update(name);
        self.names += 1;
    }

    /// Closes it.
    pub fn finish(mut self) -> Digest {
        self.hash.update(self.names.to_le_bytes());
        Digest::from_bytes(self.hash.finalize().into())
    }
}

/// One input's files, as absolute paths.
fn find(input: &Path) -> Result<Found, DataError> {
    let unreadable = |source| DataError::Input { path: input.to_owned(), source };
    match std::fs::metadata(input) {
        Ok(metadata) if metadata.is_dir() => search_folder(input),
        Ok(_) if has_ending(input, &LIST_ENDINGS) => read_list(input),
        Ok(_) => {
            let files = vec![absolute(input).map_err(unreadable)?];
            Ok(Found { base: None, files, skipped: 0 })
        }
        Err(_) if is_pattern(input) => search_pattern(input),
        Err(error) => Err(unreadable(error)),
    }
}

fn read_list(list: &Path) -> Result<Found, DataError> {
    let unreadable = |source| DataError::Input { path: list.to_owned(), source };
    let folder = absolute(list).map_err(unreadable)?;
    let folder = folder.parent().unwrap_or(Path::new(""));
    let mut content = Vec::new();
    open_regular(list).and_then(|mut file| file.read_to_end(&mut content)).map_err(unreadable)?;
    let content = content.strip_prefix(b"\xef\xbb\xbf").unwrap_or(&content);
    let mut files = Vec::new();
    for (number, line) in content.split(|&byte| byte == b'\n').enumerate() {
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        if line.is_empty() {
            continue;
        }
        let refuse = |reason| DataError::List { path: list.to_owned(), line: number + 1, reason };
        if line.len() > MAX_LINE {
            return Err(refuse("is longer than any path"));
        }
        if line.contains(&0) {
            return Err(refuse("holds a zero byte"));
        }
        let path = path_of(line).ok_or_else(|| refuse("is not UTF-8"))?;
        let file = absolute(&folder.join(path)).map_err(unreadable)?;
        if file.file_name().is_none() {
            return Err(refuse("names no file"));
        }
        files.push(file);
    }
    Ok(Found { base: None, files, skipped: 0 })
}

#[cfg(unix)]
fn path_of(line: &[u8]) -> Option<&Path> {
    use std::os::unix::ffi::OsStrExt;
    Some(Path::new(std::ffi::OsStr::from_bytes(line)))
}

#[cfg(not(unix))]
fn path_of(line: &[u8]) -> Option<&Path> {
    std::str::from_utf8(line).ok().map(Path::new)
}
