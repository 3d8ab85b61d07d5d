//! Writing safetensors, whole or not at all.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::Path;

use safetensors::tensor::{Metadata, TensorInfo as Entry};

use crate::dtype::{StoredDtype, element_count};
use crate::error::{Result, WeightsError};
use crate::files::write_atomically;
use crate::text::quoted;

/// A tensor to be written: row-major little-endian `bytes`.
#[derive(Clone, Copy, Debug)]
pub struct TensorData<'a> {
    /// Its name.
    pub name: &'a str,
    /// Its element type.
    pub dtype: StoredDtype,
    /// Its shape, outermost side first.
    pub shape: &'a [usize],
    /// Its elements.
    pub bytes: &'a [u8],
}

/// Writes tensors and metadata to a safetensors file that appears complete or not at all.
///
/// Tensors are ordered as the safetensors crate orders them (widest element first, then by name)
/// and metadata by key, so equal content gives equal bytes. (The crate's own writer leaves the
/// order of metadata to a hash map.)
///
/// # Errors
///
/// [`WeightsError::InvalidOutput`] for a repeated name or bytes that do not fit the shape;
/// [`WriteError`](crate::WriteError) when the file cannot be written; the old file, if any, then stays.
pub fn save_safetensors(
    path: impl AsRef<Path>,
    tensors: &[TensorData<'_>],
    metadata: &BTreeMap<String, String>,
) -> Result<()> {
    let path = path.as_ref();
    let mut tensors = tensors.to_vec();
    tensors.sort_by(|a, b| {
        (b.dtype.to_safetensors().cmp(&a.dtype.to_safetensors())).then(a.name.cmp(b.name))
    });
    let header = header(&tensors, metadata)
        .map_err(|reason| WeightsError::InvalidOutput { path: path.into(), reason })?;
    Ok(write_atomically(path, |out| {
        out.write_all(&(header.len() as u64).to_le_bytes())?;
        out.write_all(header.as_bytes())?;
        tensors.iter().try_for_each(|tensor| out.write_all(tensor.bytes))
    })?)
}

fn header(
    tensors: &[TensorData<'_>],
    metadata: &BTreeMap<String, String>,
) -> Result<String, String> {
    let json = |e: serde_json::Error| e.to_string();
    let mut fields = Vec::with_capacity(tensors.len() + 1);
    if !metadata.is_empty() {
        fields.push(format!("\"__metadata__\":{}", serde_json::to_string(metadata).map_err(json)?));
    }
    let mut names = std::collections::BTreeSet::from(["__metadata__"]);
    let mut offset = 0;
    for tensor in tensors {
        if !names.insert(tensor.name) {
            return Err(format!("the name {} is given twice or reserved", quoted(tensor.name)));
        }
        let bytes = element_count(tensor.shape).and_then(|n| n.checked_mul(tensor.dtype.size()));
        if bytes != Some(tensor.bytes.len()) {
            return Err(format!(
                "tensor {} of {} and shape {:?} cannot have {} bytes",
                quoted(tensor.name),
                tensor.dtype,
                tensor.shape,
                tensor.bytes.len()
            ));
        }
        let end = offset + tensor.bytes.len();
        let entry = Entry {
            dtype: tensor.dtype.to_safetensors(),
            shape: tensor.shape.to_vec(),
            data_offsets: (offset, end),
        };
        offset = end;
        let name = serde_json::to_string(tensor.name).map_err(json)?;
        fields.push(format!("{name}:{}", serde_json::to_string(&entry).map_err(json)?));
    }
    let mut header = format!("{{{}}}", fields.join(","));
    // The data starts at a multiple of eight; the format pads with spaces.
    header.push_str(&" ".repeat(header.len().next_multiple_of(8) - header.len()));
    // The crate's validation is the judge of what it will read back.
    serde_json::from_str::<Metadata>(&header).map_err(json)?;
    Ok(header)
}
