//! The whole lines of a file, one at a time.

use std::io::{self, BufRead, Read};

/// Whole lines; a torn one at the end is not among them.
pub(super) struct Lines<R> {
    reader: R,
    line: Vec<u8>,
    /// Of the line read last, from 1.
    pub(super) number: usize,
    /// Where the line read last begins.
    pub(super) start: u64,
    /// Where it ends.
    pub(super) end: u64,
}

/// What reading on gave.
pub(super) enum Next {
    /// A whole line.
    Line,
    /// There is nothing more.
    End,
    /// The rest has no newline.
    Torn,
    /// The line has more bytes than any has.
    TooLong,
}

impl<R: BufRead> Lines<R> {
    pub(super) fn new(reader: R) -> Self {
        Self { reader, line: Vec::new(), number: 0, start: 0, end: 0 }
    }

    /// Reads the next line, of at most `limit` bytes.
    pub(super) fn advance(&mut self, limit: u64) -> io::Result<Next> {
        self.line.clear();
        let mut limited = Read::take(&mut self.reader, limit);
        limited.read_until(b'\n', &mut self.line)?;
        self.number += 1;
        if self.line.is_empty() {
            return Ok(Next::End);
        }
        if self.line.last() != Some(&b'\n') {
            return Ok(if self.line.len() as u64 == limit { Next::TooLong } else { Next::Torn });
        }
        self.start = self.end;
        self.end += self.line.len() as u64;
        Ok(Next::Line)
    }

    /// The line read last, with its newline.
    pub(super) fn whole(&self) -> &[u8] {
        &self.line
    }

    /// The line read last, without its newline.
    pub(super) fn text(&self) -> &[u8] {
        self.line.strip_suffix(b"\n").unwrap_or(&self.line)
    }
}
