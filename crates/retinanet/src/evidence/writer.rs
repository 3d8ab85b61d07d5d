//! A log that grows line by line and can be continued after any end of the process.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use super::difference::first_difference;
use super::header::LogHeader;
use super::line::{End, LogLine, RawLine};
use super::place::{Place, hash_line};
use super::scan::Scan;
use crate::Result;
use crate::determinism::Digest;
use crate::error::BatchError;
use crate::files::WriteError;

/// What a finished log is known by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct LogSummary {
    /// The hash of the last line.
    pub head: Digest,
    /// Lines about images.
    pub images: usize,
    /// Of these, those without an answer.
    pub failed: usize,
}

/// A log that is being written; locked against other writers.
#[derive(Debug)]
pub(crate) struct LogWriter {
    path: PathBuf,
    file: File,
    /// Of each image, for as long as lines may be cut off again.
    places: Vec<Place>,
    first: Place,
    last: Digest,
    counted: End,
    complete: bool,
}

impl LogWriter {
    /// Begins a log, or continues the one that is there if `resume`; `name` gives the name of image number k.
    ///
    /// # Errors
    /// [`BatchError`]: a log of another run, a pipe, one that is being written.
    /// [`EvidenceError`](super::EvidenceError): one whose chain is broken.
    pub(crate) fn open(
        path: &Path,
        resume: bool,
        header: &LogHeader,
        name: impl Fn(usize) -> String,
    ) -> Result<Self> {
        if std::fs::metadata(path).is_ok_and(|metadata| !metadata.is_file()) {
            return Err(BatchError::NotAFile { path: path.to_owned() }.into());
        }
        let unwritable = |source| WriteError { path: path.to_owned(), source };
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).truncate(false);
        let mut file = options.open(path).map_err(unwritable)?;
        if matches!(file.try_lock(), Err(TryLockError::WouldBlock)) {
            return Err(BatchError::Busy { path: path.to_owned() }.into());
        }
        let line = header.to_line();
        let first =
            Place { start: 0, end: line.len() as u64, hash: hash_line(&line), failed: false };
        let scan = if resume { scan(path, &file, header, first, name)? } else { None };
        let Some(scan) = scan else {
            let begun = file.set_len(0).and_then(|()| file.seek(SeekFrom::Start(0)));
            begun.and_then(|_| file.write_all(&line)).map_err(unwritable)?;
            let (places, counted) = (Vec::new(), End { images: 0, failed: 0 });
            let (path, last) = (path.to_owned(), first.hash);
            return Ok(Self { path, file, places, first, last, counted, complete: false });
        };
        let (last, counted, complete) = (scan.last(), scan.counted(), scan.end.is_some());
        let whole = scan.end.as_ref().or(scan.places.last()).unwrap_or(&first).end;
        let mut writer = Self {
            path: path.to_owned(),
            file,
            places: scan.places,
            first,
            last,
            counted,
            complete,
        };
        writer.cut_file(whole)?;
        Ok(writer)
    }

    /// How many images have a line.
    pub(crate) fn written(&self) -> usize {
        self.counted.images
    }

    /// Leaves the lines of the first `count` images only; called before anything is pushed.
    pub(crate) fn cut_to(&mut self, count: usize) -> Result<()> {
        let places = std::mem::take(&mut self.places);
        if count >= self.counted.images {
            return Ok(());
        }
        let last = if count == 0 { self.first } else { places[count - 1] };
        let failed = places[..count].iter().filter(|place| place.failed).count();
        (self.last, self.complete) = (last.hash, false);
        self.counted = End { images: count, failed };
        self.cut_file(last.end)
    }

    /// Writes the next image's line.
    pub(crate) fn push(&mut self, line: LogLine) -> Result<()> {
        self.counted.images += 1;
        self.counted.failed += usize::from(line.answer.is_err());
        self.append(&RawLine::of_image(self.last, line))
    }

    /// Writes the end, and sees to it that everything is on the disk.
    pub(crate) fn finish(&mut self) -> Result<LogSummary> {
        if !self.complete {
            self.append(&RawLine::of_end(self.last, self.counted))?;
            self.complete = true;
        }
        self.sync()?;
        let End { images, failed } = self.counted;
        Ok(LogSummary { head: self.last, images, failed })
    }

    /// Sees to it that what is written is on the disk.
    pub(crate) fn sync(&mut self) -> Result<()> {
        Ok(self.file.sync_data().map_err(|source| self.unwritable(source))?)
    }

    fn append(&mut self, line: &RawLine) -> Result<()> {
        let line = line.to_line();
        // One call a line, and nothing kept back: only the system's own end can tear it.
        self.file.write_all(&line).map_err(|source| self.unwritable(source))?;
        self.last = hash_line(&line);
        Ok(())
    }

    fn cut_file(&mut self, length: u64) -> Result<()> {
        let cut = self.file.set_len(length).and_then(|()| self.file.seek(SeekFrom::Start(length)));
        cut.map_err(|source| self.unwritable(source))?;
        Ok(())
    }

    fn unwritable(&self, source: io::Error) -> WriteError {
        WriteError { path: self.path.clone(), source }
    }
}

/// Reads a log that is to be continued; `None` for one whose first line is not whole.
fn scan(
    path: &Path,
    file: &File,
    header: &LogHeader,
    first: Place,
    name: impl Fn(usize) -> String,
) -> Result<Option<Scan>> {
    let Some(before) = Scan::header(path, file)? else { return Ok(None) };
    // Before what the lines say: those of another run have other names.
    let value = |header| serde_json::to_value(header).expect("string keys only");
    if let Some((field, before, now)) = first_difference(&value(&before), &value(header)) {
        let path = path.to_owned();
        return Err(BatchError::Changed { path, field, before, now }.into());
    }
    let scan = Scan::of(path, file, |index, line, _| {
        let expected = name(index);
        match line.image == expected {
            true => Ok(()),
            false => Err(format!("is about {:?}, expected {expected:?}", line.image)),
        }
    })?;
    if scan.as_ref().is_some_and(|scan| scan.first.hash != first.hash) {
        let (path, line) = (path.to_owned(), 1);
        let reason = "says the same in other letters than this run would".to_owned();
        return Err(BatchError::Damaged { path, line, reason }.into());
    }
    Ok(scan)
}
