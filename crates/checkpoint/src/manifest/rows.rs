//! From a manifest's text to checked entries.

use std::collections::BTreeSet;
use std::path::{Component, Path, PathBuf};

use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::entry::{ExpectedSha256, Location, ManifestEntry, Source};
use super::model::ManifestModel;
use super::row::{CheckpointRow, SourceRow};
use crate::text::printable;
use crate::url::SafeUrl;

const VERSION: u32 = 1;
const MAX_SIZE_MIB: f64 = 1_048_576.0;

#[derive(Deserialize)]
#[serde(deny_unknown_fields, bound = "R: DeserializeOwned")]
struct Rows<R> {
    version: u32,
    #[serde(default = "Vec::new")]
    checkpoint: Vec<CheckpointRow<R>>,
}

/// Reads and checks a manifest; `folder` is where its bundled files are. The error is a sentence.
pub(super) fn read<M: ManifestModel>(
    text: &str,
    folder: Option<&Path>,
) -> Result<Vec<ManifestEntry<M>>, String> {
    let rows: Rows<M::Row> = toml::from_str(text).map_err(|error| {
        let line = error
            .span()
            .map_or(1, |span| 1 + text[..span.start.min(text.len())].matches('\n').count());
        format!("line {line}: {}", printable(error.message()))
    })?;
    if rows.version != VERSION {
        return Err(format!("version is {}, this library reads version {VERSION}", rows.version));
    }
    let mut names = BTreeSet::new();
    let mut entries = Vec::with_capacity(rows.checkpoint.len());
    for row in rows.checkpoint {
        let name = row.name.clone();
        let entry =
            checkpoint(row, folder).map_err(|problem| format!("checkpoint {name:?}: {problem}"))?;
        if !names.insert(name.to_ascii_lowercase()) {
            return Err(format!("checkpoint {name:?} is there twice"));
        }
        entries.push(entry);
    }
    Ok(entries)
}

fn checkpoint<M: ManifestModel>(
    row: CheckpointRow<M::Row>,
    folder: Option<&Path>,
) -> Result<ManifestEntry<M>, String> {
    if !is_component(&row.name) {
        return Err(component_rule("name", &row.name));
    }
    let model = M::from_row(row.model)?;
    let sources = sources(row.source, folder)?;
    Ok(ManifestEntry { name: row.name, model, licence: row.licence, note: row.note, sources })
}

fn sources(rows: Vec<SourceRow>, folder: Option<&Path>) -> Result<Vec<Source>, String> {
    if rows.is_empty() {
        return Err("it has no [[checkpoint.source]]".to_owned());
    }
    let mut sources: Vec<Source> = Vec::with_capacity(rows.len());
    for (number, row) in rows.into_iter().enumerate() {
        let source =
            source(row, folder).map_err(|problem| format!("source {}: {problem}", number + 1))?;
        // Two sources may share a cache file only if they are the same bytes.
        let clash = |other: &Source| {
            source.cache_file().is_some()
                && other.cache_file() == source.cache_file()
                && other.sha256 != source.sha256
        };
        if sources.iter().any(clash) {
            return Err(format!(
                "source {} has the file name of another with a different sha256",
                number + 1
            ));
        }
        sources.push(source);
    }
    Ok(sources)
}

fn source(row: SourceRow, folder: Option<&Path>) -> Result<Source, String> {
    let sha256 = ExpectedSha256::new(&row.sha256)
        .ok_or_else(|| format!("sha256 {:?} must be 64 hex digits, or the first 8", row.sha256))?;
    if row.size_mib.is_some_and(|size| !(size > 0.0 && size <= MAX_SIZE_MIB)) {
        return Err(format!("size_mib must be more than 0 and at most {MAX_SIZE_MIB}"));
    }
    let location = match (row.hub, row.url, row.bundled) {
        (Some(repo), None, None) => hub(repo, row.revision, row.file)?,
        (None, Some(url), None) if row.revision.is_none() => plain_url(url, row.file)?,
        (None, None, Some(path)) if row.revision.is_none() && row.file.is_none() => {
            bundled(path, folder)?
        }
        _ => {
            return Err(
                "it needs hub + revision + file, or url (+ file), or bundled; one of the three"
                    .to_owned(),
            );
        }
    };
    Ok(Source { location, format: row.format, size_mib: row.size_mib, sha256 })
}

fn hub(repo: String, revision: Option<String>, file: Option<String>) -> Result<Location, String> {
    let parts: Vec<&str> = repo.split('/').collect();
    if parts.len() != 2 || !parts.iter().all(|part| is_component(part)) {
        return Err(format!("hub {repo:?} must be owner/name"));
    }
    let revision = revision.ok_or("hub needs a revision")?;
    if revision.len() > 200 || !revision.split('/').all(is_component) {
        return Err(format!("revision {revision:?} must be a branch, tag or commit"));
    }
    let file = file.ok_or("hub needs a file")?;
    check_file(&file)?;
    Ok(Location::Hub { repo, revision, file })
}

fn plain_url(url: String, file: Option<String>) -> Result<Location, String> {
    let parsed = SafeUrl::parse(&url).map_err(|error| error.to_string())?;
    let file = file.unwrap_or_else(|| parsed.file_name().to_owned());
    check_file(&file)?;
    Ok(Location::Url { url: parsed.as_str().to_owned(), file })
}

fn bundled(path: String, folder: Option<&Path>) -> Result<Location, String> {
    let relative = PathBuf::from(&path);
    let below = relative.components().all(|part| matches!(part, Component::Normal(_)));
    if path.is_empty() || !below || path.contains('\\') || path.chars().any(char::is_control) {
        return Err(format!(
            "bundled {path:?} must be a path below the manifest's folder, with / between its parts"
        ));
    }
    Ok(Location::Bundled { path: relative, beside: folder.map(Path::to_owned) })
}

fn check_file(file: &str) -> Result<(), String> {
    // These endings are the cache's own, beside the file.
    let ours = [".part", ".json", ".lock", ".sha256", ".tmp"];
    if ours.iter().any(|end| file.ends_with(end)) {
        return Err(format!("file {file:?} must not end in {}", ours.join(", ")));
    }
    if is_component(file) { Ok(()) } else { Err(component_rule("file", file)) }
}

/// A name that is one part of a path on every system.
fn is_component(name: &str) -> bool {
    let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-' | b'+');
    !name.is_empty()
        && name.len() <= 128
        && name.bytes().all(plain)
        && !name.starts_with('.')
        && !name.ends_with('.')
}

fn component_rule(what: &str, name: &str) -> String {
    let start: String = name.chars().take(200).collect();
    format!(
        "{what} {start:?} must be a single name of letters, digits and . _ - + (no folders, at most 128)"
    )
}
