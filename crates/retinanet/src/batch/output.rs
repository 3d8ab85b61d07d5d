//! An output file that grows line by line and can be continued after any end of the process.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, BufRead, BufReader, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use super::BatchError;
use super::csv::ImageRows;
use super::format::{Format, Joiner, LineContent};
use super::identity::Identity;
use crate::Result;
use crate::files::WriteError;

/// The longest line, or lines of one image, that are read back.
const MAX_LINE: u64 = 256 << 20;
/// What a crash of the machine, not of the process, can cost at most.
const SYNC_EVERY: Duration = Duration::from_secs(20);

/// What to do with an output that is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Existing {
    /// Refuse.
    #[default]
    Refuse,
    /// Continue it; begin it if it is not there.
    Resume,
    /// Begin anew.
    Overwrite,
}

impl Existing {
    /// Refuses a file that is there, if that is what to do.
    pub(super) fn check(self, path: &Path) -> Result<(), BatchError> {
        match std::fs::metadata(path) {
            Ok(metadata) if !metadata.is_file() => {
                Err(BatchError::NotAFile { path: path.to_owned() })
            }
            Ok(metadata) if metadata.len() > 0 && self == Self::Refuse => {
                Err(BatchError::Exists { path: path.to_owned() })
            }
            _ => Ok(()),
        }
    }
}

/// An output that is being written; locked against other writers.
#[derive(Debug)]
pub(super) struct Output {
    path: PathBuf,
    file: File,
    format: Format,
    joiner: Joiner,
    /// Images written, before and now.
    pub(super) written: usize,
    /// Of these, the failed ones.
    pub(super) failed: usize,
    complete: bool,
    synced: Instant,
}

impl Output {
    /// Begins or continues `path`, after at most `at_most` images; `name` gives the name of the output's image
    /// number k.
    pub(super) fn open(
        path: &Path,
        existing: Existing,
        identity: &Identity,
        total: usize,
        at_most: usize,
        name: impl Fn(usize) -> String,
    ) -> Result<Self> {
        existing.check(path)?;
        let length = std::fs::metadata(path).map_or(0, |metadata| metadata.len());
        let unwritable = |source| WriteError { path: path.to_owned(), source };
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(path)
            .map_err(unwritable)?;
        if matches!(file.try_lock(), Err(TryLockError::WouldBlock)) {
            return Err(BatchError::Busy { path: path.to_owned() }.into());
        }
        let mut output = Self {
            path: path.to_owned(),
            file,
            format: identity.format,
            joiner: Joiner::default(),
            written: 0,
            failed: 0,
            complete: false,
            synced: Instant::now(),
        };
        if length > 0 && existing == Existing::Resume {
            Self::check_begun_alike(path, identity)?;
            output.continue_from(total, at_most, name)?;
        } else {
            // Emptied first: old lines must never stand beside the new identity.
            output.file.set_len(0).map_err(unwritable)?;
            identity.write_beside(path)?;
            output.append(identity.format.header())?;
        }
        Ok(output)
    }

    /// Refuses to continue what was begun otherwise, or by nobody knows which weights; an output that is not there
    /// can be begun.
    pub(super) fn check_begun_alike(path: &Path, identity: &Identity) -> Result<()> {
        if std::fs::metadata(path).map_or(0, |metadata| metadata.len()) == 0 {
            return Ok(());
        }
        if identity.weights_sha256.is_none() {
            return Err(BatchError::UnknownWeights { path: path.to_owned() }.into());
        }
        Ok(identity.check_same(&Identity::read_beside(path)?, path)?)
    }

    /// Counts the lines that are there, and cuts a torn one and those over `at_most`.
    fn continue_from(
        &mut self,
        total: usize,
        at_most: usize,
        name: impl Fn(usize) -> String,
    ) -> Result<()> {
        let file = self.file.try_clone().map_err(|source| self.unreadable(source))?;
        let mut lines = Lines::new(&self.path, file, self.format);
        if !lines.header()? {
            self.cut_to(0)?;
            return self.append(self.format.header());
        }
        let mut kept = lines.whole;
        while lines.advance()? {
            let line = lines.line();
            if self.complete || self.written == total {
                if self.complete || [line, b"\n"].concat() != self.format.footer() {
                    let reason = format!("comes after the last of {total} images");
                    return Err(lines.damaged(reason).into());
                }
                self.complete = true;
                kept = lines.whole;
                continue;
            }
            if self.written == at_most {
                // Of an image that the log has no line about.
                break;
            }
            let LineContent { name: found, failed, body } =
                self.format.parse(line).map_err(|reason| lines.damaged(reason))?;
            let expected = name(self.written);
            if let Some(found) = found.filter(|found| *found != expected) {
                let reason = format!("is about {found:?}, expected {expected:?}");
                return Err(lines.damaged(reason).into());
            }
            self.joiner.line(self.format, body);
            self.written += 1;
            self.failed += usize::from(failed);
            kept = lines.whole;
        }
        self.cut_to(kept)
    }

