//! Text that came from a file or a server, as it may be printed.

/// Text of a file as it may be printed: quoted, control characters escaped, at most 120 characters.
pub(crate) fn quoted(text: &str) -> String {
    const LIMIT: usize = 120;
    if text.chars().nth(LIMIT).is_none() {
        return format!("{text:?}");
    }
    let head: String = text.chars().take(LIMIT).collect();
    format!("{head:?}...")
}

/// `text` with its control characters escaped.
pub(crate) fn printable(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        if c.is_control() { out.extend(c.escape_default()) } else { out.push(c) }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::quoted;

    #[test]
    fn control_characters_are_escaped_and_long_text_is_cut() {
        assert_eq!(quoted("a\u{1b}[31m\n"), "\"a\\u{1b}[31m\\n\"");
        assert!(quoted(&"x".repeat(1 << 20)).len() < 140);
    }
}
