//! `retinanet weights list`.

use std::path::PathBuf;

use clap::ValueHint;
use retinanet::weights::{FetchOptions, Found, Manifest, ManifestEntry, find_cached};
use serde_json::{Value, json};

use crate::detect_options::fetch_options;
use crate::exit::{Exit, Outcome};
use crate::output::{Align, Table, print, write_json};
use crate::text::one_line;

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Write it as JSON; `-` is standard output, in place of the table
    #[arg(long, value_name = "FILE|-", value_hint = ValueHint::FilePath)]
    json: Option<PathBuf>,
}

pub(super) fn run(args: &Args) -> Outcome {
    let manifest = Manifest::builtin();
    let options = fetch_options()?;
    if let Some(path) = &args.json {
        let entries: Vec<Value> =
            manifest.entries().iter().map(|entry| as_json(entry, &options)).collect();
        write_json(path, &entries)?;
        return Ok(Exit::Done);
    }
    let mut table = Table::new(&[
        ("name", Align::Left),
        ("model", Align::Left),
        ("box AP", Align::Right),
        ("MiB", Align::Right),
        ("licence", Align::Left),
        ("here", Align::Left),
    ]);
    for entry in manifest.entries() {
        let size = entry.sources.first().and_then(|source| source.size_mib);
        table.row([
            entry.name.clone(),
            entry.model.architecture.as_str().to_owned(),
            entry.model.reference.as_ref().map_or_else(String::new, |r| format!("{:.1}", r.box_ap)),
            size.map_or_else(String::new, |size| format!("{size:.1}")),
            entry.licence.clone(),
            here(entry, &options).0.to_owned(),
        ]);
    }
    let notes = manifest.entries().iter().map(|e| format!("{}: {}\n", e.name, one_line(&e.note)));
    print(&format!("{table}\n{}", notes.collect::<String>()))?;
    Ok(Exit::Done)
}

/// Whether the file is on this machine, and where.
fn here(entry: &ManifestEntry, options: &FetchOptions) -> (&'static str, Option<PathBuf>) {
    match find_cached(entry, options) {
        Ok(Some(file)) => {
            let found = match file.found {
                Found::Bundled => "bundled",
                Found::HubCache => "in the hub's cache",
                Found::TorchCache => "in torch's cache",
                _ => "in the cache",
            };
            (found, Some(file.path))
        }
        Ok(None) => ("no", None),
        Err(_) => ("damaged: `weights fetch` tells", None),
    }
}

fn as_json(entry: &ManifestEntry, options: &FetchOptions) -> Value {
    let (found, path) = here(entry, options);
    json!({
        "name": entry.name,
        "architecture": entry.model.architecture.as_str(),
        "box_ap": entry.model.reference.as_ref().map(|reference| reference.box_ap),
        "size_mib": entry.sources.first().and_then(|source| source.size_mib),
        "licence": entry.licence,
        "note": entry.note,
        "here": found,
        "path": path.map(|path| path.to_string_lossy().into_owned()),
    })
}
