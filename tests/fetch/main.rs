//! Fetching against a server on the loopback: nothing here touches another machine.

mod caches;
mod downloads;
mod processes;
mod refusals;
mod server;

use std::path::{Path, PathBuf};
use std::time::Duration;

use retinanet::weights::{
    FetchError, FetchOptions, FetchedFile, Manifest, ManifestEntry, Progress,
};
use sha2::{Digest, Sha256};

/// The file's name in every test.
const FILE: &str = "model.safetensors";

/// 300,000 bytes that do not repeat.
fn payload() -> Vec<u8> {
    let mut state = 1u32;
    let next = |_| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 24) as u8
    };
    (0..300_000).map(next).collect()
}

fn sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The TOML of a source of `bytes` at `url`.
fn url_source(url: &str, sha256: &str) -> String {
    format!(
        "[[checkpoint.source]]\nurl = {url:?}\nformat = \"safetensors\"\nsize_mib = 0.3\nsha256 = {sha256:?}\n"
    )
}

/// The TOML of a source of `bytes` in a hub repository.
fn hub_source(revision: &str, sha256: &str) -> String {
    format!(
        "[[checkpoint.source]]\nhub = \"owner/name\"\nrevision = {revision:?}\nfile = {FILE:?}\n\
         format = \"safetensors\"\nsize_mib = 0.3\nsha256 = {sha256:?}\n"
    )
}

/// A checkpoint called `it` with these sources.
fn entry(sources: &[String]) -> ManifestEntry {
    let head = "version = 1\n[[checkpoint]]\nname = \"it\"\narchitecture = \"in_file\"\n\
                categories = [\"none\", \"some\"]\nlicence = \"MIT\"\n";
    let manifest = Manifest::parse(&format!("{head}{}", sources.concat()), "test").unwrap();
    manifest.get("it").unwrap().clone()
}

/// Options that use `folder` alone, try three times, and do not wait long.
fn options(folder: &Path) -> FetchOptions {
    FetchOptions {
        progress: Progress::Silent,
        attempts: 3,
        retry_wait: Duration::from_millis(5),
        ..FetchOptions::in_folder(folder)
    }
}

fn fetch(entry: &ManifestEntry, options: &FetchOptions) -> Result<FetchedFile, FetchError> {
    retinanet::weights::fetch(entry, options).map_err(|error| match error {
        retinanet::weights::Error::Fetch(error) => error,
        other => panic!("not a fetch error: {other}"),
    })
}

/// The folder of `it` in the cache.
fn names_in(folder: &Path) -> Vec<String> {
    let Ok(listing) = std::fs::read_dir(folder.join("it")) else {
        return Vec::new();
    };
    let mut names: Vec<String> =
        listing.map(|item| item.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

/// Where the file ends up.
fn final_path(folder: &Path) -> PathBuf {
    folder.join("it").join(FILE)
}
