//! The checks a checkpoint's file must pass.

use std::fs::File;
use std::io::{self, Read, Write};
use std::path::Path;

use sha2::{Digest, Sha256};

use super::found::Pin;
use super::options::FetchOptions;
use super::places::{own_path, with_ending};
use crate::error::FetchError;
use crate::manifest::Source;

const MIB: f64 = 1_048_576.0;

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
    name: &str,
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
    let pin = match own_path(name, source, options) {
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
