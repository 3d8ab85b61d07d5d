//! Reading a file once, from its first byte to its last, hashing what is kept.

use std::fs::File;
use std::io::{ErrorKind, Read};
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, SyncSender, channel, sync_channel};
use std::thread::{Builder, JoinHandle};

use sha2::{Digest, Sha256};

use crate::error::WeightsError;

/// The largest checkpoint taken: a thousand million parameters in double precision.
pub(crate) const MAX_FILE_BYTES: u64 = 8 << 30;

/// How much is read before it is hashed, while it is still in cache.
const STEP: usize = 1 << 20;

/// How many steps the reader may be ahead of the hash.
const AHEAD: usize = 4;

/// A stream of known length; every byte handed out has gone through the hash.
///
/// The file is never mapped: a mapped file that shrinks kills the process, and one that changes
/// gives weights other than the ones hashed.
pub(crate) struct HashedSource<R> {
    path: PathBuf,
    inner: R,
    length: u64,
    read: u64,
    hash: RunningHash,
}

impl HashedSource<File> {
    pub(crate) fn open(path: &Path) -> Result<Self, WeightsError> {
        let failed =
            |action| move |source| WeightsError::Read { path: path.into(), action, source };
        // Asked before opening: opening a pipe would wait for a writer.
        let before = std::fs::metadata(path).map_err(failed("find it"))?;
        if !before.is_file() {
            return Err(WeightsError::NotAFile { path: path.into() });
        }
        let file = File::open(path).map_err(failed("open it"))?;
        let length = file.metadata().map_err(failed("read its size"))?.len();
        Self::new(path, file, length)
    }
}

impl<R: Read> HashedSource<R> {
    pub(crate) fn new(path: &Path, inner: R, length: u64) -> Result<Self, WeightsError> {
        let path = path.to_path_buf();
        if length == 0 {
            return Err(WeightsError::Empty { path });
        }
        if length > MAX_FILE_BYTES {
            return Err(WeightsError::TooLarge { path, bytes: length, limit: MAX_FILE_BYTES });
        }
        Ok(Self { path, inner, length, read: 0, hash: RunningHash::new(length) })
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Length of the whole file in bytes.
    pub(crate) fn length(&self) -> u64 {
        self.length
    }

    /// Bytes not read yet.
    pub(crate) fn remaining(&self) -> u64 {
        self.length - self.read
    }

    /// Appends the next `count` bytes to `buffer`. The caller has compared `count` with
    /// [`remaining`](Self::remaining), so an allocation is never larger than the file.
    pub(crate) fn append(&mut self, buffer: &mut Vec<u8>, count: u64) -> Result<(), WeightsError> {
        let changed = || WeightsError::Changed { path: self.path.clone() };
        let no_memory = || WeightsError::OutOfMemory { path: self.path.clone(), bytes: count };
        if count > self.remaining() {
            return Err(changed());
        }
        let total = usize::try_from(count).map_err(|_| no_memory())?;
        buffer.try_reserve_exact(total).map_err(|_| no_memory())?;
        let mut left = total;
        while left > 0 {
            let mut step = self.hash.take_step();
            step.resize(STEP.min(left), 0);
            self.inner.read_exact(&mut step).map_err(|source| match source.kind() {
                ErrorKind::UnexpectedEof => changed(),
                _ => WeightsError::Read { path: self.path.clone(), action: "read it", source },
            })?;
            buffer.extend_from_slice(&step);
            left -= step.len();
            self.hash.update(step);
        }
        self.read += count;
        Ok(())
    }

    /// The sha256 of the whole file as 64 lower-case hex digits.
    ///
    /// # Errors
    ///
    /// When bytes are left, which would make it the hash of a part.
    pub(crate) fn finish(mut self) -> Result<String, WeightsError> {
        let grown = !matches!(self.inner.read(&mut [0; 1]), Ok(0));
        if self.remaining() != 0 || grown {
            return Err(WeightsError::Changed { path: self.path });
        }
        let hash = self.hash.finish();
        Ok(hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect())
    }
}

/// A hash that takes its bytes step by step: those of a large file on a thread of its own, while the
/// next step is read.
enum RunningHash {
    Here { hash: Sha256, step: Vec<u8> },
    Beside { steps: SyncSender<Vec<u8>>, hashed: Receiver<Vec<u8>>, thread: JoinHandle<Sha256> },
}

impl RunningHash {
    fn new(length: u64) -> Self {
        let (steps, to_hash) = sync_channel::<Vec<u8>>(AHEAD);
        let (back, hashed) = channel();
        let hash_all = move || {
            let mut hash = Sha256::new();
            for step in to_hash {
                hash.update(&step);
                // Nobody wants the memory of the last steps.
                drop(back.send(step));
            }
            hash
        };
        if length > STEP as u64
            && let Ok(thread) = Builder::new().name("retinanet-hash".into()).spawn(hash_all)
        {
            return Self::Beside { steps, hashed, thread };
        }
        Self::Here { hash: Sha256::new(), step: Vec::new() }
    }

    /// Memory for a step, with what an earlier one left in it.
    fn take_step(&mut self) -> Vec<u8> {
        match self {
            Self::Here { step, .. } => std::mem::take(step),
            Self::Beside { hashed, .. } => hashed.try_recv().unwrap_or_default(),
        }
    }

    fn update(&mut self, bytes: Vec<u8>) {
        match self {
            Self::Here { hash, step } => {
                hash.update(&bytes);
                *step = bytes;
            }
            // The thread takes steps until there are no more, so there is somebody to send to.
            Self::Beside { steps, .. } => drop(steps.send(bytes)),
        }
    }

    fn finish(self) -> Sha256 {
        match self {
            Self::Here { hash, .. } => hash,
            Self::Beside { steps, hashed, thread } => {
                drop((steps, hashed));
                thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn source(bytes: &[u8], length: u64) -> HashedSource<&[u8]> {
        HashedSource::new(Path::new("x"), bytes, length).unwrap()
    }

    #[test]
    fn the_hash_is_of_the_bytes_handed_out() {
        let mut abc = source(b"abc", 3);
        let mut buffer = vec![b'-'];
        abc.append(&mut buffer, 1).unwrap();
        abc.append(&mut buffer, 2).unwrap();
        assert_eq!(buffer, b"-abc");
        let known = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!(abc.finish().unwrap(), known);
    }

    #[test]
    fn a_hash_on_its_own_thread_is_the_same() {
        let bytes: Vec<u8> = (0..3 * STEP + 5).map(|i| (i % 251) as u8).collect();
        let mut source = source(&bytes, bytes.len() as u64);
        let mut buffer = Vec::new();
        for count in [1, STEP as u64 + 7, 100, 2 * STEP as u64 - 103] {
            source.append(&mut buffer, count).unwrap();
        }
        assert_eq!(buffer, bytes);
        let expected: String =
            Sha256::digest(&bytes).iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(source.finish().unwrap(), expected);
    }

    #[test]
    fn a_file_that_shrinks_or_grows_meanwhile_is_an_error() {
        let mut shrunk = source(b"ab", 3);
        assert!(matches!(shrunk.append(&mut Vec::new(), 3), Err(WeightsError::Changed { .. })));
        let mut grown = source(b"abcd", 3);
        grown.append(&mut Vec::new(), 3).unwrap();
        assert!(matches!(grown.finish(), Err(WeightsError::Changed { .. })));
        assert!(matches!(source(b"abc", 3).finish(), Err(WeightsError::Changed { .. })));
    }
}
