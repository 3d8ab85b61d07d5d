//! The folders where a checkpoint may already be, and the checks a file must pass.

use std::fs::File;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use hf_hub::{Cache, Repo, RepoType};
use sha2::{Digest, Sha256};

use super::super::{FetchError, Location, ManifestEntry, Source};
use super::{FetchOptions, FetchedFile, Found, Pin};

const MIB: f64 = 1_048_576.0;

/// What a look-up found.
pub(super) enum Lookup {
    Hit(FetchedFile),
    Miss,
    /// The only copy does not pass its checks.
    Damaged(FetchError),
}

/// Looks for `entry` in all folders, in the order of its sources.
pub(super) fn look_up(entry: &ManifestEntry, options: &FetchOptions) -> Result<Lookup, FetchError> {
    let mut damaged = None;
    for source in &entry.sources {
        for (found, path) in places(entry, source, options) {
            if !path.is_file() {
                continue;
            }
            match verify(&path, &path.display().to_string(), entry, source, options) {
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

/// The final name of `source` in the cache; `None` for a bundled file.
pub(super) fn own_path(
    entry: &ManifestEntry,
    source: &Source,
    options: &FetchOptions,
) -> Option<PathBuf> {
    source.cache_file().map(|file| options.cache_dir.join(&entry.name).join(file))
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
pub(super) fn by_hand(entry: &ManifestEntry, options: &FetchOptions) -> Option<String> {
    entry.sources.iter().find_map(|source| {
        let (url, path) = (address(source, options)?, own_path(entry, source, options)?);
        Some(format!("download {url} and save it as {path:?}"))
    })
}

/// The error for an entry whose only sources are bundled files that are not there.
pub(super) fn bundled_missing(entry: &ManifestEntry, options: &FetchOptions) -> FetchError {
    let location = entry.sources.first().map(|source| &source.location);
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
fn places(entry: &ManifestEntry, source: &Source, options: &FetchOptions) -> Vec<(Found, PathBuf)> {
    let mut places: Vec<_> =
        own_path(entry, source, options).map(|path| (Found::Cache, path)).into_iter().collect();
    match &source.location {
        Location::Hub { repo, revision, file } => {
            if let Some(hub) = &options.hub_cache {
                let repo = Repo::with_revision(repo.clone(), RepoType::Model, revision.clone());
                let cached = Cache::new(hub.clone()).repo(repo);
                // A branch or tag is looked up in `refs`; a commit is a snapshot's own name.
                let path =
                    cached.get(file).unwrap_or_else(|| cached.pointer_path(revision).join(file));
                places.push((Found::HubCache, path));
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

/// The most bytes `source` may have: the manifest's size with a margin.
pub(super) fn byte_limit(source: &Source, options: &FetchOptions) -> u64 {
    match source.size_mib {
        Some(size) => ((size * 1.25 + 1.0) * MIB) as u64,
        None => options.max_bytes,
    }
}

/// Hashes the file at `path` and compares it with the manifest and the record of its first use;
/// errors call it `label`.
pub(super) fn verify(
    path: &Path,
    label: &str,
    entry: &ManifestEntry,
    source: &Source,
    options: &FetchOptions,
) -> Result<(String, Pin), FetchError> {
    let limit = byte_limit(source, options);
    let found = sha256_of(path, limit)
        .map_err(|error| FetchError::Cache {
            action: "read",
            path: path.to_owned(),
            source: error,
        })?
        .ok_or_else(|| FetchError::TooLarge { file: label.to_owned(), limit })?;
    if !source.sha256.accepts(&found) {
        let expected = source.sha256.digits().to_owned();
        return Err(FetchError::WrongHash { file: label.to_owned(), expected, found });
    }
    let pin = match own_path(entry, source, options) {
        Some(own) if !source.sha256.is_full() => first_use(&own, label, &found)?,
        None if !source.sha256.is_full() => Pin::NotRecorded,
        _ => Pin::Manifest,
    };
    Ok((found, pin))
}

/// Compares `found` with the record beside `own`, or makes that record.
fn first_use(own: &Path, label: &str, found: &str) -> Result<Pin, FetchError> {
    let record = with_ending(own, ".sha256");
    match read_record(&record)? {
        Some(recorded) if recorded == found => Ok(Pin::Recorded),
        Some(recorded) => Err(FetchError::ChangedSinceFirstUse {
            file: label.to_owned(),
            recorded,
            found: found.to_owned(),
            record,
        }),
        None => match write_record(&record, own, found) {
            Ok(()) => Ok(Pin::FirstUse),
            // Another process was first: its record counts.
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                match read_record(&record)? {
                    Some(recorded) if recorded == found => Ok(Pin::Recorded),
                    _ => Err(FetchError::BadRecord { record }),
                }
            }
            Err(_) => Ok(Pin::NotRecorded),
        },
    }
}

fn read_record(record: &Path) -> Result<Option<String>, FetchError> {
    let mut text = String::new();
    match File::open(record).and_then(|file| file.take(1024).read_to_string(&mut text)) {
        Ok(_) => {}
        Err(error)
            if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) =>
        {
            return Ok(None);
        }
        Err(_) => {
            return Err(FetchError::BadRecord { record: record.to_owned() });
        }
    }
    let digits = text.split_whitespace().next().unwrap_or_default();
    if digits.len() == 64 && digits.bytes().all(|b| b.is_ascii_hexdigit()) {
        Ok(Some(digits.to_ascii_lowercase()))
    } else {
        Err(FetchError::BadRecord { record: record.to_owned() })
    }
}

fn write_record(record: &Path, own: &Path, sha256: &str) -> io::Result<()> {
    let folder = record.parent().unwrap_or(Path::new("."));
    std::fs::create_dir_all(folder)?;
    let mut file = tempfile::Builder::new().suffix(".tmp").tempfile_in(folder)?;
    let name = own.file_name().unwrap_or_default().to_string_lossy();
    writeln!(file, "{sha256}  {name}")?;
    file.as_file().sync_all()?;
    file.persist_noclobber(record)?;
    Ok(())
}

/// The sha256 of a file in hex; `None` if it has more than `limit` bytes.
fn sha256_of(path: &Path, limit: u64) -> io::Result<Option<String>> {
    let mut file = File::open(path)?;
    if file.metadata()?.len() > limit {
        return Ok(None);
    }
    let mut hasher = Sha256::new();
    let mut buffer = vec![0; 256 << 10];
    let mut total = 0u64;
    loop {
        let read = match file.read(&mut buffer) {
            Ok(0) => break,
            Ok(read) => read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(error),
        };
        total += read as u64;
        if total > limit {
            return Ok(None);
        }
        hasher.update(&buffer[..read]);
    }
    Ok(Some(hasher.finalize().iter().map(|byte| format!("{byte:02x}")).collect()))
}

/// `path` with `ending` after its whole name.
pub(super) fn with_ending(path: &Path, ending: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(ending);
    PathBuf::from(name)
}
