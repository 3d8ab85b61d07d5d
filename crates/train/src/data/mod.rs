//! Annotated images to samples: which, in which order, changed how, and ready before they are needed.
//!
//! | File | What |
//! |---|---|
//! | `dataset.rs` | [`TrainingSet`]: annotations and files, checked before training begins |
//! | `order.rs` | [`Order`]: which image stands at which position of the run |
//! | `augment.rs` | [`AugmentConfig`]: what is done to a sample, and the random numbers that decide it |
//! | `tile.rs`, `colour.rs` | one image on its way into the canvas, and its boxes with it |
//! | `source.rs` | [`SampleSource`]: the sample of a position |
//! | `loader.rs` | [`SampleLoader`]: samples made ahead by workers, handed out in order |
//! | `preview.rs` | [`write_preview`]: the first samples as pictures, for people |
//!
//! # What a sample depends on
//!
//! On the set, the seed, the batch (which only cuts the order into steps), the configuration and its position. Not on
//! workers, threads, the cache, on other samples, or on where a run began: position 1,000 of a resumed run is
//! position 1,000.
//!
//! Every random choice has a [`Stream`](retinanet::determinism::Stream) of its own, a function of (seed, purpose, name,
//! image id). `E` is the epoch:
//!
//! | Choice | Purpose and name |
//! |---|---|
//! | where an image stands in an epoch's order | `Shuffle`, `train/epoch/E` |
//! | whether it becomes a mosaic, of which images, and where its centre is | `Augmentation`, `train/epoch/E/mosaic` |
//! | whether it is flipped | `Augmentation`, `train/epoch/E/flip` |
//! | to which size | `Augmentation`, `train/epoch/E/scale` |
//! | which part of it | `Augmentation`, `train/epoch/E/crop` |
//! | its brightness and contrast | `Augmentation`, `train/epoch/E/colour` |
//! | the last four, for tile T of a mosaic (0 to 3) | `Augmentation`, `train/epoch/E/mosaic/T/flip` and so on |
//! | how many objects are laid over it | `Augmentation`, `train/epoch/E/paste` |
//! | for object P: which, to which size, and where | `Augmentation`, `train/epoch/E/paste/P/place` |
//! | whether it is flipped; its brightness and contrast | `Augmentation`, `train/epoch/E/paste/P/flip`, `train/epoch/E/paste/P/colour` |
//!
//! So turning one augmentation on or off leaves the choices of all others as they were. All decisions are integers, or
//! f64 with one rounding an operation; boxes are f32 in torchvision's order of operations; pixels are resized by the
//! detector's own transform.

mod augment;
mod cache;
mod colour;
mod dataset;
mod loader;
mod order;
mod paste;
mod preview;
mod source;
mod tile;

pub use crate::error::DataError;
pub use augment::{AugmentConfig, ColourConfig, MosaicConfig, SquareConfig};
pub use dataset::{LeftOut, TrainingImage, TrainingSet, TrainingSetConfig};
pub use loader::{LoadConfig, SampleLoader, Samples};
pub use order::{Order, Place};
pub use paste::PasteConfig;
pub use preview::{PreviewFile, write_preview};
pub use source::{RunShape, Sample, SampleSource};
