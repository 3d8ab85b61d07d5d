//! The network: ResNet, feature pyramid, heads, anchors.
//!
//! Each layer is a config, a struct and a `new(&config, .., source)` that asks a [`TensorSource`] for
//! torchvision's parameter names. [`RetinaNetConfig`] puts the parts
//! together; [`RetinaNetConfig::resnet50_fpn`] and [`RetinaNetConfig::resnet50_fpn_v2`] are the two
//! published models.

mod batch_norm;
mod config;
mod config_json;
mod conv_site;
mod cost;
mod fpn;
mod group_norm;
mod heads;
#[cfg(feature = "candle")]
pub(crate) mod kept_tensors;
pub(crate) mod plan;
mod resnet;
mod retinanet;
mod site;
mod tensor_source;
mod tensor_spec;
mod torchvision_config;

pub use crate::anchors::{AnchorConfig, AnchorGenerator, LevelAnchors};
pub use crate::error::ModelError;
pub use batch_norm::BatchNormConfig;
pub use config::RetinaNetConfig;
pub use fpn::{ExtraLevels, Fpn, FpnConfig};
pub use group_norm::GroupNormConfig;
pub use heads::{HeadConfig, PredictionHead, RetinaNetHead};
pub use resnet::{ResNet, ResNetConfig, ResNetDepth};
pub use retinanet::{RetinaNet, expected_tensors, parameter_count, tensor_specs};
pub use tensor_source::TensorSource;
pub use tensor_spec::TensorSpec;

#[cfg(feature = "candle")]
pub(crate) use batch_norm::BatchNormValues;
#[cfg(any(feature = "training", feature = "candle"))]
pub(crate) use site::LayerMut;
#[cfg(feature = "training")]
pub(crate) use {
    conv_site::{ConvSite, Shift},
    group_norm::GroupNormSite,
    retinanet::sites,
    site::Site,
    tensor_source::TensorsAt,
};
