//! A checkpoint in memory, whatever container it came in.

use std::collections::BTreeMap;
use std::io::Read;
use std::path::{Path, PathBuf};

use crate::dtype::decode_f32;
use crate::error::{Result, WeightsError};
use crate::nearest::nearest;
use crate::pth;
use crate::report::Ignored;
use crate::safetensors_read;
use crate::source::HashedSource;
use crate::tensor::{RawTensor, TensorInfo};
use crate::text::quoted;
use crate::wrappers;

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
pub(crate) const SOURCE_SHA256_KEY: &str = "source_sha256";

/// Shapes by name, outermost side first.
pub type Shapes<'a> = BTreeMap<&'a str, &'a [usize]>;

/// A checkpoint: its tensors, metadata and hash.
///
/// A tensor's name is the one it is stored under without the prefixes that wrappers put in front of
/// every name (`module.`, `_orig_mod.`, `model.`); [`rename`](Self::rename) gives it another.
///
/// ```no_run
/// let checkpoint = retinanet_checkpoint::Checkpoint::open("model.pth")?;
/// println!("{} {}", checkpoint.format(), checkpoint.sha256());
/// for tensor in checkpoint.tensors() {
///     println!("{} {} {:?}", tensor.name, tensor.dtype, tensor.shape);
/// }
/// # Ok::<(), retinanet_checkpoint::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Checkpoint {
    path: PathBuf,
    format: Format,
    sha256: String,
    file_size: u64,
    naming: &'static str,
    metadata: BTreeMap<String, String>,
    tensors: BTreeMap<String, Entry>,
    ignored: Vec<Ignored>,
}

/// A tensor under its name.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    pub(crate) stored_name: String,
    pub(crate) raw: RawTensor,
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
    pub fn open(path: impl AsRef<Path>) -> Result<Self> {
        Ok(Self::read(HashedSource::open(path.as_ref())?)?)
    }

    /// Reads a checkpoint that is already in memory; `name` stands for the path in messages.
    ///
    /// # Errors
    ///
    /// As [`open`](Self::open).
    pub fn from_bytes(name: impl AsRef<Path>, bytes: &[u8]) -> Result<Self> {
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
                Format::PthZip => pth::read_zip(&start),
                _ => pth::read_legacy(&start),
            };
            let contents = contents.map_err(|fault| fault.of(&path))?;
            (contents.tensors, BTreeMap::new(), contents.not_tensors)
        };
        let sha256 = source.finish()?;
        let wrapper = wrappers::common(tensors.keys().map(String::as_str));
        let unwrapped = |(stored_name, raw): (String, RawTensor)| {
            (stored_name[wrapper.len()..].to_owned(), Entry { stored_name, raw })
        };
        Ok(Self {
            naming: "as stored",
            tensors: tensors.into_iter().map(unwrapped).collect(),
            ignored: not_tensors
                .into_iter()
                .map(|stored_name| Ignored { stored_name, reason: "not a tensor" })
                .collect(),
            path,
            format,
            sha256,
            file_size,
            metadata,
        })
    }

    /// Gives its tensors other names.
    ///
    /// `rename` answers a tensor's name with its new one, or with the reason why the tensor is left
    /// out, which [`ignored`](Self::ignored) shows then. `naming` is what the spelling found in the
    /// file is called, for [`naming`](Self::naming).
    ///
    /// # Errors
    ///
    /// [`WeightsError::NameCollision`] when two tensors get the same name.
    pub fn rename(
        mut self,
        naming: &'static str,
        rename: impl Fn(&str) -> Result<String, &'static str>,
    ) -> Result<Self> {
        self.naming = naming;
        for (name, entry) in std::mem::take(&mut self.tensors) {
            let name = match rename(&name) {
                Ok(name) => name,
                Err(reason) => {
                    self.ignored.push(Ignored { stored_name: entry.stored_name, reason });
                    continue;
                }
            };
            if let Some(first) = self.tensors.get(&name) {
                return Err(WeightsError::NameCollision {
                    path: self.path,
                    first: quoted(&first.stored_name),
                    second: quoted(&entry.stored_name),
                    name: quoted(&name),
                }
                .into());
            }
            self.tensors.insert(name, entry);
        }
        Ok(self)
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

    /// The sha256 of the file it was [converted](crate::convert) from, if its metadata says so.
    pub fn source_sha256(&self) -> Option<&str> {
        self.metadata.get(SOURCE_SHA256_KEY).map(String::as_str)
    }

    /// The file's size in bytes.
    pub fn file_size(&self) -> u64 {
        self.file_size
    }

    /// What the spelling of its stored names is called: `as stored` unless [`rename`](Self::rename) said
    /// otherwise.
    pub fn naming(&self) -> &'static str {
        self.naming
    }

    /// The safetensors metadata; empty for `.pth`.
    pub fn metadata(&self) -> &BTreeMap<String, String> {
        &self.metadata
    }

    /// Its tensors by name.
    pub fn tensors(&self) -> impl ExactSizeIterator<Item = TensorInfo> {
        self.tensors.iter().map(|(name, entry)| TensorInfo {
            name: name.clone(),
            stored_name: entry.stored_name.clone(),
            dtype: entry.raw.dtype,
            shape: entry.raw.shape.clone(),
        })
    }

    /// Parts of the file that are left out, and why.
    pub fn ignored(&self) -> &[Ignored] {
        &self.ignored
    }

    /// One tensor as f32, row-major, by name; NaN and infinity are passed on.
    ///
    /// # Errors
    ///
    /// [`WeightsError::NoSuchTensor`], or [`WeightsError::UnsupportedDtype`] for anything but f32,
    /// f16 and bf16: f64 and integers would be rounded.
    pub fn tensor_f32(&self, name: &str) -> Result<Vec<f32>> {
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

    /// The shapes of its tensors by name.
    pub fn shapes(&self) -> Shapes<'_> {
        self.tensors.iter().map(|(name, e)| (name.as_str(), e.raw.shape.as_slice())).collect()
    }

    /// Tensors by name.
    pub(crate) fn entries(&self) -> &BTreeMap<String, Entry> {
        &self.tensors
    }

    /// Moves the tensors out, by name.
    pub(crate) fn into_entries(self) -> BTreeMap<String, Entry> {
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
