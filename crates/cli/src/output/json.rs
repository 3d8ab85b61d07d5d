//! One value as JSON.

use std::path::Path;

use serde::Serialize;

use super::{print, write_text};
use crate::exit::{Failure, Outcome};

/// Writes one value as indented JSON to a file or to standard output (`-`).
pub fn write_json(path: &Path, value: &impl Serialize) -> Outcome<()> {
    let json = serde_json::to_string_pretty(value)
        .map_err(|error| Failure::bad_input(format!("cannot be written as JSON: {error}")))?;
    match path == Path::new("-") {
        true => print(&(json + "\n")),
        false => write_text(path, &(json + "\n")),
    }
}
