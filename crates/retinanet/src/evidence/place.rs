//! Where a line is in its file, and its hash.

use sha2::{Digest as _, Sha256};

use crate::determinism::Digest;

/// Where a line is, and what it hashes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Place {
    /// Of its first byte.
    pub(super) start: u64,
    /// Of the byte after its newline.
    pub(super) end: u64,
    pub(super) hash: Digest,
    /// Whether its image has no answer.
    pub(super) failed: bool,
}

/// The hash of a line, its newline included.
pub(super) fn hash_line(line: &[u8]) -> Digest {
    Digest::from_bytes(Sha256::digest(line).into())
}
