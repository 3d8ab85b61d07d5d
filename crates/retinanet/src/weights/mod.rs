//! Checkpoints: manifest, download, reading, renaming.

mod error;
mod fetch;
mod fetch_error;
mod manifest;
pub use error::WeightsError;
pub use fetch::{
    DEFAULT_ENDPOINT, FetchOptions, FetchedFile, Found, Pin, Progress, SafeUrl, Token, fetch,
    find_cached,
};
pub use fetch_error::FetchError;
pub use manifest::{
    Architecture, BUILTIN_MANIFEST, ExpectedSha256, Format, Location, Manifest, ManifestCategories,
    ManifestEntry, Reference, Source,
};
