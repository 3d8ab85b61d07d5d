//! Joining the logs of all shards into the one that a single run would have written.

use std::io::{self, Write};
use std::path::Path;

use super::EvidenceError;
use super::difference::first_difference;
use super::line::{End, RawLine};
use super::place::hash_line;
use super::scan::Log;
use super::whereabouts::Whereabouts;
use super::writer::LogSummary;
use crate::Result;
use crate::data::{ListDigest, Shard};
use crate::determinism::Digest;
use crate::error::BatchError;
use crate::files::write_atomically;

/// Joins the finished logs of all shards of one run, in any order, into `out`: byte for byte, and so with the same
/// head, the log of an unsharded run. Each shard's own chain is checked first; then the lines are taken in the order
/// of the list and chained anew. It appears whole or not at all.
///
/// # Errors
/// [`EvidenceError`]: a log that was changed or cut. [`BatchError`]: a shard that is missing, given twice or of
/// another run; an output that is there, unless `overwrite`. [`Error::Write`](crate::Error::Write) if the output
/// cannot be written.
pub fn merge<P: AsRef<Path>>(out: &Path, shards: &[P], overwrite: bool) -> Result<LogSummary> {
    if !overwrite && std::fs::symlink_metadata(out).is_ok() {
        return Err(BatchError::Exists { path: out.to_owned() }.into());
    }
    let logs = open(shards)?;
    for log in &logs {
        if std::fs::canonicalize(log.path()).ok() == std::fs::canonicalize(out).ok() {
            return Err(not_a_shard(log.path(), "is the output, too".to_owned()).into());
        }
    }
    let mut stopped = None;
    let mut head = None;
    let written = write_atomically(out, |file| match join(&logs, file) {
        Ok(summary) => {
            head = Some(summary);
            Ok(())
        }
        Err(Stop::Write(error)) => Err(error),
        Err(Stop::Log(error)) => {
            stopped = Some(error);
            Err(io::Error::other("a shard cannot be joined"))
        }
    });
    if let Some(error) = stopped {
        return Err(error);
    }
    written?;
    // Of whichever shard's things are here.
    let hints = logs.iter().filter_map(|log| Whereabouts::read_beside(log.path()));
    if let Some(hint) = hints.into_iter().next() {
        hint.write_beside(out)?;
    }
    Ok(head.expect("a written log has a head"))
}

/// The logs in the order of their shards.
fn open<P: AsRef<Path>>(shards: &[P]) -> Result<Vec<Log>> {
    let mut logs: Vec<Log> = Vec::with_capacity(shards.len());
    for path in shards {
        let path = path.as_ref();
        let log = Log::open(path)?;
        let shard = log.header().shard();
        if shard.count() != shards.len() {
            let reason = format!("is shard {shard}, but {} files were given", shards.len());
            return Err(not_a_shard(path, reason).into());
        }
        if let Some(other) = logs.iter().find(|other| other.header().shard() == shard) {
            let reason = format!("is shard {shard}, and so is {:?}", other.path());
            return Err(not_a_shard(path, reason).into());
        }
        if let Some(first) = logs.first() {
            let whole = |log: &Log| log.header().with_shard(Shard::default());
            let value = |log| serde_json::to_value(whole(log)).expect("string keys only");
            if let Some((field, before, now)) = first_difference(&value(first), &value(&log)) {
                let path = path.to_owned();
                return Err(BatchError::Changed { path, field, before, now }.into());
            }
        }
        logs.push(log);
    }
    if logs.is_empty() {
        return Err(not_a_shard(Path::new(""), "stands for no shard at all".to_owned()).into());
    }
    logs.sort_by_key(|log| log.header().shard().index());
    Ok(logs)
}

fn not_a_shard(path: &Path, reason: String) -> BatchError {
    BatchError::NotAShard { path: path.to_owned(), reason }
}

/// Why the joining stopped.
enum Stop {
    Write(io::Error),
    Log(crate::Error),
}

/// Writes the whole log.
fn join(logs: &[Log], file: &mut impl Write) -> Result<LogSummary, Stop> {
    let header = logs[0].header().with_shard(Shard::default());
    let mut put = |line: &[u8]| -> Result<Digest, Stop> {
        file.write_all(line).map_err(Stop::Write)?;
        Ok(hash_line(line))
    };
    let mut last = put(&header.to_line())?;
    let mut names = ListDigest::new();
    let mut counted = End { images: 0, failed: 0 };
    for index in 0..header.images {
        let log = &logs[index % logs.len()];
        let line = log.line(index / logs.len()).map_err(Stop::Log)?;
        names.push(&line.image);
        counted.images += 1;
        counted.failed += usize::from(line.answer.is_err());
        last = put(&RawLine::of_image(last, line).to_line())?;
    }
    if names.finish() != header.list_sha256 {
        let reason = "and the others have other images than their run listed".to_owned();
        let error = EvidenceError::Broken { path: logs[0].path().to_owned(), line: 1, reason };
        return Err(Stop::Log(error.into()));
    }
    let head = put(&RawLine::of_end(last, counted).to_line())?;
    Ok(LogSummary { head, images: counted.images, failed: counted.failed })
}
