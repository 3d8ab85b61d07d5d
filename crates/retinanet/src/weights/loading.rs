//! Strict loading: every tensor the model needs, each in its shape, and nothing unexplained.

use std::collections::{BTreeMap, BTreeSet};

use super::WeightsError;
use super::checkpoint::Checkpoint;
use super::dtype::decode_f32;
use super::error::quoted;
use super::identity::{IdentifiedAs, Identity};
use super::report::{LoadReport, MisShaped, Mismatch, Unmatched, nearest};

/// A tensor a model needs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExpectedTensor {
    /// Its name in torchvision's current spelling.
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

/// Exactly the tensors a model asked for, as finite f32 in row-major order.
#[derive(Clone, Debug)]
pub struct LoadedTensors {
    tensors: BTreeMap<String, (Vec<usize>, Vec<f32>)>,
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

    /// The elements of a tensor, row-major.
    ///
    /// # Errors
    ///
    /// [`WeightsError::NoSuchTensor`] for a name that was not asked for or was already taken.
    pub fn tensor(&self, name: &str) -> crate::Result<&[f32]> {
        Ok(&self.entry(name)?.1)
    }

    /// The shape of a tensor.
    ///
    /// # Errors
    ///
    /// As [`tensor`](Self::tensor).
    pub fn shape(&self, name: &str) -> crate::Result<&[usize]> {
        Ok(&self.entry(name)?.0)
    }

    /// Moves a tensor's elements out, so that its memory is free once they are packed.
    ///
    /// # Errors
    ///
    /// As [`tensor`](Self::tensor).
    pub fn take(&mut self, name: &str) -> crate::Result<Vec<f32>> {
        match self.tensors.remove(name) {
            Some((_, elements)) => Ok(elements),
            None => Err(self.no_such(name).into()),
        }
    }

    fn entry(&self, name: &str) -> Result<&(Vec<usize>, Vec<f32>), WeightsError> {
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

impl Checkpoint {
    /// Takes exactly the tensors of a model out of the checkpoint, as f32.
    ///
    /// Batch norm's `num_batches_tracked` may be there or not; it says nothing about inference.
    ///
    /// # Errors
    ///
    /// [`WeightsError::Mismatch`] lists every missing, unexpected and mis-shaped tensor at once and
    /// says what the file seems to be. [`WeightsError::UnsupportedDtype`] and
    /// [`WeightsError::NotFinite`] name the first tensor that is not finite f32, f16 or bf16.
    pub fn load(mut self, expected: &[ExpectedTensor]) -> crate::Result<LoadedTensors> {
        let wanted: BTreeMap<&str, &[usize]> =
            expected.iter().map(|tensor| (tensor.name.as_str(), tensor.shape.as_slice())).collect();
        self.check_against(&wanted)?;

        let path = self.path().to_path_buf();
        let mut report = LoadReport {
            naming: self.naming(),
            applied: Vec::with_capacity(wanted.len()),
            ignored: self.ignored().to_vec(),
            renamed: Vec::new(),
        };
        let mut tensors = BTreeMap::new();
        while let Some((name, entry)) = self.pop_tensor() {
            if !wanted.contains_key(name.as_str()) {
                report.ignored.push(super::report::Ignored {
                    stored_name: entry.stored_name,
                    reason: "batch norm's step counter, unused in inference",
                });
                continue;
            }
            let raw = entry.raw;
            let elements = decode_f32(raw.dtype, &raw.bytes).ok_or_else(|| {
                let (tensor, dtype) = (quoted(&entry.stored_name), raw.dtype.to_string());
                WeightsError::UnsupportedDtype { path: path.clone(), tensor, dtype }
            })?;
            if let Some(index) = elements.iter().position(|element| !element.is_finite()) {
                let (tensor, value) = (quoted(&entry.stored_name), elements[index]);
                return Err(WeightsError::NotFinite { path, tensor, index, value }.into());
            }
            if entry.stored_name != name {
                report.renamed.push((entry.stored_name, name.clone()));
            }
            report.applied.push(name.clone());
            tensors.insert(name, (raw.shape, elements));
        }
        Ok(LoadedTensors { tensors, report })
    }

    /// Compares names and shapes only.
    fn check_against(&self, wanted: &BTreeMap<&str, &[usize]>) -> Result<(), WeightsError> {
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
        let extra = found.iter().filter(|(name, _)| {
            !wanted.contains_key(**name) && !name.ends_with(".num_batches_tracked")
        });
        mismatch.unexpected.extend(extra.map(|(name, shape)| unmatched(name, shape)));
        if mismatch.is_empty() {
            return Ok(());
        }
        mismatch.find_near_names();
        mismatch.diagnosis = self.diagnose(&mismatch, wanted);
        let path = self.path().to_path_buf();
        Err(WeightsError::Mismatch { path, mismatch: Box::new(mismatch) })
    }

    fn diagnose(&self, mismatch: &Mismatch, wanted: &BTreeMap<&str, &[usize]>) -> String {
        let file = self.identity();
        let model = Identity::of(wanted, false);
        let logits = BTreeSet::from([
            "head.classification_head.cls_logits.bias",
            "head.classification_head.cls_logits.weight",
        ]);
        let only_logits = mismatch.missing.is_empty()
            && mismatch.unexpected.is_empty()
            && mismatch.mis_shaped.iter().all(|tensor| logits.contains(tensor.name.as_str()));
        if let (true, Some(in_file), Some(in_model)) =
            (only_logits, file.num_classes, model.num_classes)
            && in_file != in_model
        {
            return format!(
                "The file has {in_file} classes (the background counts), the model {in_model}: \
                 set num_classes to {in_file}, or give weights trained for {in_model}"
            );
        }
        let known =
            |identity: &Identity| !matches!(identity.architecture, IdentifiedAs::Unknown { .. });
        if known(&file) && file.architecture != model.architecture {
            return format!(
                "The file is {file}, the model is {model}: choose the architecture of the file"
            );
        }
        format!(
            "The file looks like {file}, the model like {model}: check that they belong together"
        )
    }
}
