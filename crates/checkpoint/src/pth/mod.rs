//! PyTorch's `.pth` files: the zip container and the stream used before 2020.
//!
//! Nothing in a file is executed: its pickle is read by [`pickle`](crate::pickle), which only builds
//! plain values.

mod archive;
mod contents;
mod layout;
mod legacy;
mod state;

pub(crate) use archive::{SIGNATURE as ZIP_SIGNATURE, read as read_zip};
pub(crate) use legacy::{is_legacy, read as read_legacy};
