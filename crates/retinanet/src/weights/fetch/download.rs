//! Downloading a checkpoint: source by source, under a lock, checked before it gets its name.

use std::fs;

use super::super::{FetchError, Location, ManifestEntry, Source};
use super::client::Client;
use super::transfer::{Transfer, discard, part_path};
use super::{FetchOptions, FetchedFile, Found, SafeUrl, cache, lock, progress};

/// Downloads `entry` from the first of its sources that works.
pub(super) fn from_sources(
    entry: &ManifestEntry,
    options: &FetchOptions,
) -> Result<FetchedFile, FetchError> {
    let client = Client::new(options);
    let mut failures = Vec::new();
    for source in entry.sources.iter().filter(|source| source.cache_file().is_some()) {
        match from_source(&client, entry, source, options) {
            Ok(mut file) => {
                file.passed_over = failures.iter().map(FetchError::to_string).collect();
                return Ok(file);
            }
            Err(error) if error.is_of_source() => {
                progress::say(options.progress, &format!("{}: {error}", entry.name));
                failures.push(error);
            }
            Err(error) => return Err(error),
        }
    }
    match failures.pop() {
        Some(only) if failures.is_empty() => Err(only),
        last => {
            failures.extend(last);
            Err(FetchError::AllSourcesFailed { checkpoint: entry.name.clone(), failures })
        }
    }
}

fn from_source(
    client: &Client,
    entry: &ManifestEntry,
    source: &Source,
    options: &FetchOptions,
) -> Result<FetchedFile, FetchError> {
    let (Some(path), Some(address)) =
        (cache::own_path(entry, source, options), cache::address(source, options))
    else {
        return Err(cache::bundled_missing(entry, options));
    };
    let url = SafeUrl::parse(&address)?;
    let folder = options.cache_dir.join(&entry.name);
    fs::create_dir_all(&folder).map_err(|error| FetchError::Cache {
        action: "create the cache folder",
        path: folder.clone(),
        source: error,
    })?;

    let _lock = lock::acquire(&cache::with_ending(&path, ".lock"), options.lock_timeout, || {
        progress::say(
            options.progress,
            &format!("waiting: another process is downloading {}", path.display()),
        );
    })?;
    // Whoever had the lock may have finished the file.
    if path.is_file() {
        match cache::verify(&path, &path.display().to_string(), entry, source, options) {
            Ok((sha256, pin)) => {
                return Ok(cache::file(source, options, path, sha256, Found::Cache, pin));
            }
            Err(error @ (FetchError::WrongHash { .. } | FetchError::TooLarge { .. })) => {
                progress::say(options.progress, &format!("{error}; downloading it again"));
            }
            Err(error) => return Err(error),
        }
    }

    let hub = matches!(source.location, Location::Hub { .. });
    let transfer = Transfer {
        client,
        url: &url,
        token: options.token.as_ref().filter(|_| hub),
        path: &path,
        limit: cache::byte_limit(source, options),
        options,
    };
    let part = part_path(&path);
    let resumed = transfer.run()?;
    let mut checked = cache::verify(&part, &url.to_string(), entry, source, options);
    if resumed && matches!(checked, Err(FetchError::WrongHash { .. })) {
        // The halves may be of different files: once more, from the first byte.
        discard(&path);
        transfer.run()?;
        checked = cache::verify(&part, &url.to_string(), entry, source, options);
    }
    let (sha256, pin) = checked.inspect_err(|_| discard(&path))?;
    fs::rename(&part, &path).map_err(|error| FetchError::Cache {
        action: "give its name to",
        path: path.clone(),
        source: error,
    })?;
    discard(&path);
    Ok(cache::file(source, options, path, sha256, Found::Downloaded, pin))
}
