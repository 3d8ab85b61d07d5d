//! The network as candle modules: forward passes on tensors, seeded `VarBuilder`s, digests of tensors.
//!
//! A [`Detector`](crate::Detector) needs none of this; it is for programs that are written in candle. Layers
//! and networks are those of [`model`](crate::model) and [`ops`](crate::ops), with a `forward` on f32 tensors
//! of shape (N, C, H, W); a batch is walked image by image, so that an image's bits never depend on its
//! neighbours. The order of every sum is the kernels crate's contract.
//!
//! The operations are recorded in candle's graph but have no backward pass yet: asking for a gradient is
//! candle's `BackwardNotSupported` error, never a silent zero.
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

mod conv2d;
mod device;
mod digest;
mod group_norm;
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
