//! A JSON array of records, to a file or to standard output.

use std::path::{Path, PathBuf};

use retinanet::batch::Record;
use serde::Serialize;

use super::{print, write_text};
use crate::exit::{Failure, Outcome};

/// One record a line. On standard output each appears at once; a file appears whole, at the end.
#[derive(Debug)]
pub struct JsonArray {
    target: Target,
    count: usize,
}

#[derive(Debug)]
enum Target {
    Nowhere,
    Stdout,
    File { path: PathBuf, text: String },
}

impl JsonArray {
    /// To a file, to standard output (`-`), or to nowhere.
    pub fn new(path: Option<&Path>) -> Self {
        let target = match path {
            None => Target::Nowhere,
            Some(path) if path == Path::new("-") => Target::Stdout,
            Some(path) => Target::File { path: path.to_owned(), text: String::new() },
        };
        Self { target, count: 0 }
    }

    /// Adds a record.
    pub fn push(&mut self, record: &Record) -> Outcome<()> {
        let before = if self.count == 0 { "[\n" } else { ",\n" };
        self.count += 1;
        self.put(before, &|| record.to_json())
    }

    /// Closes the array and writes the file.
    pub fn finish(mut self) -> Outcome<()> {
        let end = if self.count == 0 { "[]\n" } else { "\n]\n" };
        self.put(end, &String::new)?;
        match self.target {
            Target::File { path, text } => write_text(&path, &text),
            _ => Ok(()),
        }
    }

    fn put(&mut self, before: &str, record: &dyn Fn() -> String) -> Outcome<()> {
        match &mut self.target {
            Target::Nowhere => Ok(()),
            Target::Stdout => print(&(before.to_owned() + &record())),
            Target::File { text, .. } => {
                text.push_str(before);
                text.push_str(&record());
                Ok(())
            }
        }
    }
}

/// Writes one value as indented JSON to a file or to standard output (`-`).
pub fn write_json(path: &Path, value: &impl Serialize) -> Outcome<()> {
    let json = serde_json::to_string_pretty(value)
        .map_err(|error| Failure::bad_input(format!("cannot be written as JSON: {error}")))?;
    match path == Path::new("-") {
        true => print(&(json + "\n")),
        false => write_text(path, &(json + "\n")),
    }
}
