//! Training of a RetinaNet: so far the data, the matching of anchors and the losses with their gradients.
//!
//! | Module | What |
//! |---|---|
//! | [`matching`] | which anchor should find which object |
//! | [`box_coder`] | boxes to regressions and back, with the gradient |
//! | [`losses`] | focal, L1 and GIoU loss of one image, and their gradients |
//! | [`data`] | annotated images to samples: order, augmentation, loading |
//! | [`error`](mod@error) | what can go wrong |
//!
//! Matching and losses take plain slices: anchors of all levels in one list, logits as `[anchor][class]`, regressions as
//! `[anchor][dx, dy, dw, dh]`. They keep [`retinanet_kernels::contract`]: results do not depend on the CPU or on the
//! number of threads of rayon's ambient pool. With torchvision they agree by tolerance.

#![forbid(unsafe_code)]

pub mod box_coder;
pub mod data;
pub mod error;
pub mod losses;
pub mod matching;
mod overlap;

pub use error::{Error, Result};
