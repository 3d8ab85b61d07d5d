//! One of the images that a gradient is summed over.

use crate::layout::Blocked;

/// What a convolution read and the gradient of what it answered, both in the blocked layout.
#[derive(Clone, Copy)]
pub(super) struct Image<'a> {
    pub(super) input: Blocked<'a>,
    pub(super) gradient: Blocked<'a>,
}
