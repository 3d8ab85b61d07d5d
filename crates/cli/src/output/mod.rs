//! Everything that is printed or written: tables, JSON records, files.

mod files;
mod json;
mod record;
mod stdout;
mod table;

pub use files::{OutputPaths, write_text};
pub use json::{JsonArray, write_json};
pub use record::ImageRecord;
pub use stdout::{print, print_line};
pub use table::{Align, Table, one_line, printable};
