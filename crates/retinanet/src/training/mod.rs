//! The network's backward pass: what a trainer builds on.
//!
//! A [`TrainableNetwork`] runs forward on one image ([`TrainableNetwork::forward`]), keeping what the way back needs,
//! and answers the gradient of each tensor that trains ([`Forward::backward`]). Losses, optimisers and data are
//! the crate `retinanet-train`'s.
//!
//! # The order of operations
//!
//! An image's gradients depend on that image and the weights alone; images never meet here. The
//! forward pass is the detector's, to the bit. Backward, layers are gone through in the reverse of the forward
//! order (regression head, classification head, pyramid from its coarsest level, backbone), each by the gradient kernel that stands beside its forward one
//! ([`retinanet_kernels::contract`]):
//!
//! - Where a map was read by several layers, its gradient is the sum over them in that reverse order, the first as it is.
//! - A layer that computed several maps (a head's levels) adds their parts, finest level first, as its kernel
//!   says; biases and group norms' parameters add the levels' sums in that order.
//! - A frozen batch norm is folded into its convolution. The gradient of the convolution's own weights is that of the folded
//!   ones times the channel's scale, the product in f64 and rounded once.
//! - Layers below the lowest one that trains are not gone through at all.

mod backward;
mod layers;
mod memory;
mod network;
mod outputs;
mod tape;

pub use crate::error::TrainingError;
pub use memory::Memory;
pub use network::{Forward, TrainableNetwork};
