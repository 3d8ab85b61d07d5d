//! The records of a run, as a JSON array or as CSV, to a file or to standard output.

use std::path::{Path, PathBuf};

use retinanet::batch::Record;

use super::{print, write_text};
use crate::exit::Outcome;

/// Records one after the other. On standard output each appears at once; a file appears whole, at the end.
#[derive(Debug)]
pub struct RecordFile {
    form: Form,
    target: Target,
    count: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    /// An array, one record a line.
    Json,
    /// The columns' names, then one detection a row.
    Csv,
}

#[derive(Debug)]
enum Target {
    Nowhere,
    Stdout,
    File { path: PathBuf, text: String },
}

impl RecordFile {
    /// JSON to a file, to standard output (`-`), or to nowhere.
    pub fn json(path: Option<&Path>) -> Self {
        Self::new(Form::Json, path)
    }

    /// CSV to the same.
    pub fn csv(path: Option<&Path>) -> Self {
        Self::new(Form::Csv, path)
    }

    fn new(form: Form, path: Option<&Path>) -> Self {
        let target = match path {
            None => Target::Nowhere,
            Some(path) if path == Path::new("-") => Target::Stdout,
            Some(path) => Target::File { path: path.to_owned(), text: String::new() },
        };
        Self { form, target, count: 0 }
    }

    /// Adds a record.
    pub fn push(&mut self, record: &Record) -> Outcome<()> {
        let first = self.count == 0;
        self.count += 1;
        match self.form {
            Form::Json if first => self.put("[\n", &|| record.to_json()),
            Form::Json => self.put(",\n", &|| record.to_json()),
            Form::Csv if first => self.put(&csv_heading(), &|| record.to_csv() + "\n"),
            Form::Csv => self.put("", &|| record.to_csv() + "\n"),
        }
    }

    /// Closes it and writes the file.
    pub fn finish(mut self) -> Outcome<()> {
        match (self.form, self.count) {
            (Form::Json, 0) => self.put("[]\n", &String::new)?,
            (Form::Json, _) => self.put("\n]\n", &String::new)?,
            (Form::Csv, 0) => self.put(&csv_heading(), &String::new)?,
            (Form::Csv, _) => {}
        }
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

fn csv_heading() -> String {
    format!("{}\n", Record::CSV_HEADER)
}
