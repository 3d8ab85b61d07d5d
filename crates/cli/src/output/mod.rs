//! Everything that is printed or written: tables, JSON records, files.

mod files;
mod record;
mod stdout;
mod table;

pub use files::{OutputPaths, write_text};
pub use record::{ImageRecord, bits_kept};
pub use stdout::{print, print_line};
pub use table::{Align, Table, printable};
