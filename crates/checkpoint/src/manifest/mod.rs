//! Manifests: which checkpoints exist, where they come from and how to recognise them.

mod entry;
mod list;
mod model;
mod row;
mod rows;

pub use entry::{ExpectedSha256, Location, ManifestEntry, Source, SourceFormat};
pub use list::Manifest;
pub use model::{ManifestModel, NoModel};

#[cfg(test)]
mod tests;
