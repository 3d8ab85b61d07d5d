//! Joining the logs of all shards into the one that a single run would have written.

use std::path::Path;

use super::EvidenceError;
use super::chain::{check_free, write_chained};
use super::difference::first_difference;
use super::line::LogLine;
use super::scan::Log;
use super::whereabouts::Whereabouts;
use super::writer::LogSummary;
use crate::Result;
use crate::data::{ListDigest, Shard};
use crate::error::BatchError;

/// Joins the finished logs of all shards of one run, in any order, into `out`: byte for byte, and so with the same
/// head, the log of an unsharded run. Each shard's own chain is checked first; then the lines are taken in the order
/// of the list and chained anew. It appears whole or not at all.
///
/// # Errors
/// [`EvidenceError`]: a log that was changed or cut. [`BatchError`]: a shard that is missing, given twice or of
/// another run; an output that is there, unless `overwrite`. [`Error::Write`](crate::Error::Write) if the output
/// cannot be written.
pub fn merge<P: AsRef<Path>>(out: &Path, shards: &[P], overwrite: bool) -> Result<LogSummary> {
    check_free(out, overwrite)?;
    let logs = open(shards)?;
    for log in &logs {
        if std::fs::canonicalize(log.path()).ok() == std::fs::canonicalize(out).ok() {
            return Err(not_a_shard(log.path(), "is the output, too".to_owned()).into());
        }
    }
    let header = logs[0].header().with_shard(Shard::default());
    let summary = write_chained(out, &header, joined(&logs))?;
    // Of whichever shard's things are here.
    let hints = logs.iter().filter_map(|log| Whereabouts::read_beside(log.path()));
    if let Some(hint) = hints.into_iter().next() {
        hint.write_beside(out)?;
    }
    Ok(summary)
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

/// The lines of all shards in the order of the list; after them, an error where they are not those listed.
fn joined(logs: &[Log]) -> impl Iterator<Item = Result<LogLine>> {
    let header = logs[0].header();
    let mut names = Some(ListDigest::new());
    let lines = (0..header.images).map(|index| logs[index % logs.len()].line(index / logs.len()));
    let mut lines = lines.fuse();
    std::iter::from_fn(move || {
        if let Some(line) = lines.next() {
            if let (Ok(line), Some(names)) = (&line, &mut names) {
                names.push(&line.image);
            }
            return Some(line);
        }
        if names.take()?.finish() == header.list_sha256 {
            return None;
        }
        let reason = "and the others have other images than their run listed".to_owned();
        let path = logs[0].path().to_owned();
        Some(Err(EvidenceError::Broken { path, line: 1, reason }.into()))
    })
}
