//! Converting any readable checkpoint to safetensors.

use std::path::Path;

use crate::checkpoint::{Checkpoint, SOURCE_SHA256_KEY};
use crate::error::Result;
use crate::safetensors_write::{TensorData, save_safetensors};

/// Reads a checkpoint in any container and writes it as safetensors.
///
/// Tensors keep their element type and bits, and their names but for wrappers'; what is no tensor is
/// left out (see [`Checkpoint::ignored`]). Metadata is kept, and `source_sha256` added, which tells a
/// published file also after conversion. Returns the checkpoint that was read. For other names,
/// [`Checkpoint::rename`] and then [`Checkpoint::save`].
///
/// # Errors
///
/// Those of [`Checkpoint::open`] and [`save_safetensors`].
pub fn convert(input: impl AsRef<Path>, output: impl AsRef<Path>) -> Result<Checkpoint> {
    let checkpoint = Checkpoint::open(input)?;
    checkpoint.save(output)?;
    Ok(checkpoint)
}

impl Checkpoint {
    /// Writes the checkpoint as safetensors, as [`convert`] does: under its tensors' names.
    ///
    /// # Errors
    ///
    /// Those of [`save_safetensors`].
    pub fn save(&self, output: impl AsRef<Path>) -> Result<()> {
        self.save_with(output, [])
    }

    /// As [`save`](Self::save), with more metadata; where a key is there already, its value is replaced.
    ///
    /// # Errors
    ///
    /// Those of [`save_safetensors`].
    pub fn save_with(
        &self,
        output: impl AsRef<Path>,
        more: impl IntoIterator<Item = (String, String)>,
    ) -> Result<()> {
        let tensors: Vec<TensorData<'_>> = self
            .entries()
            .iter()
            .map(|(name, entry)| TensorData {
                name,
                dtype: entry.raw.dtype,
                shape: &entry.raw.shape,
                bytes: &entry.raw.bytes,
            })
            .collect();
        let mut metadata = self.metadata().clone();
        // A second conversion keeps what the first one wrote.
        if !metadata.contains_key(SOURCE_SHA256_KEY) {
            metadata.insert(SOURCE_SHA256_KEY.into(), self.sha256().into());
            metadata.insert("source_format".into(), self.format().to_string());
        }
        metadata.entry("format".into()).or_insert_with(|| "pt".into());
        metadata.extend(more);
        save_safetensors(output, &tensors, &metadata)
    }
}
