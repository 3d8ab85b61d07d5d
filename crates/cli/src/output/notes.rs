//! Notes on standard error: what a reader of the results must know, beside an exit code of 0.

use crate::voice::notice;

/// The most names listed in one line.
const MAX_LISTED: usize = 10;

/// `note: WHAT (COUNT): NAMES`, if there are names.
pub fn note<S: AsRef<str>>(what: &str, names: &[S]) {
    if !names.is_empty() {
        notice(&format!("{what} ({}): {}", names.len(), listed(names)));
    }
}

/// The first names, quoted.
pub fn listed<S: AsRef<str>>(names: &[S]) -> String {
    let first: Vec<String> =
        names.iter().take(MAX_LISTED).map(|name| format!("{:?}", name.as_ref())).collect();
    let more = match names.len().saturating_sub(MAX_LISTED) {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    first.join(", ") + &more
}
