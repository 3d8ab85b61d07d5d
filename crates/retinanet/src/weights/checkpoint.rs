//! A checkpoint in memory, whatever container it came in.

use std::collections::BTreeMap;
use std::io::Read;
use std::path::{Path, PathBuf};

use super::WeightsError;
use super::dtype::decode_f32;
use super::error::quoted;
use super::identity::{CONFIG_KEY, IdentifiedAs, Identity, published_eps};
use super::names::{Naming, Renaming};
use super::pth;
use super::report::{Ignored, nearest};
use super::safetensors_read;
use super::source::HashedSource;
use super::tensor::{RawTensor, TensorInfo};

/// The container of a checkpoint, told from its first bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Format {
    /// safetensors.
    Safetensors,
    /// PyTorch's zip container.
    PthZip,
    /// PyTorch's stream from before 2020.
    PthLegacy,
}

impl std::fmt::Display for Format {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Safetensors => "safetensors",
            Self::PthZip => "pth (zip)",
            Self::PthLegacy => "pth (pre-2020)",
        })
    }
}

/// Metadata key under which a converted file keeps the sha256 of what it was converted from.
pub(super) const SOURCE_SHA256_KEY: &str = "source_sha256";

/// A checkpoint: its tensors, metadata and hash.
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
    path: PathBuf,
    format: Format,
    sha256: String,
    file_size: u64,
    naming: Naming,
    metadata: BTreeMap<String, String>,
    tensors: BTreeMap<String, Entry>,
    ignored: Vec<Ignored>,
}

/// A tensor under its canonical name.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    pub(super) stored_name: String,
    pub(super) raw: RawTensor,
}

impl Checkpoint {
    /// Reads a safetensors or `.pth` file, whichever its content shows it to be.
    ///
    /// The file is read once, front to back, and the sha256 is that of the very bytes kept. Memory
    /// is at most the file's size for safetensors and five times it for a `.pth`, whatever the file
    /// claims.
    ///
    /// # Errors
    ///
    /// A [`WeightsError`] that names the file and what is wrong with it.
    pub fn open(path: impl AsRef<Path>) -> crate::Result<Self> {
        Ok(Self::read(HashedSource::open(path.as_ref())?)?)
    }

    /// Reads a checkpoint that is already in memory; `name` stands for the path in messages.
    ///
    /// # Errors
    ///
    /// As [`open`](Self::open).
    pub fn from_bytes(name: impl AsRef<Path>, bytes: &[u8]) -> crate::Result<Self> {
        Ok(Self::read(HashedSource::new(name.as_ref(), bytes, bytes.len() as u64)?)?)
    }

    fn read<R: Read>(mut source: HashedSource<R>) -> Result<Self, WeightsError> {
        let path = source.path().to_path_buf();
        let file_size = source.length();
        let mut start = Vec::new();
        source.append(&mut start, file_size.min(10))?;
        if start.first() == Some(&0x80) {
            source.append(&mut start, source.remaining().min(4))?;
        }
        let format = detect(&start)
            .map_err(|reason| WeightsError::UnknownFormat { path: path.clone(), reason })?;
        let (tensors, metadata, not_tensors) = if format == Format::Safetensors {
            let (tensors, metadata) = safetensors_read::read(&mut source, start)?;
            (tensors, metadata, Vec::new())
        } else {
            source.append(&mut start, source.remaining())?;
            let contents = match format {
                Format::PthZip => pth::read_zip(&path, &start)?,
                _ => pth::read_legacy(&path, &start)?,
            };
            (contents.tensors, BTreeMap::new(), contents.not_tensors)
        };
        let sha256 = source.finish()?;
        let mut checkpoint = Self {
            naming: Naming::Unrecognised,
            tensors: BTreeMap::new(),
            ignored: not_tensors
                .into_iter()
                .map(|stored_name| Ignored { stored_name, reason: "not a tensor" })
                .collect(),
            path,
            format,
            sha256,
            file_size,
            metadata,
        };
        checkpoint.rename(tensors)?;
        Ok(checkpoint)
    }

    /// Translates stored names to canonical ones.
    fn rename(&mut self, stored: BTreeMap<String, RawTensor>) -> Result<(), WeightsError> {
        let renaming = Renaming::recognise(stored.keys().map(String::as_str));
        self.naming = renaming.naming;
        for (stored_name, raw) in stored {
            let name = match renaming.apply(&stored_name) {
                Ok(name) => name,
                Err(reason) => {
                    self.ignored.push(Ignored { stored_name, reason });
                    continue;
                }
            };
            if let Some(first) = self.tensors.get(&name) {
                return Err(WeightsError::NameCollision {
                    path: self.path.clone(),
                    first: quoted(&first.stored_name),
                    second: quoted(&stored_name),
                    name: quoted(&name),
                });
            }
            self.tensors.insert(name, Entry { stored_name, raw });
        }
        Ok(())
    }

    /// The path it was read from, or the name given with its bytes.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The container it came in.
    pub fn format(&self) -> Format {
        self.format
    }

    /// The sha256 of the whole file, as 64 lower-case hex digits.
    pub fn sha256(&self) -> &str {
        &self.sha256
    }

    /// The file's size in bytes.
    pub fn file_size(&self) -> u64 {
        self.file_size
    }

