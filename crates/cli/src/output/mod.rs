//! Everything that is printed or written: tables, JSON, CSV, files.

mod files;
mod json;
mod notes;
mod pictures;
mod records;
mod stdout;
mod table;

pub use files::{OutputPaths, check_target, write_kept, write_text};
pub use json::write_json;
pub use notes::{listed, note};
pub use pictures::PictureOptions;
pub use records::RecordFile;
pub use stdout::{print, print_line};
pub use table::{Align, Table};
