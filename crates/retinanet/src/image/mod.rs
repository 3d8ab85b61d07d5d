//! Images in and out: decode, transform, masks.

mod decode;
mod decode_options;
mod encode;
mod jpeg;
pub mod mask;
mod picture;
#[cfg(test)]
mod tests;
mod transform;

pub use crate::error::ImageError;
pub(crate) use decode::read_file;
pub use decode_options::{DecodeLimits, DecodeOptions};
pub use mask::Mask;
pub use picture::Image;
pub use transform::{MAX_INPUT_PIXELS, TransformConfig, Transformed};
