//! What can go wrong in this room.

/// A checkpoint could not be read, does not fit the model, or is damaged.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum WeightsError {}
