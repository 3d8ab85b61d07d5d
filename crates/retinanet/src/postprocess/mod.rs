//! From logits to detections: threshold, top-k, box decoding, clipping, NMS, scaling back.

mod apply;
mod blocked;
mod box_coder;
mod boxes;
mod config;
mod level_shape;
mod merge;
mod nms;
mod plain;
#[cfg(feature = "cuda")]
mod selected;
mod threshold;
mod top_k;

#[cfg(test)]
mod tests;

#[doc(hidden)]
pub use blocked::BlockedLevel;
pub use boxes::{ImageSizes, ScoredBox};
pub use config::PostprocessConfig;
pub(crate) use merge::Merger;
pub use plain::LevelOutput;
#[cfg(feature = "cuda")]
pub(crate) use selected::SelectedLevel;
pub use top_k::Candidate;

pub use crate::error::PostprocessError;
