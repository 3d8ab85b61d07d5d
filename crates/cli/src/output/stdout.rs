//! Standard output, where a reader that leaves early is no error.

use std::io::{self, Write};

use crate::exit::{Failure, Outcome};

/// Prints text as it is, and sees to it that it arrived.
pub fn print(text: &str) -> Outcome<()> {
    let mut out = io::stdout().lock();
    out.write_all(text.as_bytes()).and_then(|()| out.flush()).map_err(Failure::stdout)
}

/// Prints text and a newline.
pub fn print_line(text: &str) -> Outcome<()> {
    print(&format!("{text}\n"))
}
