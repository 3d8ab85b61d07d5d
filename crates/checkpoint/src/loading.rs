//! Strict loading: every tensor the model needs, each in its shape, and nothing unexplained.

use std::collections::BTreeMap;
use std::path::Path;

use rayon::prelude::*;

use crate::checkpoint::{Checkpoint, Entry, Shapes};
use crate::dtype::{decode_f32, first_not_finite};
use crate::error::{MisShaped, Mismatch, Result, Unmatched, WeightsError};
use crate::nearest::nearest;
use crate::report::{Ignored, LoadReport};
use crate::tensor::RawTensor;
use crate::text::quoted;

/// A tensor a model needs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExpectedTensor {
    /// Its name.
    pub name: String,
    /// Its shape, outermost side first.
    pub shape: Vec<usize>,
}

impl ExpectedTensor {
    /// A name with its shape.
    pub fn new(name: impl Into<String>, shape: impl Into<Vec<usize>>) -> Self {
        Self { name: name.into(), shape: shape.into() }
    }
}

/// Exactly the tensors a model asked for, all finite.
///
/// They are kept as they were stored and widened to f32 one at a time, as they are asked for.
#[derive(Clone, Debug)]
pub struct LoadedTensors {
    tensors: BTreeMap<String, RawTensor>,
    report: LoadReport,
}

impl LoadedTensors {
    /// What was done with every tensor of the file.
    pub fn report(&self) -> &LoadReport {
        &self.report
    }

    /// Names of the tensors that were not taken out yet, sorted.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.tensors.keys().map(String::as_str)
    }

    /// The elements of a tensor as f32, row-major.
    ///
    /// # Errors
    ///
    /// [`WeightsError::NoSuchTensor`] for a name that was not asked for or was already taken.
    pub fn tensor(&self, name: &str) -> Result<Vec<f32>> {
        Ok(widened(self.entry(name)?))
    }

    /// The shape of a tensor.
    ///
    /// # Errors
    ///
    /// As [`tensor`](Self::tensor).
    pub fn shape(&self, name: &str) -> Result<&[usize]> {
        Ok(&self.entry(name)?.shape)
    }

    /// Moves a tensor's elements out, so that its memory is free once they are packed.
    ///
    /// # Errors
    ///
    /// As [`tensor`](Self::tensor).
    pub fn take(&mut self, name: &str) -> Result<Vec<f32>> {
        Ok(self.take_stored(name)?.to_f32())
    }

    /// As [`take`](Self::take), as it was stored: what widens it need not hold the rest.
    ///
    /// # Errors
    ///
    /// As [`tensor`](Self::tensor).
    pub fn take_stored(&mut self, name: &str) -> Result<StoredTensor> {
        Ok(self.tensors.remove(name).map(StoredTensor).ok_or_else(|| self.no_such(name))?)
    }

    fn entry(&self, name: &str) -> Result<&RawTensor, WeightsError> {
        self.tensors.get(name).ok_or_else(|| self.no_such(name))
    }

    fn no_such(&self, name: &str) -> WeightsError {
        let near = match nearest(name, self.names()) {
            Some(near) => format!("; did you mean {}?", quoted(&near)),
            None => String::new(),
        };
        WeightsError::NoSuchTensor { name: quoted(name), near }
    }
}

/// One tensor, as the file stored it.
#[derive(Clone, Debug)]
pub struct StoredTensor(RawTensor);

impl StoredTensor {
    /// Its elements as f32, row-major.
    pub fn to_f32(&self) -> Vec<f32> {
        widened(&self.0)
    }
}

/// What strict loading lets pass, and what it adds when it refuses.
pub struct LoadRules<'a> {
    /// Why a tensor that was not asked for may be there all the same, by its name; `None` where it may
    /// not. It is left out, and the reason stands in [`LoadReport::ignored`].
    pub may_ignore: &'a dyn Fn(&str) -> Option<&'static str>,
    /// What the file and the model seem to be, and what to do, for [`Mismatch::diagnosis`].
    pub diagnosis: &'a dyn Fn(&Checkpoint, &Mismatch) -> String,
}

impl Default for LoadRules<'_> {
    /// Nothing passes, and nothing is added.
    fn default() -> Self {
        Self { may_ignore: &|_| None, diagnosis: &|_, _| String::new() }
    }
}

impl Checkpoint {
    /// Takes exactly the tensors of a model out of the checkpoint, as f32.
    ///
    /// # Errors
    ///
    /// [`WeightsError::Mismatch`] lists every missing, unexpected and mis-shaped tensor at once.
    /// [`WeightsError::UnsupportedDtype`] and [`WeightsError::NotFinite`] name the first tensor that
    /// is not finite f32, f16 or bf16.
    pub fn load(self, expected: &[ExpectedTensor]) -> Result<LoadedTensors> {
        self.load_with(expected, &LoadRules::default())
    }

