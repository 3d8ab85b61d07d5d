//! Images in and out: decode, transform, masks, overlay.

mod error;
pub use error::ImageError;
