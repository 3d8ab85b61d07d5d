//! Training of a RetinaNet: so far the data, the parts of a step around the network, and what a run is made of.
//!
//! | Module | What |
//! |---|---|
//! | [`matching`] | which anchor should find which object |
//! | [`box_coder`] | boxes to regressions and back, with the gradient |
//! | [`losses`] | focal, L1 and GIoU loss of one image, and their gradients |
//! | [`data`] | annotated images to samples: order, augmentation, loading |
//! | [`architecture`] | configurations by name |
//! | [`parameters`] | the model's tensors: what they start from, which train |
//! | [`gradient_sum`] | exact sums of gradients over images |
//! | [`clip`] | the norm of all gradients, kept small |
//! | [`optimiser`] | SGD with momentum, AdamW |
//! | [`schedule`] | the learning rate at each step |
//! | [`ema`] | a moving average of the weights |
//! | [`digest`] | digests of weights and moments that name the tensor that differs |
//! | [`recipe`] | all that a run depends on, in one strict TOML file |
//! | [`start`] | what a recipe's run begins with |
//! | [`run`] | all of it: the steps, their record, and going on after any end |
//! | [`verify`] | a run held against its log, by making steps again |
//! | [`state`] | files of a run: its state, the model that came of it |
//! | [`error`](mod@error) | what can go wrong |
//!
//! The losses take plain slices: anchors of all levels in one list, logits as `[anchor][class]`, regressions as
//! `[anchor][dx, dy, dw, dh]`. All keep [`retinanet_kernels::contract`]: results do not depend on the CPU or on the
//! number of threads of rayon's ambient pool. With torchvision and PyTorch they agree by tolerance.

#![forbid(unsafe_code)]

pub mod architecture;
pub mod box_coder;
pub mod clip;
pub mod data;
pub mod digest;
pub mod ema;
pub mod error;
pub mod gradient_sum;
pub mod losses;
pub mod matching;
pub mod optimiser;
mod overlap;
pub mod parameters;
pub mod recipe;
pub mod run;
pub mod schedule;
pub mod start;
pub mod state;
pub mod verify;

pub use error::{Error, Result};
