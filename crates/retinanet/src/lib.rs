//! RetinaNet object detection whose answers are identical to the bit.
//!
//! It runs torchvision's `retinanet_resnet50_fpn` and `retinanet_resnet50_fpn_v2`, and every RetinaNet
//! built from the same parts, from torchvision's own checkpoints, and finds what torchvision finds.
//!
//! ```no_run
//! use retinanet::{Detector, Image, OverlayStyle};
//!
//! let detector = Detector::builder().weights("retinanet_resnet50_fpn_v2.coco_v1").build()?;
//! let photo = Image::open("photo.jpg")?;
//! let found = detector.detect(&photo)?.above(0.5);
//! for (person, mask) in found.of("person")?.iter().zip(found.masks("person")?) {
//!     println!("{:.2} {:?} {} pixels", person.score, person.bounding_box, mask.area());
//! }
//! found.overlay(&photo, &OverlayStyle::default())?.save_png("found.png")?;
//! println!("{}", found.digest()?);
//! # Ok::<(), retinanet::Error>(())
//! ```
//!
//! # Where things are
//!
//! From a file to its detections, in this order:
//!
//! | module | what |
//! |---|---|
//! | [`Detector`] | the entry: weights in, [`Detections`] out |
//! | [`image`] | decode, whole or by rows; tiles; transform to the network's input; masks of what was found |
//! | [`weights`] | find, fetch, read, check and convert checkpoints |
//! | [`model`] | configuration, layers, [`RetinaNet`](model::RetinaNet) |
//! | [`ops`] | the layers: shapes and packed weights over the kernels |
//! | `candle` | with the feature of that name: the network as candle modules, `VarBuilder`s, tensors |
//! | [`postprocess`] | threshold, top-k, box decoding, NMS, back to the image's pixels |
//! | [`detection`], [`labels`], [`yolo`] | the answer, the names of its classes, and both as YOLO's text files |
//! | [`determinism`] | modes, seeds, environment, digests; the PyTorch recipe line by line |
//! | [`batch`], [`data`] | many images: resumable runs, seeded order |
//! | [`receipt`], [`evidence`] | one answer on record; the answers of a folder, in a log that shows changes |
//! | [`eval`] | COCO average precision |
//! | `training` | with the feature of that name: the network's backward pass, for `retinanet-train` |
//! | [`error`](mod@error), [`files`] | what can go wrong; files that appear whole or not at all |
//!
//! # The promise, and its limits
//!
//! In strict mode, the default, the [digest](Detections::digest) of an answer is a function of the
//! image's bytes, the weights, the configuration and this crate's version. It does not depend on the
//! run, the process, the number of threads, the other images of a batch, the CPU's vector instructions,
//! debug or release builds, or the rounding and flush-to-zero modes a host program has set: one order
//! of arithmetic is written down in [`retinanet_kernels::contract`] and kept everywhere.
//!
//! - Another version of this crate may give other bits; [`determinism::NUMERICS_VERSION`] counts such changes and
//!   its changelog says so.
//! - Against torchvision the comparison is by tolerance (scores 1e-4, boxes 0.05 pixels), for torchvision
//!   itself gives other bits on another machine.
//! - A JPEG's pixels are libjpeg-turbo's to the bit, as PIL, OpenCV and torchvision.io have them.
//! - [`Determinism::fast`] trades the promise for speed.
//! - The masks are filled boxes: RetinaNet finds boxes, not outlines.
//! - Equal is not the same as right: labels that change at every run usually mean weights that were
//!   never loaded ([`determinism`] says more), and loading here is strict.

mod anchors;
pub mod batch;
mod bounding_box;
#[cfg(feature = "candle")]
pub mod candle;
pub mod data;
pub mod detection;
mod detector;
pub mod determinism;
mod device;
pub mod error;
pub mod eval;
pub mod evidence;
pub mod image;
pub mod labels;
pub mod model;
pub mod ops;
pub mod overlay;
pub mod postprocess;
pub mod receipt;
#[cfg(feature = "training")]
pub mod training;
pub mod weights;
pub mod yolo;

pub use bounding_box::BoundingBox;
pub use detection::{Detection, Detections};
pub use detector::{Detector, DetectorBuilder, DetectorError, Progress, StageTime, StageValues};
pub use determinism::Determinism;
pub use device::{DType, Device};
pub use error::{Error, Result};
pub use image::{Image, Mask};
pub use overlay::OverlayStyle;
pub use retinanet_checkpoint::{WriteError, files};