    /// Writes one image's line; whether it saw to it that all is on the disk.
    pub(super) fn push(&mut self, body: &str, failed: bool) -> Result<bool> {
        let line = self.joiner.line(self.format, body.as_bytes());
        self.append(&line)?;
        self.written += 1;
        self.failed += usize::from(failed);
        let due = self.synced.elapsed() > SYNC_EVERY;
        if due {
            self.sync()?;
        }
        Ok(due)
    }

    /// Writes the end, and sees to it that everything is on the disk.
    pub(super) fn finish(&mut self) -> Result<()> {
        if !self.complete {
            self.append(self.format.footer())?;
            self.complete = true;
        }
        self.sync()
    }

    /// Sees to it that what is written is on the disk.
    pub(super) fn sync(&mut self) -> Result<()> {
        self.file.sync_data().map_err(|source| self.unwritable(source))?;
        self.synced = Instant::now();
        Ok(())
    }

    fn append(&mut self, bytes: &[u8]) -> Result<()> {
        // One call a line, and nothing kept back: only the system's own end can tear it.
        Ok(self.file.write_all(bytes).map_err(|source| self.unwritable(source))?)
    }

    fn cut_to(&mut self, length: u64) -> Result<()> {
        let cut = self.file.set_len(length).and_then(|()| self.file.seek(SeekFrom::Start(length)));
        cut.map_err(|source| self.unwritable(source))?;
        Ok(())
    }

    fn unwritable(&self, source: io::Error) -> WriteError {
        WriteError { path: self.path.clone(), source }
    }

    fn unreadable(&self, source: io::Error) -> BatchError {
        BatchError::Read { path: self.path.clone(), source }
    }
}

/// The lines of an output; a torn one at the end is not among them.
pub(super) struct Lines {
    path: PathBuf,
    reader: BufReader<File>,
    format: Format,
    line: Vec<u8>,
    torn: bool,
    /// Of the last line, from 1.
    number: usize,
    /// Length of the lines read.
    pub(super) whole: u64,
}

impl Lines {
    pub(super) fn new(path: &Path, file: File, format: Format) -> Self {
        let reader = BufReader::with_capacity(1 << 20, file);
        Self {
            path: path.to_owned(),
            reader,
            format,
            line: Vec::new(),
            torn: false,
            number: 0,
            whole: 0,
        }
    }

    /// Reads the header; `false` if even that is torn.
    pub(super) fn header(&mut self) -> Result<bool, BatchError> {
        if self.format.header().is_empty() {
            return Ok(true);
        }
        self.line.clear();
        if !self.read_line()? {
            return Ok(false);
        }
        self.whole += self.line.len() as u64 + 1;
        if [self.line(), b"\n"].concat() == self.format.header() {
            return Ok(true);
        }
        Err(self.damaged("is not the start of such a file".to_owned()))
    }

    /// Reads the next image's lines, one except in CSV; `false` at the end, and where they are torn.
    pub(super) fn advance(&mut self) -> Result<bool, BatchError> {
        self.line.clear();
        if !self.read_line()? {
            return Ok(false);
        }
        if self.format == Format::Csv {
            let mut rows = ImageRows::default();
            let mut start = 0;
            while !rows.take(&self.line[start..]).map_err(|reason| self.damaged(reason))? {
                self.line.push(b'\n');
                start = self.line.len();
                if !self.read_line()? {
                    // The rows before are whole lines, but not a whole image.
                    self.torn = true;
                    return Ok(false);
                }
            }
        }
        self.whole += self.line.len() as u64 + 1;
        Ok(true)
    }

    /// Adds the next whole line, without its newline; `false` at the end, and at a torn line.
    fn read_line(&mut self) -> Result<bool, BatchError> {
        let left = MAX_LINE.saturating_sub(self.line.len() as u64);
        let mut limited = io::Read::take(&mut self.reader, left);
        let read = limited
            .read_until(b'\n', &mut self.line)
            .map_err(|source| BatchError::Read { path: self.path.clone(), source })?;
        self.number += 1;
        if self.line.len() as u64 == MAX_LINE {
            return Err(self.damaged(format!("has more than {MAX_LINE} bytes")));
        }
        self.torn = read > 0 && self.line.last() != Some(&b'\n');
        if read == 0 || self.torn {
            return Ok(false);
        }
        self.line.pop();
        Ok(true)
    }

    /// The image's lines that were read last, without the last newline.
    pub(super) fn line(&self) -> &[u8] {
        &self.line
    }

    /// Whether the last call of [`advance`](Self::advance) came upon a line without its newline.
    pub(super) fn has_torn_line(&self) -> bool {
        self.torn
    }

    pub(super) fn damaged(&self, reason: String) -> BatchError {
        BatchError::Damaged { path: self.path.clone(), line: self.number, reason }
    }
}
