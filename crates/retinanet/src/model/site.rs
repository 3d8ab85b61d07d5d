//! A layer with weights, as a checkpoint stores it.

use super::conv_site::ConvSite;
use super::group_norm::GroupNormSite;
use super::tensor_spec::TensorSpec;

/// A layer with weights, and where its tensors are.
pub(crate) enum Site {
    /// A convolution, with the batch norm after it.
    Conv(ConvSite),
    /// A group normalisation.
    GroupNorm(GroupNormSite),
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

    /// The tensors it needs.
    pub(crate) fn tensors(&self) -> Vec<TensorSpec> {
        match self {
            Self::Conv(conv) => conv.tensors(),
            Self::GroupNorm(norm) => norm.tensors().into(),
        }
    }
}
