//! All that stands between a file's tensors and a model's.

use std::fmt;

use crate::nearest::{AMONG, nearest};
use crate::text::quoted;

/// A tensor on one side only.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Unmatched {
    /// Its name.
    pub name: String,
    /// Its shape.
    pub shape: Vec<usize>,
    /// The most similar unmatched name of the other side, if one is similar.
    pub near: Option<String>,
}

/// A tensor whose two shapes differ.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct MisShaped {
    /// Its name.
    pub name: String,
    /// The shape the model needs.
    pub expected: Vec<usize>,
    /// The shape in the file.
    pub found: Vec<usize>,
}

/// Why a file's tensors are not the model's.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Mismatch {
    /// Needed by the model, not in the file.
    pub missing: Vec<Unmatched>,
    /// In the file, not needed by the model.
    pub unexpected: Vec<Unmatched>,
    /// In both with different shapes.
    pub mis_shaped: Vec<MisShaped>,
    /// What the file and the model seem to be, and what to do; empty where nobody knows.
    pub diagnosis: String,
}

/// How many tensors of a list are printed.
const PRINTED: usize = 6;

/// How many tensors of a list get a near-miss name.
const NEAR_FOR: usize = 16;

impl Mismatch {
    pub(crate) fn is_empty(&self) -> bool {
        self.missing.is_empty() && self.unexpected.is_empty() && self.mis_shaped.is_empty()
    }

    /// Pairs up unmatched names that look alike.
    pub(crate) fn find_near_names(&mut self) {
        let names = |list: &[Unmatched]| -> Vec<String> {
            list.iter().take(AMONG).map(|tensor| tensor.name.clone()).collect()
        };
        let (missing, unexpected) = (names(&self.missing), names(&self.unexpected));
        for tensor in self.missing.iter_mut().take(NEAR_FOR) {
            tensor.near = nearest(&tensor.name, unexpected.iter().map(String::as_str));
        }
        for tensor in self.unexpected.iter_mut().take(NEAR_FOR) {
            tensor.near = nearest(&tensor.name, missing.iter().map(String::as_str));
        }
    }
}

impl fmt::Display for Mismatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("its tensors are not the model's")?;
        list(f, "missing", &self.missing, unmatched)?;
        list(f, "unexpected", &self.unexpected, unmatched)?;
        list(f, "mis-shaped", &self.mis_shaped, |f, tensor| {
            let MisShaped { name, expected, found } = tensor;
            write!(f, "{} is {found:?} but must be {expected:?}", quoted(name))
        })?;
        match self.diagnosis.as_str() {
            "" => Ok(()),
            diagnosis => write!(f, ". {diagnosis}"),
        }
    }
}

fn unmatched(f: &mut fmt::Formatter<'_>, tensor: &Unmatched) -> fmt::Result {
    write!(f, "{} {:?}", quoted(&tensor.name), tensor.shape)?;
    match &tensor.near {
        Some(near) => write!(f, " (similar: {})", quoted(near)),
        None => Ok(()),
    }
}

fn list<T>(
    f: &mut fmt::Formatter<'_>,
    what: &str,
    items: &[T],
    print: impl Fn(&mut fmt::Formatter<'_>, &T) -> fmt::Result,
) -> fmt::Result {
    if items.is_empty() {
        return Ok(());
    }
    write!(f, "; {} {what}: ", items.len())?;
    for (position, item) in items.iter().take(PRINTED).enumerate() {
        if position > 0 {
            f.write_str(", ")?;
        }
        print(f, item)?;
    }
    match items.len().checked_sub(PRINTED) {
        None | Some(0) => Ok(()),
        Some(more) => write!(f, " and {more} more"),
    }
}
