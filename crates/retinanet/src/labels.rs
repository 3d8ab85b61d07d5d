//! Category names and their ids.

/// A label is not one of the model's categories.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LabelError {}
