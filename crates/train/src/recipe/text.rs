//! A recipe's text: reading it strictly, and finding the line of a key.

use std::path::Path;

use serde::de::DeserializeOwned;
use toml::de::{DeTable, DeValue};

use crate::error::RecipeError;

/// A recipe's text and where it is from.
#[derive(Clone, Copy)]
pub(super) struct Text<'a> {
    pub(super) path: &'a Path,
    pub(super) text: &'a str,
}

impl Text<'_> {
    /// Reads it strictly.
    pub(super) fn read<T: DeserializeOwned>(&self) -> Result<T, RecipeError> {
        toml::from_str(self.text).map_err(|error| self.explain(&error))
    }

    /// What is wrong with the value of a key, such as `run.batch`.
    pub(super) fn refuse(&self, key: &str, reason: String) -> RecipeError {
        let mut line = None;
        self.walk(|path, key_at, _| {
            if path == key {
                line = Some(self.line(key_at));
            }
        });
        RecipeError::Value { path: self.path.to_owned(), line, key: key.to_owned(), reason }
    }

    fn explain(&self, error: &toml::de::Error) -> RecipeError {
        let path = self.path.to_owned();
        let message = printable(error.message());
        let at = error.span().map_or(0, |span| span.start);
        let line = self.line(at);
        // serde: unknown field `a`, expected one of `b`, `c`
        if error.message().starts_with("unknown field `") {
            let mut quoted = error.message().split('`').skip(1).step_by(2);
            let key = quoted.next().unwrap_or_default().to_owned();
            let known: Vec<&str> = quoted.collect();
            let hint = match nearest(&key, &known) {
                Some(near) => format!("did you mean `{near}`?"),
                None => format!("known here: {}", known.join(", ")),
            };
            return RecipeError::UnknownKey { path, line, key, hint };
        }
        // The innermost key whose value holds the place.
        let mut key = None;
        self.walk(|path, _, value| {
            if value.contains(&at) {
                key = Some(path.to_owned());
            }
        });
        match key {
            Some(key) => {
                let reason = format!("cannot be read: {message}");
                RecipeError::Value { path, line: Some(line), key, reason }
            }
            None => RecipeError::Syntax { path, line, reason: message },
        }
    }

    /// Calls `visit` with each key's path, where it stands, and where its value does; outer ones first.
    fn walk(&self, mut visit: impl FnMut(&str, usize, std::ops::Range<usize>)) {
        let Ok(table) = DeTable::parse(self.text) else { return };
        walk(table.get_ref(), "", &mut visit);
    }

    /// The line of a place, from 1.
    fn line(&self, at: usize) -> usize {
        let before = self.text.as_bytes().iter().take(at);
        1 + before.filter(|byte| **byte == b'\n').count()
    }
}

fn walk(
    table: &DeTable<'_>,
    above: &str,
    visit: &mut impl FnMut(&str, usize, std::ops::Range<usize>),
) {
    for (key, value) in table {
        let path = format!("{above}{}", key.get_ref());
        visit(&path, key.span().start, value.span());
        if let DeValue::Table(table) = value.get_ref() {
            walk(table, &format!("{path}."), visit);
        }
    }
}

/// The most similar name, if it is similar at all.
fn nearest<'a>(name: &str, known: &[&'a str]) -> Option<&'a str> {
    if name.len() > 128 {
        return None;
    }
    let similar = |known: &&str| strsim::normalized_damerau_levenshtein(name, known);
    let scored = known.iter().map(|known| (similar(known), *known));
    let best = scored.max_by(|a, b| a.0.total_cmp(&b.0));
    best.filter(|(similarity, _)| *similarity >= 0.6).map(|(_, known)| known)
}

/// Text of the file as it may be printed.
fn printable(text: &str) -> String {
    let mut out = String::new();
    for character in text.chars().take(400) {
        if character.is_control() {
            out.extend(character.escape_default());
        } else {
            out.push(character);
        }
    }
    out
}
