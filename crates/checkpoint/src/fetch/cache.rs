//! Looking for a checkpoint on this machine.

use std::path::PathBuf;

use super::check::verify;
use super::found::{FetchedFile, Found, Pin};
use super::options::FetchOptions;
use super::places::{address, places};
use crate::error::FetchError;
use crate::manifest::{Location, Source};

/// What a look-up found.
pub(super) enum Lookup {
    Hit(FetchedFile),
    Miss,
    /// The only copy does not pass its checks.
    Damaged(FetchError),
}

/// Looks for the checkpoint called `name` in all folders, in the order of its sources.
pub(super) fn look_up(
    name: &str,
    sources: &[Source],
    options: &FetchOptions,
) -> Result<Lookup, FetchError> {
    let mut damaged = None;
    for source in sources {
        for (found, path) in places(name, source, options) {
            if !path.is_file() {
                continue;
            }
            match verify(&path, &path.display().to_string(), name, source, options) {
                Ok((sha256, pin)) => {
                    return Ok(Lookup::Hit(file(source, options, path, sha256, found, pin)));
                }
                // Another tool's copy may be anything; this library's own should be whole.
                Err(FetchError::WrongHash { .. } | FetchError::TooLarge { .. })
                    if matches!(found, Found::HubCache | Found::TorchCache) => {}
                Err(error @ (FetchError::WrongHash { .. } | FetchError::TooLarge { .. })) => {
                    damaged.get_or_insert(error);
                }
                Err(error) => return Err(error),
            }
        }
    }
    Ok(damaged.map_or(Lookup::Miss, Lookup::Damaged))
}

/// The answer for a file that passed [`verify`].
pub(super) fn file(
    source: &Source,
    options: &FetchOptions,
    path: PathBuf,
    sha256: String,
    found: Found,
    pin: Pin,
) -> FetchedFile {
    let source_name = match &source.location {
        Location::Bundled { path, .. } => path.display().to_string(),
        _ => address(source, options).unwrap_or_default(),
    };
    FetchedFile {
        path,
        sha256,
        format: source.format,
        source: source_name,
        found,
        pin,
        passed_over: Vec::new(),
    }
}
