//! A log's lines, left in their file and read again when they are needed.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};

use super::EvidenceError;
use super::line::{Content, LogLine, RawLine};
use super::place::{Place, hash_line};

/// The lines about images of a log that was read once.
#[derive(Debug)]
pub(super) struct Kept {
    pub(super) path: PathBuf,
    pub(super) file: Mutex<File>,
    pub(super) places: Vec<Place>,
}

impl Kept {
    /// Image number `index`, if its line still hashes to what it did.
    pub(super) fn line(&self, index: usize) -> Result<LogLine, EvidenceError> {
        let place = self.places[index];
        let mut line = vec![0; (place.end - place.start) as usize];
        let mut file = self.file.lock().unwrap_or_else(PoisonError::into_inner);
        file.seek(SeekFrom::Start(place.start))
            .and_then(|_| file.read_exact(&mut line))
            .map_err(|source| EvidenceError::Read { path: self.path.clone(), source })?;
        drop(file);
        if hash_line(&line) != place.hash {
            return Err(self.broken(index, "changed while it was read".to_owned()));
        }
        line.pop();
        match RawLine::parse(&line).map_err(|reason| self.broken(index, reason))? {
            (_, Content::Image(line)) => Ok(line),
            (_, Content::End(_)) => Err(self.broken(index, "is the end".to_owned())),
        }
    }

    /// The line of image number `index` cannot be as it is.
    pub(super) fn broken(&self, index: usize, reason: String) -> EvidenceError {
        EvidenceError::Broken { path: self.path.clone(), line: index + 2, reason }
    }
}
