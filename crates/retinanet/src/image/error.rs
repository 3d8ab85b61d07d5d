//! What can go wrong in this room.

/// An image could not be read, decoded, transformed or written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ImageError {}
