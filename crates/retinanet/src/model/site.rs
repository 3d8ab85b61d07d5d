//! A layer with weights, as a checkpoint stores it.

use super::conv_site::ConvSite;
use super::group_norm::GroupNormSite;
use super::tensor_spec::TensorSpec;
#[cfg(any(feature = "training", feature = "candle"))]
use crate::ops::{Conv2d, GroupNorm};

/// A layer with weights, and where its tensors are.
pub(crate) enum Site {
    /// A convolution, with the batch norm after it.
    Conv(ConvSite),
    /// A group normalisation.
    GroupNorm(GroupNormSite),
}

/// A layer with weights, ready to run, to be given others.
#[cfg(any(feature = "training", feature = "candle"))]
pub(crate) enum LayerMut<'a> {
    /// A convolution.
    Conv(&'a mut Conv2d),
    /// A group normalisation.
    GroupNorm(&'a mut GroupNorm),
}

impl Site {
    /// The same layer seen from `prefix`.
    pub(crate) fn under(self, prefix: &str) -> Self {
        match self {
            Self::Conv(conv) => Self::Conv(conv.under(prefix)),
            Self::GroupNorm(mut norm) => {
                norm.path = format!("{prefix}.{}", norm.path);
                Self::GroupNorm(norm)
            }
        }
    }

    /// Its path.
    #[cfg(feature = "training")]
    pub(crate) fn path(&self) -> &str {
        match self {
            Self::Conv(conv) => &conv.path,
            Self::GroupNorm(norm) => &norm.path,
        }
    }

    /// The tensors it needs.
    pub(crate) fn tensors(&self) -> Vec<TensorSpec> {
        match self {
            Self::Conv(conv) => conv.tensors(),
            Self::GroupNorm(norm) => norm.tensors().into(),
        }
    }
}
