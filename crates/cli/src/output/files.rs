//! Where outputs go, and writing them whole or not at all.

use std::path::{Path, PathBuf};

use crate::exit::{Failure, Outcome};
use crate::interrupt;

/// Files below a folder that mirror the images' relative paths, so that `a/1.jpg` and `b/1.jpg` never
/// meet.
#[derive(Debug, Clone)]
pub struct OutputPaths {
    folder: PathBuf,
}

impl OutputPaths {
    /// Below `folder`, which is created when the first file is written.
    pub fn new(folder: impl Into<PathBuf>) -> Self {
        Self { folder: folder.into() }
    }

    /// `FOLDER/RELATIVE + ending`: the image's own ending stays, for 1.jpg and 1.png may both be there.
    /// The folders on the way are made.
    pub fn beside(&self, relative: &Path, ending: &str) -> Outcome<PathBuf> {
        let mut path = self.folder.join(relative).into_os_string();
        path.push(ending);
        let path = PathBuf::from(path);
        if let Some(parent) = path.parent() {
            create_folder(parent)?;
        }
        Ok(path)
    }

    /// The folder `FOLDER/RELATIVE` for several files of one image; it is made.
    pub fn folder_of(&self, relative: &Path) -> Outcome<PathBuf> {
        let path = self.folder.join(relative);
        create_folder(&path)?;
        Ok(path)
    }
}

/// Writes a file whole or not at all, and never over another one: a file that is there must hold the same bytes.
pub fn write_kept(path: &Path, content: &[u8]) -> Outcome<()> {
    match std::fs::symlink_metadata(path) {
        Err(_) => {
            let written = interrupt::finish(|| retinanet::files::write_whole(path, content));
            Ok(written.map_err(retinanet::Error::from)?)
        }
        Ok(found) => {
            let length = content.len() as u64;
            let same = found.is_file()
                && found.len() == length
                && std::fs::read(path).is_ok_and(|there| there == content);
            if same {
                return Ok(());
            }
            Err(Failure::bad_input(format!(
                "{path:?} is there already, with other content, and is not overwritten; move it away \
                 or write to another folder"
            )))
        }
    }
}

fn create_folder(path: &Path) -> Outcome<()> {
    std::fs::create_dir_all(path)
        .map_err(|error| Failure::bad_input(format!("cannot make the folder {path:?}: {error}")))
}

/// Refuses a file, before the work for it is done, whose folder is not there; `-` is standard output.
pub fn check_target(file: Option<&Path>) -> Outcome<()> {
    let Some(file) = file.filter(|file| *file != Path::new("-")) else { return Ok(()) };
    let folder = file.parent().filter(|folder| !folder.as_os_str().is_empty());
    if file.is_dir() {
        return Err(Failure::bad_input(format!("cannot write {file:?}: it is a folder")));
    }
    if folder.is_some_and(|folder| !folder.is_dir()) {
        let message = format!("cannot write {file:?}: check that its folder exists");
        return Err(Failure::bad_input(message));
    }
    Ok(())
}

/// Writes a text file whole or not at all.
pub fn write_text(path: &Path, text: &str) -> Outcome<()> {
    Ok(interrupt::finish(|| retinanet::files::write_whole(path, text.as_bytes()))
        .map_err(retinanet::Error::from)?)
}
