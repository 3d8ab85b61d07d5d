//! What can go wrong in this room.

/// Something that would break the promise of equal bits.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DeterminismError {}
