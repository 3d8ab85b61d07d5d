//! Joining the files of all shards into the one that a single run would have written.

use std::fs::TryLockError;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use super::format::Joiner;
use super::identity::Identity;
use super::output::{Existing, Lines};
use super::{BatchError, Summary};
use crate::Result;
use crate::data::{ListDigest, Shard};
use crate::files::{open_regular, write_atomically};

/// One shard's file, being read.
struct Part {
    path: PathBuf,
    shard: Shard,
    lines: Lines,
    taken: usize,
}

/// Joins finished shards of one run, in any order, into `out`: byte for byte the file of an unsharded
/// run. It appears whole or not at all. [`Existing::Resume`] means the same as [`Existing::Overwrite`].
///
/// # Errors
/// [`BatchError`]: a shard that is missing, given twice, unfinished, damaged, being written, or of another
/// run; an output that is there. [`Error::Write`](crate::Error::Write) if the output cannot be written.
pub fn merge<P: AsRef<Path>>(out: &Path, shards: &[P], existing: Existing) -> Result<Summary> {
    if existing == Existing::Refuse && std::fs::symlink_metadata(out).is_ok() {
        return Err(BatchError::Exists { path: out.to_owned() }.into());
    }
    let (whole, mut parts) = open(shards)?;
    for part in &parts {
        if std::fs::canonicalize(&part.path).ok() == std::fs::canonicalize(out).ok() {
            let reason = "is the output, too".to_owned();
            return Err(BatchError::NotAShard { path: part.path.clone(), reason }.into());
        }
    }
    let mut failed = 0;
    let mut stopped: Option<BatchError> = None;
    let written = write_atomically(out, |file| {
        let joined = join(&whole, &mut parts, file);
        joined.map(|count| failed = count).map_err(|reason| match reason {
            Stop::Write(error) => error,
            Stop::Batch(error) => {
                stopped = Some(error);
                io::Error::other("a shard cannot be joined")
            }
        })
    });
    match (stopped, written) {
        (Some(error), _) => return Err(error.into()),
        (None, written) => written?,
    }
    whole.write_beside(out)?;
    let total = whole.images;
    Ok(Summary { total, done: total, before: 0, failed, log: None })
}

/// Opens the shards in their order; the identity is that of an unsharded run.
fn open<P: AsRef<Path>>(shards: &[P]) -> Result<(Identity, Vec<Part>)> {
    let mut whole: Option<Identity> = None;
    let mut parts: Vec<Part> = Vec::new();
    for path in shards {
        let path = path.as_ref();
        let not_a_shard = |reason| BatchError::NotAShard { path: path.to_owned(), reason };
        let unreadable = |source| BatchError::Read { path: path.to_owned(), source };
        let file = open_regular(path).map_err(unreadable)?;
        if matches!(file.try_lock_shared(), Err(TryLockError::WouldBlock)) {
            return Err(BatchError::Busy { path: path.to_owned() }.into());
        }
        let mut identity = Identity::read_beside(path)?;
        let shard = identity.shard(path)?;
        if shard.count() != shards.len() {
            let reason = format!("is shard {shard}, but {} files were given", shards.len());
            return Err(not_a_shard(reason).into());
        }
        if let Some(other) = parts.iter().find(|part| part.shard == shard) {
            let reason = format!("is shard {shard}, and so is {:?}", other.path);
            return Err(not_a_shard(reason).into());
        }
        identity.shard = Shard::default().to_string();
        match &whole {
            Some(first) => identity.check_same(first, path)?,
            None => whole = Some(identity.clone()),
        }
        let lines = Lines::new(path, file, identity.format);
        parts.push(Part { path: path.to_owned(), shard, lines, taken: 0 });
    }
    parts.sort_by_key(|part| part.shard.index());
    let whole = whole.ok_or_else(|| BatchError::NotAShard {
        path: PathBuf::new(),
        reason: "stands for no shard at all".to_owned(),
    })?;
    Ok((whole, parts))
}

/// Why the joining stopped.
enum Stop {
    Write(io::Error),
    Batch(BatchError),
}

impl From<BatchError> for Stop {
    fn from(error: BatchError) -> Self {
        Self::Batch(error)
    }
}

/// Writes the whole file; how many images failed.
fn join(whole: &Identity, parts: &mut [Part], file: &mut impl Write) -> Result<usize, Stop> {
    let format = whole.format;
    let mut joiner = Joiner::default();
    let mut names = Some(ListDigest::new());
    let mut failed = 0;
    for part in parts.iter_mut() {
        if !part.lines.header()? {
            return Err(part.unfinished(whole).into());
        }
    }
    file.write_all(format.header()).map_err(Stop::Write)?;
    let count = parts.len();
    for index in 0..whole.images {
        let part = &mut parts[index % count];
        if !part.lines.advance()? {
            return Err(part.unfinished(whole).into());
        }
        let content =
            format.parse(part.lines.line()).map_err(|reason| part.lines.damaged(reason))?;
        part.taken += 1;
        failed += usize::from(content.failed);
        match (content.name, &mut names) {
            (Some(name), Some(names)) => names.push(&name),
            _ => names = None,
        }
        file.write_all(&joiner.line(format, content.body)).map_err(Stop::Write)?;
    }
    for part in parts.iter_mut() {
        part.check_end(whole)?;
    }
    if names.is_some_and(|names| names.finish() != whole.list_sha256) {
        let (path, reason) = (
            parts[0].path.clone(),
            "and the others have other images than their run listed".to_owned(),
        );
        return Err(BatchError::NotAShard { path, reason }.into());
    }
    file.write_all(format.footer()).map_err(Stop::Write)?;
    Ok(failed)
}

impl Part {
    fn unfinished(&self, whole: &Identity) -> BatchError {
        let expected = self.shard.share_of(whole.images);
        BatchError::Unfinished { path: self.path.clone(), found: self.taken, expected }
    }

    /// Whether the footer, and nothing else, is left.
    fn check_end(&mut self, whole: &Identity) -> Result<(), BatchError> {
        let footer = whole.format.footer();
        if !footer.is_empty() {
            if !self.lines.advance()? {
                return Err(self.unfinished(whole));
            }
            if [self.lines.line(), b"\n"].concat() != footer {
                return Err(self.lines.damaged("should be the end".to_owned()));
            }
        }
        if self.lines.advance()? || self.lines.has_torn_line() {
            return Err(self.lines.damaged("comes after the last image".to_owned()));
        }
        Ok(())
    }
}
