//! A whole log, written from its lines at once.

use std::io::{self, Write};
use std::path::Path;

use super::header::LogHeader;
use super::line::{End, LogLine, RawLine};
use super::place::hash_line;
use super::writer::LogSummary;
use crate::Result;
use crate::determinism::Digest;
use crate::error::BatchError;
use crate::files::write_atomically;

/// Refuses an output that is there, unless it may be replaced.
pub(super) fn check_free(out: &Path, overwrite: bool) -> Result<()> {
    if !overwrite && std::fs::symlink_metadata(out).is_ok() {
        return Err(BatchError::Exists { path: out.to_owned() }.into());
    }
    Ok(())
}

/// Chains `lines` below `header` into `out`, which appears whole or not at all: with the first line that is an error,
/// not at all.
pub(super) fn write_chained(
    out: &Path,
    header: &LogHeader,
    lines: impl Iterator<Item = Result<LogLine>>,
) -> Result<LogSummary> {
    let mut stopped = None;
    let mut summary = None;
    let written = write_atomically(out, |file| match chain(header, lines, file) {
        Ok(written) => {
            summary = Some(written);
            Ok(())
        }
        Err(Stop::Write(error)) => Err(error),
        Err(Stop::Line(error)) => {
            stopped = Some(error);
            Err(io::Error::other("a line is missing"))
        }
    });
    if let Some(error) = stopped {
        return Err(error);
    }
    written?;
    Ok(summary.expect("a written log has a head"))
}

/// Why the writing stopped.
enum Stop {
    Write(io::Error),
    Line(crate::Error),
}

fn chain(
    header: &LogHeader,
    lines: impl Iterator<Item = Result<LogLine>>,
    file: &mut impl Write,
) -> Result<LogSummary, Stop> {
    let mut put = |line: &[u8]| -> Result<Digest, Stop> {
        file.write_all(line).map_err(Stop::Write)?;
        Ok(hash_line(line))
    };
    let mut last = put(&header.to_line())?;
    let mut counted = End { images: 0, failed: 0 };
    for line in lines {
        let line = line.map_err(Stop::Line)?;
        counted.images += 1;
        counted.failed += usize::from(line.answer.is_err());
        last = put(&RawLine::of_image(last, line).to_line())?;
    }
    let head = put(&RawLine::of_end(last, counted).to_line())?;
    Ok(LogSummary { head, images: counted.images, failed: counted.failed })
}
