//! What can go wrong with a recipe.

use std::path::PathBuf;

/// A recipe is not one.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RecipeError {
    /// The file cannot be read.
    #[error("recipe {path:?}: cannot read it: {source}; give the path of a .toml file")]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The text is not TOML.
    #[error("recipe {path:?}, line {line}: {reason}")]
    Syntax {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
        /// What is wrong.
        reason: String,
    },
    /// A key that means nothing.
    #[error("recipe {path:?}, line {line}: unknown key {key:?}; {hint}")]
    UnknownKey {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
        /// The key.
        key: String,
        /// The nearest known one, or all that are known.
        hint: String,
    },
    /// A value of the wrong type, or out of range.
    #[error("recipe {path:?}{}: `{key}` {reason}", line.map(|line| format!(", line {line}")).unwrap_or_default())]
    Value {
        /// The file.
        path: PathBuf,
        /// The line, from 1, where the recipe has the key.
        line: Option<usize>,
        /// The key with its section, such as `run.batch`.
        key: String,
        /// What is wrong with it.
        reason: String,
    },
    /// A value that does not fit what it names.
    #[error("the recipe's `{key}` {reason}")]
    Setting {
        /// The key with its section.
        key: String,
        /// What is wrong with it.
        reason: String,
    },
}
