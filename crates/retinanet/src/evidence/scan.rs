//! Reading a log once, from its first line to its head.

use std::fs::File;
use std::io::{BufRead, BufReader, Read, Seek};
use std::path::Path;
use std::sync::{Arc, Mutex};

use sha2::{Digest as _, Sha256};

use super::EvidenceError;
use super::header::{LogHeader, START};
use super::kept::Kept;
use super::line::{Content, End, LogLine, MAX_LINE, RawLine};
use super::lines::{Lines, Next};
use super::place::{Place, hash_line};
use crate::Result;
use crate::data::ListDigest;
use crate::determinism::Digest;
use crate::files::open_regular;

/// Whether a file begins as every log does; `false` where it cannot be read.
pub fn is_log(path: &Path) -> bool {
    let mut start = vec![0; START.len()];
    let read = open_regular(path).and_then(|mut file| file.read_exact(&mut start));
    read.is_ok() && start == START
}

/// What was read of a log whose chain holds as far as it goes.
pub(super) struct Scan {
    pub(super) header: LogHeader,
    /// The first line.
    pub(super) first: Place,
    /// A line an image.
    pub(super) places: Vec<Place>,
    /// The last line, if it is there.
    pub(super) end: Option<Place>,
    /// Whether something without a newline follows.
    pub(super) torn: bool,
    /// Of the names.
    names: Digest,
    /// Of all whole lines.
    sha256: Digest,
}

impl Scan {
    /// Reads the first line alone, and goes back to before it; `None` where it is not whole.
    pub(super) fn header(path: &Path, mut file: &File) -> Result<Option<LogHeader>, EvidenceError> {
        let header = read_header(path, &mut Lines::new(BufReader::new(file)))?;
        file.rewind().map_err(|source| EvidenceError::Read { path: path.to_owned(), source })?;
        Ok(header)
    }

    /// Reads a log to its end, or to where it was cut. `None` where not even the first line is whole. `see` is
    /// told every image's number and line and how many there are to be, and can refuse the line.
    ///
    /// # Errors
    /// [`EvidenceError::Broken`] at the first line that does not fit the one before; whatever `see` says.
    pub(super) fn of(
        path: &Path,
        file: &File,
        mut see: impl FnMut(usize, LogLine, usize) -> Result<(), String>,
    ) -> Result<Option<Self>, EvidenceError> {
        let unreadable = |source| EvidenceError::Read { path: path.to_owned(), source };
        let mut lines = Lines::new(BufReader::with_capacity(1 << 20, file));
        let Some(header) = read_header(path, &mut lines)? else { return Ok(None) };
        let first = lines.place(false);
        let mut whole = Sha256::new();
        whole.update(lines.whole());
        let expected = header.shard().share_of(header.images);
        let mut names = ListDigest::new();
        let mut scan = Self {
            header,
            first,
            places: Vec::new(),
            end: None,
            torn: false,
            names: first.hash,
            sha256: first.hash,
        };
        loop {
            let broken =
                |line, reason| EvidenceError::Broken { path: path.to_owned(), line, reason };
            match lines.advance(MAX_LINE).map_err(unreadable)? {
                Next::Line => {}
                Next::End => break,
                Next::Torn => {
                    scan.torn = true;
                    break;
                }
                Next::TooLong => {
                    let reason = format!("has more than {MAX_LINE} bytes");
                    return Err(broken(lines.number, reason));
                }
            }
            let broken = |reason| broken(lines.number, reason);
            if scan.end.is_some() {
                return Err(broken("comes after the end: a line was added".to_owned()));
            }
            let (previous, content) = RawLine::parse(lines.text()).map_err(broken)?;
            let hash = scan.last();
            if previous != hash {
                let reason = format!(
                    "says that the line before hashes to {previous}, but it hashes to {hash}: a line was removed, added, altered or moved here"
                );
                return Err(broken(reason));
            }
            whole.update(lines.whole());
            match content {
                Content::Image(line) => {
                    if scan.places.len() == expected {
                        let reason = format!("is about one image more than the {expected} listed");
                        return Err(broken(reason));
                    }
                    let place = lines.place(line.answer.is_err());
                    names.push(&line.image);
                    see(scan.places.len(), line, expected).map_err(broken)?;
                    scan.places.push(place);
                }
                Content::End(end) => {
                    scan.end = Some(lines.place(false));
                    let found = scan.counted();
                    if end != found {
                        let reason = format!(
                            "counts {} images and {} failures, but there are {} and {}",
                            end.images, end.failed, found.images, found.failed
                        );
                        return Err(broken(reason));
                    }
                    if found.images != expected {
                        let reason = format!("ends after {} of {expected} images", found.images);
                        return Err(broken(reason));
                    }
                }
            }
        }
        scan.names = names.finish();
        scan.sha256 = Digest::from_bytes(whole.finalize().into());
        Ok(Some(scan))
    }

    /// The hash of the last line.
    pub(super) fn last(&self) -> Digest {
        let last = self.end.as_ref().or(self.places.last()).unwrap_or(&self.first);
        last.hash
    }

    /// How many images there are, and how many of them failed.
    pub(super) fn counted(&self) -> End {
        let failed = self.places.iter().filter(|place| place.failed).count();
        End { images: self.places.len(), failed }
    }
}

