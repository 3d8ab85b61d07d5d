//! One tensor of a checkpoint.

use crate::dtype::StoredDtype;

/// Name, element type and shape of a stored tensor.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct TensorInfo {
    /// Its name: the stored one without wrappers, or what it was renamed to.
    pub name: String,
    /// The name as the file spells it.
    pub stored_name: String,
    /// The element type in the file.
    pub dtype: StoredDtype,
    /// The shape, outermost side first.
    pub shape: Vec<usize>,
}

/// The most sides a tensor may have; convolution weights have four.
pub(crate) const MAX_SIDES: usize = 16;

/// A stored tensor: row-major, little-endian, `bytes.len()` equal to shape times element size.
#[derive(Clone, Debug)]
pub(crate) struct RawTensor {
    pub(crate) dtype: StoredDtype,
    pub(crate) shape: Vec<usize>,
    pub(crate) bytes: Vec<u8>,
}
