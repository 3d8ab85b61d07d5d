//! What can go wrong while a checkpoint is looked up or downloaded.

/// A checkpoint could not be found or downloaded.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FetchError {}
