//! Writing a run's log, line by line.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use retinanet::WriteError;
use retinanet::determinism::Digest;

use super::log::{
    Chained, EndLine, EvaluationLine, Lines, LogHeader, LogLine, StepLine, hash, to_line,
};
use crate::Result;
use crate::error::RunError;

/// A log that is being written. While it is, no other process can write it.
#[derive(Debug)]
pub(super) struct LogWriter {
    path: PathBuf,
    file: File,
    header: LogHeader,
    last: Option<StepLine>,
    evaluations: Vec<EvaluationLine>,
    end: Option<EndLine>,
    head: Digest,
}

impl LogWriter {
    /// Begins a log.
    pub(super) fn begin(path: &Path, header: &LogHeader) -> Result<Self> {
        let mut file = open_alone(path, true)?;
        let line = to_line(header);
        let unwritable = |source| WriteError { path: path.to_owned(), source };
        file.set_len(0).and_then(|()| file.write_all(&line)).map_err(unwritable)?;
        let (path, header, head) = (path.to_owned(), header.clone(), hash(&line));
        Ok(Self { path, file, header, last: None, evaluations: Vec::new(), end: None, head })
    }

    /// Takes a log up after `step`: what follows is cut off, whatever it is.
    pub(super) fn resume(path: &Path, step: u64) -> Result<Self> {
        let file = open_alone(path, false)?;
        let (mut lines, header) = Lines::new(path, &file)?;
        let (mut last, mut evaluations, mut end) = (None, Vec::new(), None);
        let (mut length, mut head) = (lines.place, lines.head);
        loop {
            let done = last.as_ref().is_some_and(|line: &StepLine| line.step == step);
            match lines.next() {
                Ok(Some(line)) if line.step() <= step => match line {
                    LogLine::Step(line) => last = Some(line),
                    LogLine::Evaluation(line) => evaluations.push(line),
                    LogLine::End(line) => end = Some(line),
                },
                Ok(_) => break,
                // What is cut off need not be whole.
                Err(_) if done => break,
                Err(error) => return Err(error),
            }
            (length, head) = (lines.place, lines.head);
        }
        let unwritable = |source| WriteError { path: path.to_owned(), source };
        let mut log = Self { path: path.to_owned(), file, header, last, evaluations, end, head };
        log.file.set_len(length).map_err(unwritable)?;
        log.file.seek(SeekFrom::Start(length)).map_err(unwritable)?;
        Ok(log)
    }

    /// The first line.
    pub(super) fn header(&self) -> &LogHeader {
        &self.header
    }

    /// The last step's line.
    pub(super) fn last(&self) -> Option<&StepLine> {
        self.last.as_ref()
    }

    /// The evaluations.
    pub(super) fn evaluations(&self) -> &[EvaluationLine] {
        &self.evaluations
    }

    /// Whether the run came to its end.
    pub(super) fn is_complete(&self) -> bool {
        self.end.is_some()
    }

    /// The hash of the last line.
    pub(super) fn head(&self) -> Digest {
        self.head
    }

    pub(super) fn push(&mut self, content: LogLine) -> Result<()> {
        let line = to_line(&Chained { previous: self.head, content: &content });
        let unwritable = |source| WriteError { path: self.path.clone(), source };
        self.file.write_all(&line).map_err(unwritable)?;
        self.head = hash(&line);
        match content {
            LogLine::Step(line) => self.last = Some(line),
            LogLine::Evaluation(line) => self.evaluations.push(line),
            LogLine::End(line) => self.end = Some(line),
        }
        Ok(())
    }

    pub(super) fn sync(&mut self) -> Result<()> {
        let unwritable = |source| WriteError { path: self.path.clone(), source };
        Ok(self.file.sync_data().map_err(unwritable)?)
    }
}

/// Opens a log to be written, if nobody else does.
fn open_alone(path: &Path, create: bool) -> Result<File> {
    let unwritable = |source| WriteError { path: path.to_owned(), source };
    let mut options = OpenOptions::new();
    let file = options.read(true).write(true).create(create).truncate(false).open(path);
    let file = file.map_err(unwritable)?;
    match file.try_lock() {
        Err(TryLockError::WouldBlock) => {
            let folder = path.parent().map(Path::to_owned).unwrap_or_default();
            Err(RunError::Busy { folder }.into())
        }
        // A file system without locks is no reason not to train.
        Ok(()) | Err(TryLockError::Error(_)) => Ok(file),
    }
}
