//! What can go wrong while a checkpoint is looked up or downloaded.

use std::io;
use std::path::PathBuf;

/// A checkpoint could not be found or downloaded.
///
/// Text that came from a manifest or a server is shown quoted, with control characters escaped.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FetchError {
    /// The manifest has no checkpoint of this name.
    #[error("no checkpoint is called {name:?} in the manifest; {hint}")]
    UnknownCheckpoint {
        /// What was asked for.
        name: String,
        /// Names that look like it; all names where none does.
        near: Vec<String>,
        /// `near` in words.
        hint: String,
    },
    /// A manifest that cannot be read.
    #[error("cannot read the manifest {path:?}: {source}")]
    ReadManifest {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A manifest that is not one, or that asks for something unsafe.
    #[error("the manifest {manifest:?} is not usable: {problem}")]
    Manifest {
        /// The file, or a name for it.
        manifest: String,
        /// The field at fault and what it must be.
        problem: String,
    },
    /// An environment variable that cannot be understood.
    #[error("the environment variable {variable} is {value:?}: {problem}")]
    Environment {
        /// Its name.
        variable: &'static str,
        /// Its value.
        value: String,
        /// What it must be.
        problem: &'static str,
    },
    /// No folder to keep checkpoints in.
    #[error("there is no home folder to keep checkpoints in; set RETINANET_CACHE to a folder")]
    NoCacheFolder,
    /// The checkpoint is not on this machine and the network is switched off.
    #[error(
        "{checkpoint:?} is not in the cache and downloads are switched off (offline); unset \
         RETINANET_OFFLINE and HF_HUB_OFFLINE, or {by_hand}"
    )]
    Offline {
        /// The checkpoint's name.
        checkpoint: String,
        /// How to get the file without this library.
        by_hand: String,
    },
    /// The checkpoint is not on this machine and the crate was built without its network client.
    #[error(
        "{checkpoint:?} is not in the cache and this build has no network client; build it \
         with the feature `fetch`, or {by_hand}"
    )]
    FeatureDisabled {
        /// The checkpoint's name.
        checkpoint: String,
        /// How to get the file without this library.
        by_hand: String,
    },
    /// A URL's content was asked for and the network is switched off.
    #[error(
        "{url:?} is not opened, for downloads are switched off (offline); unset RETINANET_OFFLINE and \
         HF_HUB_OFFLINE, or download it by hand: {by_hand}"
    )]
    UrlOffline {
        /// The address, without its query.
        url: String,
        /// A command that does it.
        by_hand: String,
    },
    /// A URL's content was asked for and the crate was built without its network client.
    #[error(
        "{url:?} cannot be opened, for this build has no network client; build it with the feature \
         `fetch`, or download it by hand: {by_hand}"
    )]
    UrlWithoutClient {
        /// The address, without its query.
        url: String,
        /// A command that does it.
        by_hand: String,
    },
    /// A URL's content is larger than the limit.
    #[error("{url:?} has more than {limit} bytes, the most that are accepted; not kept")]
    UrlTooLarge {
        /// The address, without its query.
        url: String,
        /// The most bytes accepted.
        limit: u64,
    },
    /// A bundled checkpoint is not where the manifest says.
    #[error("the bundled checkpoint {path:?} is not there; {hint}")]
    BundledMissing {
        /// Where it was looked for.
        path: PathBuf,
        /// What to do.
        hint: &'static str,
    },
    /// The cache folder cannot be used.
    #[error(
        "cannot {action} {path:?}: {source}; set RETINANET_CACHE (or the option cache_dir) to a \
         folder that can be written, with room for the file"
    )]
    Cache {
        /// What was tried.
        action: &'static str,
        /// On which file or folder.
        path: PathBuf,
        /// Why it failed.
        source: io::Error,
    },
    /// Another process has held the download lock for too long.
    #[error(
        "another process has been downloading this file for over {seconds} s (it holds the lock \
         {lock:?}); stop it, or raise the option lock_timeout"
    )]
    LockTimeout {
        /// The lock file.
        lock: PathBuf,
        /// How long was waited.
        seconds: u64,
    },
    /// A URL that will not be opened.
    #[error("the address {url:?} is not opened: {reason}")]
    UnsafeUrl {
        /// The address, without its query.
        url: String,
        /// Why.
        reason: &'static str,
    },
    /// The server said no.
    #[error("the server answered {status} for {url:?}{hint}")]
    Http {
        /// The address, without its query.
        url: String,
        /// The HTTP status.
        status: u16,
        /// What the status usually means.
        hint: &'static str,
    },
    /// No connection could be made.
    #[error("cannot reach {url:?}: {problem}; check the network, or HTTPS_PROXY behind a proxy")]
    Unreachable {
        /// The address, without its query.
        url: String,
        /// What the network client says.
        problem: String,
    },
    /// The connection broke, or the server's answer makes no sense.
    #[error("the download of {url:?} broke: {problem}; run again to go on from where it stopped")]
    Broken {
        /// The address, without its query.
        url: String,
        /// What happened.
        problem: String,
    },
    /// The server sent nothing for too long.
    #[error(
        "the download of {url:?} stalled: no byte came for {seconds} s; run again to go on from \
         where it stopped"
    )]
    Stalled {
        /// The address, without its query.
        url: String,
        /// The time-out.
        seconds: f64,
    },
    /// The file is larger than the manifest allows.
    #[error("{file:?} has more than the {limit} bytes the manifest allows for it; not kept")]
    TooLarge {
        /// The address or file.
        file: String,
        /// The most bytes accepted.
        limit: u64,
    },
    /// The bytes are not the ones the manifest names.
    #[error(
        "{file:?} has the sha256 {found}, but the manifest says {expected}: it is damaged or was \
         replaced, and is not used"
    )]
    WrongHash {
        /// The address or file.
        file: String,
        /// All 64 digits, or the 8 the publisher gives.
        expected: String,
        /// The hash of what came.
        found: String,
    },
    /// The bytes fit the publisher's 8 digits but are not those of the first use.
    #[error(
        "{file:?} has the sha256 {found}, but {recorded} was recorded at its first use (in \
         {record:?}): it was replaced, and is not used; delete the record only if you trust the new file"
    )]
    ChangedSinceFirstUse {
        /// The address or file.
        file: String,
        /// The hash of the first use.
        recorded: String,
        /// The hash now.
        found: String,
        /// The file that holds the record.
        record: PathBuf,
    },
    /// The record of the first use is itself unreadable.
    #[error(
        "the record {record:?} does not hold a sha256; delete it if you trust the file beside it"
    )]
    BadRecord {
        /// The record's path.
        record: PathBuf,
    },
    /// Every source failed.
    #[error("no source of {checkpoint:?} could be used:{}", listed(failures))]
    AllSourcesFailed {
        /// The checkpoint's name.
        checkpoint: String,
        /// One error a source, in the manifest's order.
        failures: Vec<FetchError>,
    },
}

fn listed(failures: &[FetchError]) -> String {
    failures.iter().map(|failure| format!("\n  - {failure}")).collect()
}

impl FetchError {
    /// Whether the same request may well succeed a moment later.
    #[cfg(feature = "fetch")]
    pub(crate) fn is_passing(&self) -> bool {
        match self {
            Self::Broken { .. } | Self::Stalled { .. } => true,
            Self::Http { status, .. } => matches!(status, 408 | 416 | 429 | 500 | 502..=504),
            _ => false,
        }
    }

    /// Whether the fault lies with one source, so that the next one is worth trying.
    #[cfg(feature = "fetch")]
    pub(crate) fn is_of_source(&self) -> bool {
        !matches!(
            self,
            Self::Cache { .. }
                | Self::LockTimeout { .. }
                | Self::ChangedSinceFirstUse { .. }
                | Self::BadRecord { .. }
        )
    }
}
