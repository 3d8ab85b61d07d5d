//! Converting any readable checkpoint to safetensors with torchvision's names.

use std::path::Path;

use super::checkpoint::Checkpoint;
use crate::error::Result;

/// Reads a checkpoint in any container and writes it as safetensors.
///
/// Tensors keep their element type and bits and get torchvision's current names; parts that belong
/// to no detector are left out (see [`ignored`](retinanet_checkpoint::Checkpoint::ignored)). Metadata
/// is kept, and `source_sha256` added, which tells a published file also after conversion. Returns
/// the checkpoint that was read.
///
/// # Errors
///
/// Those of [`Checkpoint::open`] and [`save_safetensors`](retinanet_checkpoint::save_safetensors).
pub fn convert(input: impl AsRef<Path>, output: impl AsRef<Path>) -> Result<Checkpoint> {
    let checkpoint = Checkpoint::open(input)?;
    checkpoint.save(output)?;
    Ok(checkpoint)
}
