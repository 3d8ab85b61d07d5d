//! From a manifest entry to a checked file on this machine: cache look-up, then download.

use super::cache::{Lookup, look_up};
#[cfg(feature = "fetch")]
use super::download::from_sources;
use super::found::FetchedFile;
use super::options::FetchOptions;
use super::places::{bundled_missing, by_hand};
use crate::error::{FetchError, Result};
use crate::manifest::ManifestEntry;

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
/// use retinanet_checkpoint::{FetchOptions, Manifest, fetch};
/// let manifest: Manifest = Manifest::from_path("models.toml")?;
/// let file = fetch(manifest.get("mine")?, &FetchOptions::from_env()?)?;
/// println!("{} {}", file.sha256, file.path.display());
/// # Ok::<(), retinanet_checkpoint::Error>(())
/// ```
pub fn fetch<M>(entry: &ManifestEntry<M>, options: &FetchOptions) -> Result<FetchedFile> {
    let ManifestEntry { name, sources, .. } = entry;
    let damaged = match look_up(name, sources, options)? {
        Lookup::Hit(file) => return Ok(file),
        Lookup::Damaged(error) => Some(error),
        Lookup::Miss => None,
    };
    let Some(by_hand) = by_hand(name, sources, options) else {
        return Err(damaged.unwrap_or_else(|| bundled_missing(sources, options)).into());
    };
    let checkpoint = name.clone();
    if options.offline {
        return Err(damaged.unwrap_or(FetchError::Offline { checkpoint, by_hand }).into());
    }
    #[cfg(not(feature = "fetch"))]
    return Err(damaged.unwrap_or(FetchError::FeatureDisabled { checkpoint, by_hand }).into());
    #[cfg(feature = "fetch")]
    Ok(from_sources(name, sources, options)?)
}

/// Finds `entry`'s file on this machine without touching the network; `None` where it is not here.
///
/// # Errors
/// [`FetchError::WrongHash`] or [`FetchError::TooLarge`] where the only copy is damaged, and
/// [`FetchError::ChangedSinceFirstUse`] where it was replaced.
pub fn find_cached<M>(
    entry: &ManifestEntry<M>,
    options: &FetchOptions,
) -> Result<Option<FetchedFile>> {
    match look_up(&entry.name, &entry.sources, options)? {
        Lookup::Hit(file) => Ok(Some(file)),
        Lookup::Miss => Ok(None),
        Lookup::Damaged(error) => Err(error.into()),
    }
}

#[cfg(all(test, not(feature = "fetch")))]
mod tests {
    use super::*;
    use crate::error::Error;
    use crate::manifest::Manifest;

    const ONE: &str = r#"
version = 1
[[checkpoint]]
name = "mine"
licence = "MIT"
[[checkpoint.source]]
url = "https://download.example.org/models/mine.pth"
format = "pth"
sha256 = "0123abcd"
"#;

    #[test]
    fn without_the_network_client_the_error_says_how_to_do_it_by_hand() {
        let folder = tempfile::tempdir().unwrap();
        let manifest: Manifest = Manifest::parse(ONE, "test").unwrap();
        let entry = manifest.get("mine").unwrap();
        let error = fetch(entry, &FetchOptions::in_folder(folder.path())).unwrap_err();
        assert!(matches!(error, Error::Fetch(FetchError::FeatureDisabled { .. })), "{error}");
        let message = error.to_string();
        assert!(
            message.contains("`fetch`") && message.contains("download.example.org"),
            "{message}"
        );
        assert!(find_cached(entry, &FetchOptions::in_folder(folder.path())).unwrap().is_none());
    }
}
