//! Everything that is printed or written: tables, JSON, files.

mod files;
mod json;
mod notes;
mod pictures;
mod stdout;
mod table;

pub use files::{OutputPaths, check_target, write_text};
pub use json::{JsonArray, write_json};
pub use notes::{listed, note};
pub use pictures::PictureOptions;
pub use stdout::{print, print_line};
pub use table::{Align, Table};
