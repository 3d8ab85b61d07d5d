//! Downloading a checkpoint: source by source, under a lock, checked before it gets its name.

use std::fs;

use super::cache;
use super::check::{byte_limit, verify};
use super::client::Client;
use super::found::{FetchedFile, Found};
use super::options::FetchOptions;
use super::places::{address, bundled_missing, own_path, with_ending};
use super::transfer::{Transfer, discard, part_path};
use super::{lock, progress};
use crate::error::FetchError;
use crate::manifest::{Location, Source};
use crate::url::SafeUrl;

/// Downloads the checkpoint called `name` from the first of its sources that works.
pub(super) fn from_sources(
    name: &str,
    sources: &[Source],
    options: &FetchOptions,
) -> Result<FetchedFile, FetchError> {
    let client = Client::new(options);
    let mut failures = Vec::new();
    for source in sources.iter().filter(|source| source.cache_file().is_some()) {
        match from_source(&client, name, source, options) {
            Ok(mut file) => {
                file.passed_over = failures.iter().map(FetchError::to_string).collect();
                return Ok(file);
            }
            Err(error) if error.is_of_source() => {
                progress::say(options.progress, &format!("{name}: {error}"));
                failures.push(error);
            }
            Err(error) => return Err(error),
        }
    }
    match failures.pop() {
        Some(only) if failures.is_empty() => Err(only),
        last => {
            failures.extend(last);
            Err(FetchError::AllSourcesFailed { checkpoint: name.to_owned(), failures })
        }
    }
}

fn from_source(
    client: &Client,
    name: &str,
    source: &Source,
    options: &FetchOptions,
) -> Result<FetchedFile, FetchError> {
    let (Some(path), Some(address)) = (own_path(name, source, options), address(source, options))
    else {
        return Err(bundled_missing(std::slice::from_ref(source), options));
    };
    let url = SafeUrl::parse(&address)?;
    let folder = options.cache_dir.join(name);
    fs::create_dir_all(&folder).map_err(|error| FetchError::Cache {
        action: "create the cache folder",
        path: folder.clone(),
        source: error,
    })?;

    let _lock = lock::acquire(&with_ending(&path, ".lock"), options.lock_timeout, || {
        progress::say(
            options.progress,
            &format!("waiting: another process is downloading {}", path.display()),
        );
    })?;
    // Whoever had the lock may have finished the file.
    if path.is_file() {
        match verify(&path, &path.display().to_string(), name, source, options) {
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
        limit: byte_limit(source, options),
        options,
    };
    let part = part_path(&path);
    let resumed = transfer.run()?;
    let mut checked = verify(&part, &url.to_string(), name, source, options);
    if resumed && matches!(checked, Err(FetchError::WrongHash { .. })) {
        // The halves may be of different files: once more, from the first byte.
        discard(&path);
        transfer.run()?;
        checked = verify(&part, &url.to_string(), name, source, options);
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
