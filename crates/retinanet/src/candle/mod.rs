//! The network as candle modules: forward and backward passes on tensors, seeded `VarBuilder`s, digests of tensors.
//!
//! A [`Detector`](crate::Detector) needs none of this; it is for programs that are written in candle. Layers
//! and networks are those of [`model`](crate::model) and [`ops`](crate::ops), with a `forward` on f32 tensors
//! of shape (N, C, H, W); a batch is walked image by image, so that an image's bits never depend on its
//! neighbours. The order of every sum is the kernels crate's contract.
//!
//! # Gradients
//!
//! `loss.backward()` goes back through every operation with the kernels' own gradients: equal bits at every CPU level
//! and with any number of threads, and an image's gradient depends on that image alone. (candle's own gradients of
//! `max_pool2d` and `upsample_nearest2d` are wrong in 0.11: scaled down by the window, and forgetful of a map's other readers.)
//!
//! - *Inputs* have gradients in every network that is built from a `VarBuilder`, and in every layer of its own. A network from
//!   another source gives its weights up when they are packed: a gradient through it is
//!   [`OpError::NotKept`](crate::ops::OpError).
//! - *Weights and biases* that are variables (or computed from some) have gradients: in a network over a `VarMap`, in
//!   one over `VarBuilder::from_tensors` where some tensors of the map are variables, or in layers made with
//!   [`Conv2d::from_tensors`](crate::ops::Conv2d::from_tensors) and
//!   [`GroupNorm::from_tensors`](crate::ops::GroupNorm::from_tensors). Layers with a variable read and pack their weights in each
//!   forward pass; all others are packed once, at construction.
//! - *Batch norm* is folded with the statistics that it has, which no forward pass changes. Weight and bias of a plain one train; what torchvision
//!   holds as buffers does not, variable or not: running statistics, and all of a frozen batch norm. `GradStore::get` answers `None` for
//!   them, and optimisers leave them as they are.
//!
//! The order of sums: the gradients of a weight are computed image by image, and those of the images added pairwise, as
//! [`retinanet_kernels::sum`] does in its third step. Where a tensor is used more than once, as a head's weights at each
//! level, candle adds the gradients one after the other, in the order of its graph, from +0.
//!
//! [`RetinaNet::packed`](crate::model::RetinaNet::packed) makes a network of constants of one that has been trained; a
//! [`Detector`](crate::Detector) built with it does this itself.
//!
//! ```
//! use candle_core::{DType, Device, Tensor};
//! use candle_nn::{AdamW, Optimizer, VarMap};
//! use retinanet::determinism::Determinism;
//! use retinanet::model::{ResNetDepth, RetinaNet, RetinaNetConfig};
//!
//! let mut config = RetinaNetConfig::resnet50_fpn_v2();
//! config.backbone.depth = ResNetDepth::ResNet18;
//! config.fpn.out_channels = 32;
//! config.num_classes = 2;
//! let variables = VarMap::new();
//! let determinism = Determinism::strict(3407); // initial values; `variables.load(path)` takes others
//! let vb = determinism.trainable_var_builder(&variables, DType::F32, &Device::Cpu)?;
//! let model = RetinaNet::new(&config, vb)?;
//!
//! let images = Tensor::ones((1, 3, 64, 64), DType::F32, &Device::Cpu)?;
//! let loss = || -> candle_core::Result<Tensor> {
//!     let (logits, boxes) = model.forward(&images)?.flattened()?;
//!     candle_nn::ops::sigmoid(&logits)?.sqr()?.mean_all()? + boxes.sqr()?.mean_all()?
//! };
//! let mut adamw = AdamW::new_lr(variables.all_vars(), 1e-3)?;
//! let first = loss()?;
//! adamw.step(&first.backward()?)?;
//! assert!(loss()?.to_scalar::<f32>()? < first.to_scalar::<f32>()?);
//!
//! let detector = retinanet::Detector::builder().build_with_model(model)?;
//! # Ok::<(), retinanet::Error>(())
//! ```
//!
//! # Inference
//!
//! ```
//! use candle_core::{DType, Device, Tensor};
//! use candle_nn::VarBuilder;
//! use retinanet::model::{ResNetDepth, RetinaNet, RetinaNetConfig};
//!
//! let mut config = RetinaNetConfig::resnet50_fpn_v2();
//! config.backbone.depth = ResNetDepth::ResNet18;
//! config.backbone.batch_norm.eps = 1e-3; // the zeros below have no variance
//! config.fpn.out_channels = 32;
//! config.num_classes = 2;
//! let vb = VarBuilder::zeros(DType::F32, &Device::Cpu);
//! let model = RetinaNet::new(&config, vb)?;
//!
//! let images = Tensor::zeros((1, 3, 64, 96), DType::F32, &Device::Cpu)?;
//! let output = model.forward(&images)?;
//! assert_eq!(output.cls_logits[0].dims(), [1, 9 * 2, 8, 12]);
//! # Ok::<(), retinanet::Error>(())
//! ```

mod add_relu;
mod batch_norm;
mod conv2d;
mod conv2d_operation;
mod device;
mod digest;
mod group_norm;
mod image_sum;
mod images;
#[cfg(test)]
mod init_tests;
mod max_pool2d;
mod network;
mod output;
mod relu;
mod tensors;
mod upsample_add;
mod var_builder;

pub use digest::digest_tensor;
pub use output::{Features, RetinaNetOutput};
pub use var_builder::{SeededInit, vars_in_name_order};
