//! What fetching answers.

use std::path::PathBuf;

use crate::manifest::SourceFormat;

/// A checkpoint's file on this machine, whose hash was checked.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct FetchedFile {
    /// Where it is.
    pub path: PathBuf,
    /// Its sha256, 64 lower-case digits. A reader that hashes what it loads compares with this.
    pub sha256: String,
    /// Its container.
    pub format: SourceFormat,
    /// The manifest's source it stands for: an address or a bundled path.
    pub source: String,
    /// How it came here.
    pub found: Found,
    /// What the hash was compared with.
    pub pin: Pin,
    /// The sources before this one that failed, in words.
    pub passed_over: Vec<String>,
}

/// How a file came to be on this machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Found {
    /// Downloaded by this call.
    Downloaded,
    /// It was in the cache.
    Cache,
    /// It was in the model hub's cache, from another tool.
    HubCache,
    /// It was in PyTorch's cache, from another tool.
    TorchCache,
    /// It comes with the manifest.
    Bundled,
}

/// What a file's hash was compared with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Pin {
    /// All 64 digits of the manifest.
    Manifest,
    /// The publisher's 8 digits and the whole hash recorded at the first use.
    Recorded,
    /// The publisher's 8 digits; the whole hash was recorded by this call.
    FirstUse,
    /// The publisher's 8 digits only: the cache cannot be written, so nothing was recorded.
    NotRecorded,
}
