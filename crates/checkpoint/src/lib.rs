//! Tensors in files: PyTorch's `.pth` and safetensors, read without executing anything, loaded strictly,
//! fetched by manifest, and hashed.
//!
//! ```
//! use std::collections::BTreeMap;
//! use retinanet_checkpoint::{Checkpoint, ExpectedTensor, StoredDtype, TensorData, convert, save_safetensors};
//!
//! # let folder = std::env::temp_dir().join(format!("retinanet-checkpoint-{}", std::process::id()));
//! # std::fs::create_dir_all(&folder)?;
//! # let [mine, copy] = ["mine.safetensors", "copy.safetensors"].map(|name| folder.join(name));
//! // As a training script leaves it: every name behind a wrapper's `module.`
//! let bias = TensorData { name: "module.bias", dtype: StoredDtype::F16, shape: &[2], bytes: &[0, 0x3c, 0, 0xc0] };
//! save_safetensors(&mine, &[bias], &BTreeMap::new())?;
//!
//! let checkpoint = Checkpoint::open(&mine)?; // or a .pth: the content tells
//! for tensor in checkpoint.tensors() {
//!     println!("{} {} {:?}", tensor.name, tensor.dtype, tensor.shape); // bias F16 [2]
//! }
//! let mut loaded = checkpoint.load(&[ExpectedTensor::new("bias", [2])])?;
//! assert_eq!(loaded.take("bias")?, [1.0, -2.0]);
//!
//! let source = convert(&mine, &copy)?;
//! assert_eq!(Checkpoint::open(&copy)?.source_sha256(), Some(source.sha256()));
//! # std::fs::remove_dir_all(&folder)?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # What is where
//!
//! | what | for |
//! |---|---|
//! | [`Checkpoint`] | a file in memory: its tensors, metadata, hash; [renaming](Checkpoint::rename) |
//! | [`Checkpoint::load`], [`LoadRules`], [`LoadedTensors`] | exactly a model's tensors, as f32 or as candle's `VarBuilder` |
//! | [`convert`], [`save_safetensors`] | writing safetensors whose bytes depend on their content alone |
//! | [`Manifest`], [`ManifestModel`] | checkpoints by name; what else a manifest says is typed by its user |
//! | [`fetch`], [`find_cached`], [`FetchOptions`] | the file of a manifest's entry, downloaded or found in a cache |
//! | [`files`] | files that appear whole or not at all |
//!
//! # Guarantees
//!
//! - Nothing in a file is executed. A pickle is read as plain values; a callable outside a fixed list of
//!   PyTorch's own is an error that names it.
//! - Memory is bounded by the file's size, whatever the file claims: at most its size for safetensors,
//!   five times its size for a `.pth`.
//! - A file is read once, front to back, and its sha256 is that of the very bytes that are kept.
//! - Loading is strict: every tensor of the model, each in its shape, all finite, and nothing
//!   unexplained beside them; otherwise one error lists every difference.
//! - A download gets its name once its size and hash are right. Only https is opened (http on the
//!   loopback), tokens stay with their host, and what broke off is resumed.
//!
//! # Features
//!
//! `candle`: [`LoadedTensors`] as a `VarBuilder`. `fetch` (on by default): the network
//! client; without it [`fetch`] still finds what is on this machine.

mod checkpoint;
mod convert;
mod dtype;
pub mod error;
mod fetch;
pub mod files;
mod loading;
mod manifest;
mod nearest;
mod pickle;
mod pth;
mod report;
mod safetensors_read;
mod safetensors_write;
mod source;
mod tensor;
#[cfg(test)]
mod tests;
mod text;
mod url;
#[cfg(feature = "candle")]
mod var_builder;
mod wrappers;

pub use checkpoint::{Checkpoint, Format, Shapes};
pub use convert::convert;
pub use dtype::{StoredDtype, first_not_finite};
pub use error::{
    Error, FetchError, MisShaped, Mismatch, Result, Unmatched, WeightsError, WriteError,
};
pub use fetch::{
    Content, DEFAULT_ENDPOINT, FetchOptions, FetchedFile, Found, Pin, Progress, Token, fetch,
    fetch_content, find_cached,
};
pub use loading::{ExpectedTensor, LoadRules, LoadedTensors, StoredTensor};
pub use manifest::{
    ExpectedSha256, Location, Manifest, ManifestEntry, ManifestModel, NoModel, Source, SourceFormat,
};
pub use report::{Ignored, LoadReport};
pub use safetensors_write::{TensorData, save_safetensors};
pub use tensor::TensorInfo;
pub use url::SafeUrl;