    /// As [`load`](Self::load), with rules of the model's own.
    ///
    /// # Errors
    ///
    /// As [`load`](Self::load).
    pub fn load_with(
        self,
        expected: &[ExpectedTensor],
        rules: &LoadRules<'_>,
    ) -> Result<LoadedTensors> {
        let wanted: Shapes<'_> =
            expected.iter().map(|tensor| (tensor.name.as_str(), tensor.shape.as_slice())).collect();
        self.check_against(&wanted, rules)?;

        let path = self.path().to_path_buf();
        let mut report = LoadReport {
            naming: self.naming(),
            applied: Vec::with_capacity(wanted.len()),
            ignored: self.ignored().to_vec(),
            renamed: Vec::new(),
        };
        let mut entries = Vec::with_capacity(wanted.len());
        for (name, entry) in self.into_entries() {
            if wanted.contains_key(name.as_str()) {
                entries.push((name, entry));
            } else if let Some(reason) = (rules.may_ignore)(&name) {
                report.ignored.push(Ignored { stored_name: entry.stored_name, reason });
            }
        }
        let checks: Vec<_> =
            entries.par_iter().map(|(_, entry)| check_finite(&path, entry)).collect();
        checks.into_iter().collect::<Result<(), _>>()?;
        let mut tensors = BTreeMap::new();
        for (name, Entry { stored_name, raw }) in entries {
            if stored_name != name {
                report.renamed.push((stored_name, name.clone()));
            }
            report.applied.push(name.clone());
            tensors.insert(name, raw);
        }
        Ok(LoadedTensors { tensors, report })
    }

    /// Compares names and shapes only.
    fn check_against(
        &self,
        wanted: &Shapes<'_>,
        rules: &LoadRules<'_>,
    ) -> Result<(), WeightsError> {
        let found = self.shapes();
        let unmatched = |name: &str, shape: &[usize]| Unmatched {
            name: name.to_string(),
            shape: shape.to_vec(),
            near: None,
        };
        let mut mismatch = Mismatch::default();
        for (&name, &expected) in wanted {
            match found.get(name) {
                None => mismatch.missing.push(unmatched(name, expected)),
                Some(&shape) if shape != expected => mismatch.mis_shaped.push(MisShaped {
                    name: name.to_string(),
                    expected: expected.to_vec(),
                    found: shape.to_vec(),
                }),
                Some(_) => {}
            }
        }
        let extra = found
            .iter()
            .filter(|(name, _)| !wanted.contains_key(**name) && (rules.may_ignore)(name).is_none());
        mismatch.unexpected.extend(extra.map(|(name, shape)| unmatched(name, shape)));
        if mismatch.is_empty() {
            return Ok(());
        }
        mismatch.find_near_names();
        mismatch.diagnosis = (rules.diagnosis)(self, &mismatch);
        let path = self.path().to_path_buf();
        Err(WeightsError::Mismatch { path, mismatch: Box::new(mismatch) })
    }
}

/// The elements of a tensor that [`check_finite`] has passed.
pub(crate) fn widened(raw: &RawTensor) -> Vec<f32> {
    decode_f32(raw.dtype, &raw.bytes).expect("a type that was checked when it was loaded")
}

/// Refuses what is not f32, f16 or bf16, NaN and infinity.
fn check_finite(path: &Path, entry: &Entry) -> Result<(), WeightsError> {
    /// Bytes that are widened at a time, to be in cache when they are looked at.
    const BLOCK: usize = 1 << 14;
    let Entry { stored_name, raw } = entry;
    let (path, tensor) = (|| path.to_path_buf(), || quoted(stored_name));
    let unsupported = || {
        let dtype = raw.dtype.to_string();
        WeightsError::UnsupportedDtype { path: path(), tensor: tensor(), dtype }
    };
    // Also for a tensor without elements.
    decode_f32(raw.dtype, &[]).ok_or_else(unsupported)?;
    let mut before = 0;
    for bytes in raw.bytes.chunks(BLOCK) {
        let elements = decode_f32(raw.dtype, bytes).ok_or_else(unsupported)?;
        if let Some(index) = first_not_finite(&elements) {
            let (value, index) = (elements[index], before + index);
            return Err(WeightsError::NotFinite { path: path(), tensor: tensor(), index, value });
        }
        before += elements.len();
    }
    Ok(())
}
