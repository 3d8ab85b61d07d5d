//! One downloader at a time for a file, across processes.

use std::fs::{File, OpenOptions, TryLockError};
use std::path::Path;
use std::time::{Duration, Instant};

use crate::error::FetchError;

const POLL: Duration = Duration::from_millis(100);

/// The right to write a file's `.part`; given up when dropped, and by the system when a process dies.
///
/// The lock file itself stays: removing it would let two processes lock two files of one name.
#[derive(Debug)]
pub(super) struct Lock(#[expect(dead_code, reason = "held for its lock")] File);

/// Takes the lock at `path`, calling `waiting` once if another process has it.
pub(super) fn acquire(
    path: &Path,
    timeout: Duration,
    waiting: impl FnOnce(),
) -> Result<Lock, FetchError> {
    let failed = |action, source| FetchError::Cache { action, path: path.to_owned(), source };
    let file = OpenOptions::new()
        .create(true)
        .truncate(false)
        .write(true)
        .open(path)
        .map_err(|error| failed("create the lock", error))?;
    let start = Instant::now();
    let mut waiting = Some(waiting);
    loop {
        match file.try_lock() {
            Ok(()) => return Ok(Lock(file)),
            Err(TryLockError::Error(error)) => return Err(failed("lock", error)),
            Err(TryLockError::WouldBlock) => {}
        }
        if let Some(waiting) = waiting.take() {
            waiting();
        }
        if start.elapsed() >= timeout {
            return Err(FetchError::LockTimeout {
                lock: path.to_owned(),
                seconds: timeout.as_secs(),
            });
        }
        std::thread::sleep(POLL.min(timeout));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lock_that_is_held_is_waited_for_no_longer_than_asked() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("f.lock");
        let held = acquire(&path, Duration::ZERO, || panic!("nobody has it")).unwrap();
        let mut waited = false;
        let error = acquire(&path, Duration::from_millis(150), || waited = true).unwrap_err();
        assert!(waited && matches!(error, FetchError::LockTimeout { .. }), "{error}");
        drop(held);
        acquire(&path, Duration::ZERO, || panic!("it was given up")).unwrap();
    }
}
