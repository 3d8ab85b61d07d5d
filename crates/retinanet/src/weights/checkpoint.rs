//! A checkpoint whose tensors have torchvision's names.

use std::ops::Deref;
use std::path::Path;

use retinanet_checkpoint::{Checkpoint as File, ExpectedTensor, LoadRules, LoadedTensors};

use super::identity::{CONFIG_KEY, IdentifiedAs, Identity, diagnosis, published_eps};
use super::names::Naming;
use crate::error::{IdentityError, Result};

/// A detector's checkpoint: a [file of tensors](retinanet_checkpoint::Checkpoint) whose names are
/// translated to torchvision's current ones.
///
/// ```no_run
/// # fn main() -> retinanet::Result<()> {
/// let checkpoint = retinanet::weights::Checkpoint::open("model.pth")?;
/// println!("{} {}", checkpoint.sha256(), checkpoint.identity());
/// for tensor in checkpoint.tensors() {
///     println!("{} {} {:?}", tensor.name, tensor.dtype, tensor.shape);
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Checkpoint {
    file: File,
    naming: Naming,
}

/// What can be asked of any file of tensors can be asked of this one.
impl Deref for Checkpoint {
    type Target = File;

    fn deref(&self) -> &File {
        &self.file
    }
}

impl Checkpoint {
    /// Reads a safetensors or `.pth` file, whichever its content shows it to be.
    ///
    /// # Errors
    ///
    /// Those of [`retinanet_checkpoint::Checkpoint::open`], and a
    /// [`NameCollision`](retinanet_checkpoint::WeightsError::NameCollision) of translated names.
    pub fn open(path: impl AsRef<Path>) -> Result<Self> {
        Self::translated(File::open(path)?)
    }

    /// Reads a checkpoint that is already in memory; `name` stands for the path in messages.
    ///
    /// # Errors
    ///
    /// As [`open`](Self::open).
    pub fn from_bytes(name: impl AsRef<Path>, bytes: &[u8]) -> Result<Self> {
        Self::translated(File::from_bytes(name, bytes)?)
    }

    fn translated(file: File) -> Result<Self> {
        let naming = Naming::recognise(file.shapes().keys().copied());
        let file = file.rename(naming.as_str(), |name| naming.translate(name))?;
        Ok(Self { file, naming })
    }

    /// The spelling its tensor names were recognised as.
    pub fn naming(&self) -> Naming {
        self.naming
    }

    /// What the checkpoint is, told from its names, shapes and metadata.
    pub fn identity(&self) -> Identity {
        Identity::of(&self.file)
    }

    /// The batch-norm eps that belongs to these weights.
    ///
    /// No weights file stores it as a tensor. In order: what its own metadata says (`config`), what
    /// `stated` says (a manifest, say), what is known of files that torchvision publishes, and 1e-5 for a
    /// `retinanet_resnet50_fpn_v2`, whose norm is never frozen.
    ///
    /// # Errors
    ///
    /// [`IdentityError::UnknownBatchNormEps`] when none of these says it: guessing would give
    /// detections that are slightly wrong everywhere.
    pub fn batch_norm_eps(&self, stated: Option<f64>) -> Result<f64> {
        if let Some(eps) = self.own_eps().or(stated).or_else(|| self.published_eps()) {
            return Ok(eps);
        }
        let identity = self.identity();
        match identity.architecture {
            IdentifiedAs::RetinanetResnet50FpnV2 => Ok(1e-5),
            _ => Err(IdentityError::UnknownBatchNormEps {
                path: self.path().to_path_buf(),
                reason: format!("it is {identity}, and its hash is not that of a published file"),
            }
            .into()),
        }
    }

    /// Checks that the file does not contradict a batch-norm eps that its user states.
    ///
    /// # Errors
    ///
    /// [`IdentityError::OtherBatchNormEps`] if its own metadata, or what is known of a file that
    /// torchvision publishes, says another.
    pub fn check_batch_norm_eps(&self, stated: f64) -> Result<()> {
        let known = [
            (self.own_eps(), "its own configuration"),
            (self.published_eps(), "the one who published it (it is known by its hash)"),
        ];
        for (known, known_from) in known {
            if let Some(known) = known.filter(|&known| known != stated) {
                let path = self.path().to_path_buf();
                return Err(
                    IdentityError::OtherBatchNormEps { path, stated, known, known_from }.into()
                );
            }
        }
        Ok(())
    }

    /// What its own metadata says, in either of the two forms that a configuration has.
    fn own_eps(&self) -> Option<f64> {
        let config = self.metadata().get(CONFIG_KEY)?;
        let config = serde_json::from_str::<serde_json::Value>(config).ok()?;
        let forms = ["/backbone/norm_eps", "/model/backbone/batch_norm/eps"];
        forms.iter().find_map(|form| config.pointer(form)?.as_f64())
    }

    /// What is known of the file by its hash.
    fn published_eps(&self) -> Option<f64> {
        self.hashes().find_map(published_eps)
    }

    /// Its sha256, and that of the file it was converted from.
    pub(crate) fn hashes(&self) -> impl Iterator<Item = &str> {
        [Some(self.sha256()), self.source_sha256()].into_iter().flatten()
    }

    /// Refuses a RetinaNet of another framework.
    ///
    /// # Errors
    ///
    /// [`IdentityError::OtherFramework`].
    pub(crate) fn check_framework(&self) -> Result<()> {
        match self.identity().architecture {
            IdentifiedAs::OtherFramework(framework) => Err(IdentityError::OtherFramework {
                path: self.path().to_path_buf(),
                framework: framework.as_str(),
                differences: framework.differences(),
            }
            .into()),
            _ => Ok(()),
        }
    }

    /// Writes it as safetensors with torchvision's names, and with a configuration in its metadata, so
    /// that it describes itself.
    pub(crate) fn save_described(&self, output: impl AsRef<Path>, config: String) -> Result<()> {
        Ok(self.file.save_with(output, [(CONFIG_KEY.to_owned(), config)])?)
    }

    /// Takes exactly the tensors of a model out of the checkpoint, as f32.
    ///
    /// Batch norm's `num_batches_tracked` may be there or not; it says nothing about inference.
    ///
    /// # Errors
    ///
    /// Those of [`retinanet_checkpoint::Checkpoint::load_with`]; a mismatch also says what the file
    /// seems to be. [`IdentityError::OtherFramework`] for a RetinaNet that is not torchvision's.
    pub fn load(self, expected: &[ExpectedTensor]) -> Result<LoadedTensors> {
        self.check_framework()?;
        let rules = LoadRules {
            may_ignore: &|name| {
                let counter = name.ends_with(".num_batches_tracked");
                counter.then_some("batch norm's step counter, unused in inference")
            },
            diagnosis: &|file, mismatch| diagnosis(file, expected, mismatch),
        };
        Ok(self.file.load_with(expected, &rules)?)
    }
}
