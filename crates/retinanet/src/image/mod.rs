//! Images in and out: decode, transform, masks, overlay.

mod annotate;
mod decode;
mod encode;
mod jpeg;
pub mod mask;
pub mod overlay;
mod picture;
#[cfg(test)]
mod tests;
mod transform;

pub use crate::error::ImageError;
pub(crate) use decode::read_file;
pub use decode::{DecodeLimits, DecodeOptions};
pub use mask::Mask;
pub use overlay::OverlayStyle;
pub use picture::Image;
pub use transform::{MAX_INPUT_PIXELS, TransformConfig, Transformed};
