//! Pictures in and out.

use std::io;

/// An image could not be read, decoded or transformed. `name` is the file's path, or the name the
/// caller gave to the bytes; it is escaped when printed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ImageError {
    /// The file is missing or cannot be read.
    #[error("cannot read image {name:?}: {source}; check the path and its permissions")]
    Read {
        /// The image.
        name: String,
        /// What the system said.
        source: io::Error,
    },
    /// The path is a folder's.
    #[error("cannot read image {name:?}: it is a folder; give the path of an image file in it")]
    IsFolder {
        /// The image.
        name: String,
    },
    /// The path is a pipe's or a device's.
    #[error(
        "cannot read image {name:?}: it is a pipe or a device, not a regular file; save it to a file first"
    )]
    NotAFile {
        /// The image.
        name: String,
    },
    /// There is not one byte in it.
    #[error("image {name:?} is empty (0 bytes); download or copy it again")]
    Empty {
        /// The image.
        name: String,
    },
    /// The encoded file is larger than the limit.
    #[error(
        "image {name:?} has more than {limit} bytes; raise `DecodeLimits::max_file_bytes` if it is to be trusted"
    )]
    FileTooLarge {
        /// The image.
        name: String,
        /// The limit in bytes.
        limit: u64,
    },
    /// The content is of no image format known here, whatever the file is called.
    #[error(
        "{name:?} is not an image: it starts with \"{start}\"; JPEG, PNG, BMP, GIF, WebP, TIFF and PNM are read"
    )]
    UnknownFormat {
        /// The image.
        name: String,
        /// Its first bytes, escaped.
        start: String,
    },
    /// A known format, or a variant of one, that is not read here.
    #[error(
        "image {name:?} ({format}) is not supported: {reason}; convert it to an 8-bit PNG or JPEG"
    )]
    Unsupported {
        /// The image.
        name: String,
        /// Its format.
        format: String,
        /// What is not supported.
        reason: String,
    },
    /// The file is cut short or corrupt.
    #[error(
        "image {name:?} ({format}) is damaged or cut short: {reason}; download or copy it again"
    )]
    Damaged {
        /// The image.
        name: String,
        /// Its format.
        format: String,
        /// What the decoder found.
        reason: String,
    },
    /// The header tells of more pixels than the limit.
    #[error(
        "image {name:?} is {width} x {height} pixels (width x height), more than the limit of {limit} pixels; scale it down, or raise `DecodeLimits::max_pixels`"
    )]
    TooManyPixels {
        /// The image.
        name: String,
        /// Its width.
        width: u64,
        /// Its height.
        height: u64,
        /// The limit in pixels.
        limit: u64,
    },
    /// Decoding would take more memory than the limit.
    #[error(
        "decoding image {name:?} would take more than the limit of {limit} bytes of memory; scale it down, or raise `DecodeLimits::max_memory_bytes`"
    )]
    TooMuchMemory {
        /// The image.
        name: String,
        /// The limit in bytes.
        limit: u64,
    },
    /// An image without pixels.
    #[error(
        "image {name:?} is {width} x {height} pixels (width x height); both sides must be at least 1"
    )]
    ZeroSide {
        /// The image.
        name: String,
        /// Its width.
        width: u64,
        /// Its height.
        height: u64,
    },
    /// The number of bytes does not match the sides.
    #[error(
        "an RGB image of {width} x {height} pixels (width x height) has 3 bytes a pixel, got {actual} bytes"
    )]
    PixelCount {
        /// The width given.
        width: usize,
        /// The height given.
        height: usize,
        /// How many bytes came with them.
        actual: usize,
    },
    /// The image is so long and thin that its short side is resized to nothing.
    #[error(
        "an image of {width} x {height} pixels (width x height) would be resized to {resized_width} x {resized_height}; its sides are too unequal: crop it, or raise the transform's `max_size` ({max_size})"
    )]
    ResizedToNothing {
        /// The image's width.
        width: usize,
        /// The image's height.
        height: usize,
        /// Its width after the resize.
        resized_width: usize,
        /// Its height after the resize.
        resized_height: usize,
        /// The configured largest side.
        max_size: usize,
    },
    /// A transform configuration that cannot be carried out.
    #[error("transform: `{field}` is {value}; {expected}")]
    Transform {
        /// The field of `TransformConfig`.
        field: &'static str,
        /// Its value.
        value: String,
        /// What it should be.
        expected: &'static str,
    },
    /// The network's input would be absurdly large.
    #[error(
        "transform: an image of {width} x {height} pixels (width x height) would be resized to more than {limit} pixels; lower `min_size`, `max_size`, `fixed_size` or `size_divisible`"
    )]
    CanvasTooLarge {
        /// The image's width.
        width: usize,
        /// The image's height.
        height: usize,
        /// The most pixels an input may have.
        limit: usize,
    },
    /// A mask that would fill the memory.
    #[error(
        "a mask of {width} x {height} pixels (width x height) has more than {limit} pixels; is the image's size right?"
    )]
    MaskTooLarge {
        /// The width asked for.
        width: usize,
        /// The height asked for.
        height: usize,
        /// The most pixels a mask may have.
        limit: usize,
    },
    /// Detections drawn on another image than their own.
    #[error(
        "the detections are of an image of {width} x {height} pixels (width x height), the one to draw on has {other_width} x {other_height}; give the image they were found in"
    )]
    OtherImage {
        /// The width of the detections' image.
        width: usize,
        /// Its height.
        height: usize,
        /// The width of the image given.
        other_width: usize,
        /// Its height.
        other_height: usize,
    },
    /// Tiles that cannot be laid out.
    #[error("tiles: `{field}` is {value}; {expected}")]
    Tiles {
        /// The field of `Tiling`.
        field: &'static str,
        /// Its value.
        value: String,
        /// What it should be.
        expected: String,
    },
    /// Rows that are not there, or not any more.
    #[error(
        "rows {start} to {end} of image {name:?} were asked for, which has {height}, and of which those above row {first} are forgotten; ask for rows from the top downwards"
    )]
    Rows {
        /// The image.
        name: String,
        /// The first row asked for.
        start: usize,
        /// The row after the last one asked for.
        end: usize,
        /// The image's height.
        height: usize,
        /// The first row that is still there.
        first: usize,
    },
}
