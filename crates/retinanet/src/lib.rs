//! RetinaNet (ResNet + FPN, both torchvision versions) on [candle](candle_core), whose detections
//! are identical to the bit: run to run, thread count to thread count, alone or in a batch, on
//! every CPU.

pub mod batch;
pub mod data;
pub mod detection;
mod detector;
pub mod determinism;
pub mod error;
pub mod eval;
pub mod files;
pub mod image;
pub mod labels;
pub mod model;
pub mod ops;
pub mod postprocess;
pub mod weights;

pub use detection::{BoundingBox, Detection, Detections};
pub use detector::{Detector, DetectorBuilder, DetectorError, StageTime, device};
pub use determinism::Determinism;
pub use error::{Error, Result};
pub use files::WriteError;
pub use image::{Image, Mask, OverlayStyle};
