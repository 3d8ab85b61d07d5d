//! Images in and out: decode, transform, masks.

mod decode;
mod decode_options;
mod encode;
mod jpeg;
pub mod mask;
mod picture;
mod png_rows;
mod rows;
mod samples;
#[cfg(test)]
mod tests;
mod tiff_rows;
mod tiling;
mod transform;

pub use crate::error::ImageError;
pub(crate) use decode::{check_file, read_file};
pub use decode_options::{DecodeLimits, DecodeOptions};
pub use mask::Mask;
pub use picture::Image;
pub use rows::ImageRows;
pub use tiling::{MAX_TILES, TileWindows, Tiling};
pub use transform::{MAX_INPUT_PIXELS, TransformConfig, Transformed};