    /// The spelling its tensor names were recognised as.
    pub fn naming(&self) -> Naming {
        self.naming
    }

    /// The safetensors metadata; empty for `.pth`.
    pub fn metadata(&self) -> &BTreeMap<String, String> {
        &self.metadata
    }

    /// Its tensors by canonical name.
    pub fn tensors(&self) -> impl ExactSizeIterator<Item = TensorInfo> {
        self.tensors.iter().map(|(name, entry)| TensorInfo {
            name: name.clone(),
            stored_name: entry.stored_name.clone(),
            dtype: entry.raw.dtype,
            shape: entry.raw.shape.clone(),
        })
    }

    /// Parts of the file that are not weights of a detector, and why.
    pub fn ignored(&self) -> &[Ignored] {
        &self.ignored
    }

    /// One tensor as f32, row-major, by canonical name; NaN and infinity are passed on.
    ///
    /// # Errors
    ///
    /// [`WeightsError::NoSuchTensor`], or [`WeightsError::UnsupportedDtype`] for anything but f32,
    /// f16 and bf16: f64 and integers would be rounded.
    pub fn tensor_f32(&self, name: &str) -> crate::Result<Vec<f32>> {
        let Some(Entry { raw, .. }) = self.tensors.get(name) else {
            let near = nearest(name, self.tensors.keys().map(String::as_str));
            let near = near.map(|near| format!("; did you mean {}?", quoted(&near)));
            let near = near.unwrap_or_default();
            return Err(WeightsError::NoSuchTensor { name: quoted(name), near }.into());
        };
        decode_f32(raw.dtype, &raw.bytes).ok_or_else(|| {
            let (path, tensor) = (self.path.clone(), quoted(name));
            WeightsError::UnsupportedDtype { path, tensor, dtype: raw.dtype.to_string() }.into()
        })
    }

    /// What the checkpoint is, told from its names, shapes and metadata.
    pub fn identity(&self) -> Identity {
        Identity::of(&self.shapes(), self.metadata.contains_key(CONFIG_KEY))
    }

    /// The batch-norm eps that belongs to these weights.
    ///
    /// No weights file stores it as a tensor. In order: what its own metadata says
    /// (`backbone.norm_eps` of `config`), what the caller states (from a manifest, say), what is
    /// known of files that torchvision publishes, and 1e-5 for a `retinanet_resnet50_fpn_v2`, whose
    /// norm is never frozen.
    ///
    /// # Errors
    ///
    /// [`WeightsError::UnknownBatchNormEps`] when none of these says it: guessing would give
    /// detections that are slightly wrong everywhere.
    pub fn batch_norm_eps(&self, stated: Option<f64>) -> crate::Result<f64> {
        let config = self.metadata.get(CONFIG_KEY);
        let config = config.and_then(|text| serde_json::from_str::<serde_json::Value>(text).ok());
        let own = config.as_ref().and_then(|config| config.pointer("/backbone/norm_eps")?.as_f64());
        let hashes = [Some(&self.sha256), self.metadata.get(SOURCE_SHA256_KEY)];
        let published = || hashes.into_iter().flatten().find_map(|hash| published_eps(hash));
        if let Some(eps) = own.or(stated).or_else(published) {
            return Ok(eps);
        }
        let identity = self.identity();
        match identity.architecture {
            IdentifiedAs::RetinanetResnet50FpnV2 => Ok(1e-5),
            _ => Err(WeightsError::UnknownBatchNormEps {
                path: self.path.clone(),
                reason: format!("it is {identity}, and its hash is not that of a published file"),
            }
            .into()),
        }
    }

    /// Shapes by canonical name.
    pub(super) fn shapes(&self) -> BTreeMap<&str, &[usize]> {
        self.tensors.iter().map(|(name, e)| (name.as_str(), e.raw.shape.as_slice())).collect()
    }

    /// Tensors by canonical name.
    pub(super) fn entries(&self) -> &BTreeMap<String, Entry> {
        &self.tensors
    }

    /// Moves the tensors out, by canonical name.
    pub(super) fn into_entries(self) -> BTreeMap<String, Entry> {
        self.tensors
    }
}

fn detect(start: &[u8]) -> Result<Format, String> {
    if start.starts_with(&pth::ZIP_SIGNATURE) {
        return Ok(Format::PthZip);
    }
    if pth::is_legacy(start) {
        return Ok(Format::PthLegacy);
    }
    // A length, then JSON.
    if start.get(8) == Some(&b'{') {
        return Ok(Format::Safetensors);
    }
    let told = match start {
        [b'<', ..] => "it looks like a web page, so the download address may be wrong",
        [b'v', b'e', b'r', b's', b'i', b'o', b'n', ..] => {
            "it looks like a Git LFS pointer; fetch the file itself"
        }
        [0x80, 2..=5, ..] => "it is a bare pickle; write it with torch.save",
        [0xff, 0xd8, ..] | [0x89, b'P', b'N', b'G', ..] => "it is an image",
        _ => "it begins with other bytes than such files do",
    };
    let shown: String = start.iter().map(|byte| format!("{byte:02x}")).collect();
    Err(format!("{told} (first bytes {shown})"))
}
