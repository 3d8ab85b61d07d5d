//! From a manifest entry to a checked file on this machine: cache look-up, then download.
//!
//! The cache holds, for every file, up to five names in the folder `CACHE/CHECKPOINT`:
//! `FILE` (complete and checked), `FILE.sha256` (the hash of the first use, in `sha256sum`'s form),
//! `FILE.part` and `FILE.part.json` (a download under way and what is needed to resume it) and
//! `FILE.lock` (held by the one process that downloads).

use std::path::PathBuf;

use super::{FetchError, ManifestEntry, SourceFormat};
use crate::Result;

mod cache;
#[cfg(feature = "fetch")]
mod client;
#[cfg(feature = "fetch")]
mod download;
#[cfg(feature = "fetch")]
mod lock;
mod options;
#[cfg(feature = "fetch")]
mod progress;
#[cfg(feature = "fetch")]
mod transfer;
mod url;

pub use options::{DEFAULT_ENDPOINT, FetchOptions, Progress, Token};
pub use url::SafeUrl;

use cache::Lookup;

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

/// Finds `entry`'s file on this machine, or downloads it.
///
/// Sources are tried in the manifest's order, all caches first. The file's whole hash is checked
/// every time, before it gets its name and when it is found again.
///
/// # Errors
/// Every variant of [`FetchError`] but those of manifests; among them [`FetchError::Offline`] and
/// [`FetchError::FeatureDisabled`], which say how to put the file there by hand.
///
/// ```no_run
/// use retinanet::weights::{FetchOptions, Manifest, fetch};
/// let manifest = Manifest::builtin();
/// let entry = manifest.get("retinanet_resnet50_fpn_v2.coco_v1")?;
/// let file = fetch(entry, &FetchOptions::from_env()?)?;
/// println!("{} {}", file.sha256, file.path.display());
/// # Ok::<(), retinanet::Error>(())
/// ```
pub fn fetch(entry: &ManifestEntry, options: &FetchOptions) -> Result<FetchedFile> {
    let damaged = match cache::look_up(entry, options)? {
        Lookup::Hit(file) => return Ok(file),
        Lookup::Damaged(error) => Some(error),
        Lookup::Miss => None,
    };
    let Some(by_hand) = cache::by_hand(entry, options) else {
        return Err(damaged.unwrap_or_else(|| cache::bundled_missing(entry, options)).into());
    };
    let checkpoint = entry.name.clone();
    if options.offline {
        return Err(damaged.unwrap_or(FetchError::Offline { checkpoint, by_hand }).into());
    }
    #[cfg(not(feature = "fetch"))]
    return Err(damaged.unwrap_or(FetchError::FeatureDisabled { checkpoint, by_hand }).into());
    #[cfg(feature = "fetch")]
    Ok(download::from_sources(entry, options)?)
}

/// Finds `entry`'s file on this machine without touching the network; `None` where it is not here.
///
/// # Errors
/// [`FetchError::WrongHash`] or [`FetchError::TooLarge`] where the only copy is damaged, and
/// [`FetchError::ChangedSinceFirstUse`] where it was replaced.
pub fn find_cached(entry: &ManifestEntry, options: &FetchOptions) -> Result<Option<FetchedFile>> {
    match cache::look_up(entry, options)? {
        Lookup::Hit(file) => Ok(Some(file)),
        Lookup::Miss => Ok(None),
        Lookup::Damaged(error) => Err(error.into()),
    }
}

#[cfg(all(test, not(feature = "fetch")))]
mod tests {
    use super::*;
    use crate::weights::Manifest;

    #[test]
    fn without_the_network_client_the_error_says_how_to_do_it_by_hand() {
        let folder = tempfile::tempdir().unwrap();
        let manifest = Manifest::builtin();
        let entry = manifest.get("retinanet_resnet50_fpn_v2.coco_v1").unwrap();
        let error = fetch(entry, &FetchOptions::in_folder(folder.path())).unwrap_err();
        assert!(
            matches!(error, crate::Error::Fetch(FetchError::FeatureDisabled { .. })),
            "{error}"
        );
        let message = error.to_string();
        assert!(
            message.contains("`fetch`") && message.contains("download.pytorch.org"),
            "{message}"
        );
        assert!(find_cached(entry, &FetchOptions::in_folder(folder.path())).unwrap().is_none());
    }
}