/// The first line; `None` where it is not whole.
fn read_header<R: BufRead>(
    path: &Path,
    lines: &mut Lines<R>,
) -> Result<Option<LogHeader>, EvidenceError> {
    let next = lines
        .advance(MAX_LINE)
        .map_err(|source| EvidenceError::Read { path: path.to_owned(), source })?;
    let begins = START.starts_with(lines.text()) || lines.text().starts_with(START);
    match next {
        Next::End => Ok(None),
        Next::Torn if begins => Ok(None),
        Next::Line | Next::Torn | Next::TooLong => LogHeader::read(lines.text(), path).map(Some),
    }
}

impl<R: BufRead> Lines<R> {
    fn place(&self, failed: bool) -> Place {
        Place { start: self.start, end: self.end, hash: hash_line(self.whole()), failed }
    }
}

/// A whole log whose chain holds, from its first line to its head.
///
/// Its lines stay in the file; one is read, and its hash compared again, when it is needed.
#[derive(Debug)]
pub struct Log {
    kept: Arc<Kept>,
    header: LogHeader,
    head: Digest,
    sha256: Digest,
    failed: usize,
}

impl Log {
    /// Reads a log once and checks everything about it that needs neither images nor weights.
    ///
    /// # Errors
    /// [`EvidenceError`]: a file that is no log; a line that was removed, added, altered or moved; a log that was
    /// cut, or is unfinished; names that are not those listed.
    pub fn open(path: impl AsRef<Path>) -> Result<Self> {
        Self::open_watched(path, |_, _| ())
    }

    /// As [`open`](Self::open); `progress` is told, after each image's line, how many were read and how many there
    /// are to be.
    ///
    /// # Errors
    /// As [`open`](Self::open).
    pub fn open_watched(
        path: impl AsRef<Path>,
        mut progress: impl FnMut(usize, usize),
    ) -> Result<Self> {
        let path = path.as_ref();
        let file = open_regular(path)
            .map_err(|source| EvidenceError::Read { path: path.to_owned(), source })?;
        let refuse = |reason: &str| EvidenceError::NotALog {
            path: path.to_owned(),
            reason: reason.to_owned(),
        };
        let see = |index: usize, _: LogLine, expected: usize| {
            progress(index + 1, expected);
            Ok(())
        };
        let scan = Scan::of(path, &file, see)?
            .ok_or_else(|| refuse("it ends before its first line does"))?;
        let expected = scan.header.shard().share_of(scan.header.images);
        let Some(end) = scan.end.filter(|_| !scan.torn) else {
            let (path, found) = (path.to_owned(), scan.places.len());
            return Err(EvidenceError::Cut { path, found, expected, torn: scan.torn }.into());
        };
        // Of a shard only its own names are here.
        if scan.header.shard().count() == 1 && scan.names != scan.header.list_sha256 {
            let reason = "the names of its images are not those that its first line lists";
            return Err(EvidenceError::Broken {
                path: path.to_owned(),
                line: 1,
                reason: reason.to_owned(),
            }
            .into());
        }
        let failed = scan.counted().failed;
        Ok(Self {
            kept: Arc::new(Kept {
                path: path.to_owned(),
                file: Mutex::new(file),
                places: scan.places,
            }),
            head: end.hash,
            sha256: scan.sha256,
            header: scan.header,
            failed,
        })
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.kept.path
    }

    /// What all images have in common.
    pub fn header(&self) -> &LogHeader {
        &self.header
    }

    /// The hash of its last line, which stands for all of it.
    pub fn head(&self) -> Digest {
        self.head
    }

    /// SHA-256 of the whole file.
    pub fn sha256(&self) -> Digest {
        self.sha256
    }

    /// How many images it has lines about.
    pub fn len(&self) -> usize {
        self.kept.places.len()
    }

    /// Whether it is about no image.
    pub fn is_empty(&self) -> bool {
        self.kept.places.is_empty()
    }

    /// How many images have an error in place of an answer.
    pub fn failed(&self) -> usize {
        self.failed
    }

    /// Refuses another head than the one expected: the only sign of a log that was written anew as a whole.
    ///
    /// # Errors
    /// [`EvidenceError::OtherHead`].
    pub fn check_head(&self, expected: Digest) -> Result<()> {
        if self.head == expected {
            return Ok(());
        }
        let (expected, found) = (expected.to_string(), self.head.to_string());
        Err(EvidenceError::OtherHead { path: self.kept.path.clone(), expected, found }.into())
    }

    /// Image number `index`, from 0.
    ///
    /// # Errors
    /// [`EvidenceError`] where the file changed since it was opened.
    ///
    /// # Panics
    /// If there is no such image.
    pub fn line(&self, index: usize) -> Result<LogLine> {
        Ok(self.kept.line(index)?)
    }

    pub(super) fn kept(&self) -> Arc<Kept> {
        Arc::clone(&self.kept)
    }

    /// The numbers of the images of these names.
    ///
    /// # Errors
    /// [`EvidenceError::UnknownImage`] for a name that the log does not have.
    pub fn find<S: AsRef<str>>(&self, names: &[S]) -> Result<Vec<usize>> {
        let mut found = vec![false; names.len()];
        let mut indices = Vec::new();
        for index in 0..self.len() {
            let image = self.line(index)?.image;
            if let Some(place) = names.iter().position(|name| name.as_ref() == image) {
                found[place] = true;
                indices.push(index);
            }
        }
        match found.iter().position(|found| !found) {
            None => Ok(indices),
            Some(missing) => {
                let (path, name) = (self.kept.path.clone(), names[missing].as_ref().to_owned());
                let example = if self.is_empty() { String::new() } else { self.line(0)?.image };
                Err(EvidenceError::UnknownImage { path, name, example }.into())
            }
        }
    }
}
