//! Checkpoints of detectors: known by name, fetched, read, translated to torchvision's names, identified,
//! loaded strictly.
//!
//! What is true of any tensors in files is in [`retinanet_checkpoint`]; what is needed of it to use
//! this crate is here too.

mod checkpoint;
mod convert;
mod framework;
mod identity;
mod manifest;
mod names;

pub use crate::error::IdentityError;
pub use checkpoint::Checkpoint;
pub use convert::convert;
pub use framework::Framework;
pub use identity::{IdentifiedAs, Identity};
pub use manifest::{
    Architecture, BUILTIN_MANIFEST, KnownModel, Manifest, ManifestCategories, ManifestEntry,
    Reference,
};
pub use names::Naming;
pub(crate) use retinanet_checkpoint::first_not_finite;
pub use retinanet_checkpoint::{
    DEFAULT_ENDPOINT, Error, ExpectedSha256, ExpectedTensor, FetchError, FetchOptions, FetchedFile,
    Format, Found, Ignored, LoadReport, LoadedTensors, Location, MisShaped, Mismatch, Pin,
    Progress, SafeUrl, Source, SourceFormat, StoredDtype, TensorData, TensorInfo, Token, Unmatched,
    WeightsError, fetch, fetch_content, find_cached, save_safetensors,
};
