//! One tensor of a checkpoint.

use super::dtype::StoredDtype;

/// Name, element type and shape of a stored tensor.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct TensorInfo {
    /// The name in torchvision's current spelling.
    pub name: String,
    /// The name as the file spells it.
    pub stored_name: String,
    /// The element type in the file.
    pub dtype: StoredDtype,
    /// The shape, outermost side first.
    pub shape: Vec<usize>,
}

/// The most sides a tensor may have; convolution weights have four.
pub(super) const MAX_SIDES: usize = 16;

/// A stored tensor: row-major, little-endian, `bytes.len()` equal to shape times element size.
#[derive(Clone, Debug)]
pub(super) struct RawTensor {
    pub(super) dtype: StoredDtype,
    pub(super) shape: Vec<usize>,
    pub(super) bytes: Vec<u8>,
}
