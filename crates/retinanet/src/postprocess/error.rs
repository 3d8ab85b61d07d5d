//! What can go wrong in this room.

/// The network's outputs cannot be turned into detections.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PostprocessError {}
