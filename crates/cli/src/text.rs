//! Text fit to print.

/// The text with control characters escaped, newlines aside: what files are called or hold cannot
/// move a terminal's cursor.
pub fn printable(text: &str) -> String {
    let escaped = |c: char| c.is_control() && c != '\n' || is_bidi(c);
    let mut safe = String::with_capacity(text.len());
    for c in text.chars() {
        match escaped(c) {
            true => safe.extend(c.escape_unicode()),
            false => safe.push(c),
        }
    }
    safe
}

/// As [`printable`], newlines escaped too.
pub fn one_line(text: &str) -> String {
    printable(text).replace('\n', "\\n")
}

/// Characters that reorder the text around them.
fn is_bidi(c: char) -> bool {
    matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{200e}' | '\u{200f}')
}

/// A size in bytes, as people read it.
pub fn mebibytes(bytes: u64) -> String {
    format!("{:.1} MiB", bytes as f64 / 1_048_576.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn control_and_reordering_characters_are_escaped() {
        assert_eq!(printable("a\u{1b}[31m\u{202e}b\nc"), "a\\u{1b}[31m\\u{202e}b\nc");
    }
}
