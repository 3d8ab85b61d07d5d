//! JPEG to RGB in safe Rust, with the pixels that libjpeg-turbo makes, to the bit: what PIL, OpenCV and
//! torchvision decode with on a CPU. The reference is PIL's `Image.open(..).convert("RGB")`.
//!
//! Baseline, extended sequential and progressive Huffman-coded JPEGs of 8 bits are decoded, with one, three
//! or four components and any sampling that libjpeg takes. Arithmetic-coded, lossless, hierarchical and
//! 12-bit JPEGs are an [`Error::Unsupported`], and so are progressive ones that end before their low AC
//! coefficients are complete, which libjpeg smooths. No colour profile is applied and nothing is rotated;
//! [`Header::exif`] has the data that tell the orientation.
//!
//! Where entropy-coded data are damaged, libjpeg warns and goes on; so does this crate, with the same
//! pixels, and [`Rgb::damage`] says so. Where libjpeg or PIL gives up, there is an [`Error`]. Limits are
//! checked before memory is taken.
//!
//! No crate was found that does this without unsafe code. `zune-jpeg` and `jpeg-decoder` do not promise
//! libjpeg-turbo's pixels (the former differs by up to 3); `libjpeg-turbo-rs` 0.9.0 does, but has unsafe code
//! even without its vector code, says that it gives no guarantee of memory safety, and is 70,000 lines.
//!
//! ```
//! let error = retinanet_jpeg::decode_rgb(b"GIF89a", &retinanet_jpeg::Options::default()).unwrap_err();
//! assert_eq!(error, retinanet_jpeg::Error::NotJpeg);
//! ```

#![forbid(unsafe_code)]

mod bits;
mod color;
mod decode;
mod entropy;
mod error;
mod frame;
mod header;
mod huffman;
mod idct;
mod markers;
mod multiscan;
mod output;
mod progress;
mod progressive;
mod sequential;
mod tables;
mod upsample;
mod zigzag;

pub use color::ColorSpace;
pub use error::{Damage, Error};
pub use header::Header;

/// This crate's version.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");

/// How to decode, and what it may cost.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Options {
    /// The most pixels, width times height. Default: 100 million.
    pub max_pixels: u64,
    /// The most memory that decoding may take, the pixels included; [`Header::memory_bytes`] is held
    /// against it. Default: 2 GiB.
    pub max_memory_bytes: u64,
    /// The most scans; each can cost a pass over the image with few bytes of data. Default: 256, where
    /// encoders make about ten.
    pub max_scans: u32,
    /// Decode a file that is cut short as if it ended there with an end-of-image marker, grey where data
    /// are missing: what PIL does with `LOAD_TRUNCATED_IMAGES`. Default: no, it is an error.
    pub accept_truncated: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            max_pixels: 100_000_000,
            max_memory_bytes: 2 << 30,
            max_scans: 256,
            accept_truncated: false,
        }
    }
}

/// A decoded image.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Rgb {
    /// Pixels in a row.
    pub width: u32,
    /// Rows.
    pub height: u32,
    /// Red, green and blue of each pixel, row by row: `width * height * 3` bytes.
    pub pixels: Vec<u8>,
    /// What the file's components were.
    pub color_space: ColorSpace,
    /// The first damage that was met and, as libjpeg does, decoded over.
    pub damage: Option<Damage>,
}

/// Reads everything before the first scan's data.
///
/// # Errors
///
/// [`Error`], as for [`decode_rgb`], the limits aside.
pub fn read_header(bytes: &[u8]) -> Result<Header<'_>, Error> {
    let mut segments = markers::Segments::new(bytes)?;
    let scan = header::first_scan(&mut segments)?;
    Header::of(&segments, &scan)
}

/// Decodes a JPEG to RGB.
///
/// # Errors
///
/// [`Error`]: not a JPEG, an unsupported kind, cut short, damaged beyond what libjpeg decodes, over a limit.
pub fn decode_rgb(bytes: &[u8], options: &Options) -> Result<Rgb, Error> {
    decode::decode(bytes, options)
}
