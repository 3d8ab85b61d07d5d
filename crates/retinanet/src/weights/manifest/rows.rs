//! A manifest's rows as TOML has them, and the checks that make entries of them.

use std::collections::BTreeSet;
use std::path::{Component, Path, PathBuf};

use serde::Deserialize;

use super::{
    Architecture, ExpectedSha256, Location, ManifestCategories, ManifestEntry, Reference, Source,
    SourceFormat,
};
use crate::weights::fetch::SafeUrl;
use crate::weights::fetch_error::printable;

const VERSION: u32 = 1;
const MAX_SIZE_MIB: f64 = 1_048_576.0;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Rows {
    version: u32,
    #[serde(default)]
    checkpoint: Vec<CheckpointRow>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct CheckpointRow {
    name: String,
    architecture: Architecture,
    norm_eps: Option<f64>,
    categories: CategoriesRow,
    licence: String,
    reference: Option<Reference>,
    #[serde(default)]
    note: String,
    #[serde(default)]
    source: Vec<SourceRow>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum CategoriesRow {
    Known(String),
    Names(Vec<String>),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SourceRow {
    hub: Option<String>,
    revision: Option<String>,
    url: Option<String>,
    bundled: Option<String>,
    file: Option<String>,
    format: SourceFormat,
    size_mib: Option<f64>,
    sha256: String,
}

/// Reads and checks a manifest; `folder` is where its bundled files are. The error is a sentence.
pub(super) fn read(text: &str, folder: Option<&Path>) -> Result<Vec<ManifestEntry>, String> {
    let rows: Rows = toml::from_str(text).map_err(|error| {
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

fn checkpoint(row: CheckpointRow, folder: Option<&Path>) -> Result<ManifestEntry, String> {
    if !is_component(&row.name) {
        return Err(component_rule("name", &row.name));
    }
    if row.norm_eps.is_some_and(|eps| !(0.0..1.0).contains(&eps)) {
        return Err("norm_eps must be at least 0 and less than 1".to_owned());
    }
    if row.reference.as_ref().is_some_and(|r| !(0.0..=100.0).contains(&r.box_ap)) {
        return Err("box_ap is a percentage, 0 to 100".to_owned());
    }
    let categories = match row.categories {
        CategoriesRow::Known(known) if known == "coco_v1" => ManifestCategories::CocoV1,
        CategoriesRow::Known(known) => {
            return Err(format!(
                "categories {known:?} is not known; write \"coco_v1\" or a list of names"
            ));
        }
        CategoriesRow::Names(names) if names.is_empty() => {
            return Err("categories is an empty list".to_owned());
        }
        CategoriesRow::Names(names) => ManifestCategories::Names(names),
    };
    if row.source.is_empty() {
        return Err("it has no [[checkpoint.source]]".to_owned());
    }
    let mut sources: Vec<Source> = Vec::with_capacity(row.source.len());
    for (number, source_row) in row.source.into_iter().enumerate() {
        let source = source(source_row, folder)
            .map_err(|problem| format!("source {}: {problem}", number + 1))?;
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
    Ok(ManifestEntry {
        name: row.name,
        architecture: row.architecture,
        norm_eps: row.norm_eps,
        categories,
        licence: row.licence,
        reference: row.reference,
        note: row.note,
        sources,
    })
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
