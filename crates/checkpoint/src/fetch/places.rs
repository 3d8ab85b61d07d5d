//! Where a checkpoint's file belongs, may already be, and comes from.

use std::path::{Path, PathBuf};

use super::found::Found;
use super::hub_cache;
use super::options::FetchOptions;
use crate::error::FetchError;
use crate::manifest::{Location, Source};

/// The final path of `source`, of the checkpoint called `name`, in the cache; `None` for a bundled file.
pub(super) fn own_path(name: &str, source: &Source, options: &FetchOptions) -> Option<PathBuf> {
    source.cache_file().map(|file| options.cache_dir.join(name).join(file))
}

/// The address `source` is downloaded from; `None` for a bundled file.
pub(super) fn address(source: &Source, options: &FetchOptions) -> Option<String> {
    match &source.location {
        Location::Url { url, .. } => Some(url.clone()),
        Location::Hub { repo, revision, file } => {
            let endpoint = options.endpoint.trim_end_matches('/');
            Some(format!("{endpoint}/{repo}/resolve/{}/{file}", revision.replace('/', "%2F")))
        }
        Location::Bundled { .. } => None,
    }
}

/// How a user gets the file without this library; `None` if nothing can be downloaded.
pub(super) fn by_hand(name: &str, sources: &[Source], options: &FetchOptions) -> Option<String> {
    sources.iter().find_map(|source| {
        let (url, path) = (address(source, options)?, own_path(name, source, options)?);
        Some(format!("download {url} and save it as {path:?}"))
    })
}

/// The error for a checkpoint whose only sources are bundled files that are not there.
pub(super) fn bundled_missing(sources: &[Source], options: &FetchOptions) -> FetchError {
    let location = sources.first().map(|source| &source.location);
    let (path, hint) = match location {
        Some(Location::Bundled { path, beside: Some(folder) }) => {
            (folder.join(path), "put it beside the manifest")
        }
        Some(Location::Bundled { path, beside: None }) => (
            options.bundled_root.as_ref().map_or_else(|| path.clone(), |root| root.join(path)),
            "it comes with the source repository: pass its own path, or set the option bundled_root to that folder",
        ),
        _ => (PathBuf::new(), "the entry has no source"),
    };
    FetchError::BundledMissing { path, hint }
}

/// Every place where `source` may be, the cache before other tools' caches.
pub(super) fn places(name: &str, source: &Source, options: &FetchOptions) -> Vec<(Found, PathBuf)> {
    let mut places: Vec<_> =
        own_path(name, source, options).map(|path| (Found::Cache, path)).into_iter().collect();
    match &source.location {
        Location::Hub { repo, revision, file } => {
            if let Some(hub) = &options.hub_cache {
                places.push((Found::HubCache, hub_cache::path_of(hub, repo, revision, file)));
            }
        }
        Location::Url { file, .. } => {
            places.extend(
                options.torch_cache.iter().map(|torch| (Found::TorchCache, torch.join(file))),
            );
        }
        Location::Bundled { path, beside } => {
            let root = beside.as_ref().or(options.bundled_root.as_ref());
            places.extend(root.map(|root| (Found::Bundled, root.join(path))));
        }
    }
    places
}

/// `path` with `ending` after its whole name.
pub(super) fn with_ending(path: &Path, ending: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(ending);
    PathBuf::from(name)
}
