//! Checkpoints: manifest, download, reading, renaming, strict loading.

mod checkpoint;
mod convert;
mod dtype;
mod error;
mod fetch;
mod fetch_error;
mod identity;
mod loading;
mod manifest;
mod names;
mod pickle;
mod pth;
mod report;
mod safetensors_read;
mod safetensors_write;
mod source;
mod tensor;
mod var_builder;

pub use checkpoint::{Checkpoint, Format};
pub use convert::convert;
pub use dtype::StoredDtype;
pub(crate) use dtype::first_not_finite;
pub use error::WeightsError;
pub use fetch::{
    DEFAULT_ENDPOINT, FetchOptions, FetchedFile, Found, Pin, Progress, SafeUrl, Token, fetch,
    find_cached,
};
pub use fetch_error::FetchError;
pub use identity::{IdentifiedAs, Identity};
pub use loading::{ExpectedTensor, LoadedTensors};
pub use manifest::{
    Architecture, BUILTIN_MANIFEST, ExpectedSha256, Location, Manifest, ManifestCategories,
    ManifestEntry, Reference, Source, SourceFormat,
};
pub use names::Naming;
pub use report::{Ignored, LoadReport, MisShaped, Mismatch, Unmatched};
pub use safetensors_write::{TensorData, save_safetensors};
pub use tensor::TensorInfo;
