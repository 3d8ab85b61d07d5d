//! Files to pixels, within limits. The decoders' versions are pinned: pixels are part of the answer.

use std::fs::File;
use std::io::{Cursor, Read};
use std::path::Path;

use ::image::metadata::Orientation;
use ::image::{DynamicImage, ImageBuffer, ImageDecoder, ImageFormat, ImageReader};

use super::decode_options::{Checks, DecodeLimits, DecodeOptions, Decoded};
use super::jpeg;
use super::picture::Image;
use crate::Result;
use crate::error::ImageError;

impl Image {
    /// Reads and decodes an image file with the default [`DecodeOptions`].
    ///
    /// The format is told by the content, not the name: JPEG, PNG, BMP, GIF, WebP, TIFF, PNM.
    /// - Grey becomes RGB with three equal channels; alpha is dropped, not composited; of 16-bit
    ///   samples the high byte is kept. So do PIL and torchvision.
    /// - A JPEG's pixels are libjpeg-turbo's to the bit, as PIL, OpenCV and torchvision.io have them;
    ///   CMYK and YCCK ones become RGB as in PIL. Arithmetic-coded, lossless and 12-bit JPEGs, and
    ///   progressive ones so incomplete that libjpeg smooths them, are
    ///   [`Unsupported`](ImageError::Unsupported).
    /// - No colour profile is applied.
    /// - Of an animation the first frame is taken.
    ///
    /// # Errors
    ///
    /// [`ImageError`], naming the path: missing or unreadable file, folder, empty file, no image,
    /// unsupported variant, damaged or cut short, over a limit.
    pub fn open(path: impl AsRef<Path>) -> Result<Self> {
        Self::open_with(path, &DecodeOptions::default())
    }

    /// [`open`](Self::open) with options.
    ///
    /// # Errors
    ///
    /// As [`open`](Self::open).
    pub fn open_with(path: impl AsRef<Path>, options: &DecodeOptions) -> Result<Self> {
        let path = path.as_ref();
        Self::open_named(path, &path.to_string_lossy(), options)
    }

    /// [`open_with`](Self::open_with), with another name in the messages than the path.
    pub(crate) fn open_named(path: &Path, name: &str, options: &DecodeOptions) -> Result<Self> {
        let bytes = read_file(path, name, options.limits.max_file_bytes)?;
        Self::decode_with(&bytes, name, options)
    }

    /// Decodes an encoded image with the default [`DecodeOptions`]; `name` is for messages.
    ///
    /// # Errors
    ///
    /// As [`open`](Self::open).
    pub fn decode(bytes: &[u8], name: &str) -> Result<Self> {
        Self::decode_with(bytes, name, &DecodeOptions::default())
    }

    /// [`decode`](Self::decode) with options.
    ///
    /// # Errors
    ///
    /// As [`open`](Self::open).
    pub fn decode_with(bytes: &[u8], name: &str, options: &DecodeOptions) -> Result<Self> {
        let limit = options.limits.max_file_bytes;
        if bytes.is_empty() {
            return Err(ImageError::Empty { name: name.to_owned() }.into());
        }
        if bytes.len() as u64 > limit {
            return Err(ImageError::FileTooLarge { name: name.to_owned(), limit }.into());
        }
        let decoded = match ::image::guess_format(bytes) {
            Ok(ImageFormat::Jpeg) => jpeg::decode(bytes, name, options)?,
            Ok(format) => decode_other(bytes, format, name, options)?,
            Err(_) => {
                let start = bytes[..bytes.len().min(16)].escape_ascii().to_string();
                return Err(ImageError::UnknownFormat { name: name.to_owned(), start }.into());
            }
        };
        let upright =
            !options.apply_exif_orientation || decoded.orientation == Orientation::NoTransforms;
        if upright {
            return Self::from_rgb8(decoded.width, decoded.height, decoded.rgb);
        }
        turn_upright(decoded)
    }
}

/// A file's content, if it is no larger than `limit`; `name` is for messages.
pub(crate) fn read_file(path: &Path, name: &str, limit: u64) -> Result<Vec<u8>, ImageError> {
    check_file(path, name, limit)?;
    let unreadable = |source| ImageError::Read { name: name.to_owned(), source };
    // A growing file may hold more than its metadata says.
    let mut bytes = Vec::new();
    let file = File::open(path).map_err(unreadable)?;
    file.take(limit.saturating_add(1)).read_to_end(&mut bytes).map_err(unreadable)?;
    Ok(bytes)
}

/// Checks that there is a regular file of no more than `limit` bytes, before it is opened: opening a
/// pipe would wait for a writer.
pub(crate) fn check_file(path: &Path, name: &str, limit: u64) -> Result<(), ImageError> {
    let metadata = std::fs::metadata(path)
        .map_err(|source| ImageError::Read { name: name.to_owned(), source })?;
    if metadata.is_dir() {
        return Err(ImageError::IsFolder { name: name.to_owned() });
    }
    if !metadata.is_file() {
        return Err(ImageError::NotAFile { name: name.to_owned() });
    }
    if metadata.len() > limit {
        return Err(ImageError::FileTooLarge { name: name.to_owned(), limit });
    }
    Ok(())
}

/// Every format but JPEG, by the `image` crate.
fn decode_other(
    bytes: &[u8],
    format: ImageFormat,
    name: &str,
    options: &DecodeOptions,
) -> Result<Decoded, ImageError> {
    let refuse = |error: ::image::ImageError| translate(error, format, name, &options.limits);
    let mut reader = ImageReader::with_format(Cursor::new(bytes), format);
    let mut limits = ::image::Limits::no_limits();
    limits.max_alloc = Some(options.limits.max_memory_bytes);
    reader.limits(limits);
    let mut decoder = reader.into_decoder().map_err(refuse)?;
    let (width, height) = decoder.dimensions();
    let (width, height) = (width as usize, height as usize);
    // As stored, as RGB, and the copy that turns the picture upright.
    let bytes_per_pixel = u64::from(decoder.color_type().bytes_per_pixel()) + 3 + 3;
    Checks { name, limits: &options.limits }.check(width, height, bytes_per_pixel)?;
    let orientation = match format {
        ImageFormat::WebP => webp_orientation(bytes),
        _ => decoder.orientation().ok(),
    };
    let pixels = DynamicImage::from_decoder(decoder).map_err(refuse)?;
    let rgb = to_rgb8(pixels).ok_or_else(|| ImageError::Unsupported {
        name: name.to_owned(),
        format: format!("{format:?}"),
        reason: "its samples are neither 8-bit nor 16-bit integers".to_owned(),
    })?;
    let orientation = orientation.unwrap_or(Orientation::NoTransforms);
    Ok(Decoded { width, height, rgb, orientation })
}

/// What a WebP's EXIF data say, if they can be read. The `image` crate's own reader takes as much
/// memory as their header claims, up to 4 GiB.
fn webp_orientation(bytes: &[u8]) -> Option<Orientation> {
    let mut decoder = image_webp::WebPDecoder::new(Cursor::new(bytes)).ok()?;
    decoder.set_memory_limit(bytes.len());
    Orientation::from_exif_chunk(&decoder.exif_metadata().ok()??)
}

/// Drops alpha, repeats grey, keeps the high byte of 16-bit samples; `None` for float samples.
fn to_rgb8(pixels: DynamicImage) -> Option<Vec<u8>> {
    fn rgb<T: Copy>(samples: &[T], channels: usize, to_u8: impl Fn(T) -> u8) -> Vec<u8> {
        let pick = if channels < 3 { [0, 0, 0] } else { [0, 1, 2] };
        samples.chunks_exact(channels).flat_map(|p| pick.map(|i| to_u8(p[i]))).collect()
    }
    let same = |sample: u8| sample;
    let high = |sample: u16| (sample >> 8) as u8;
    Some(match pixels {
        DynamicImage::ImageRgb8(p) => p.into_raw(),
        DynamicImage::ImageLuma8(p) => rgb(&p, 1, same),
        DynamicImage::ImageLumaA8(p) => rgb(&p, 2, same),
        DynamicImage::ImageRgba8(p) => rgb(&p, 4, same),
        DynamicImage::ImageLuma16(p) => rgb(&p, 1, high),
        DynamicImage::ImageLumaA16(p) => rgb(&p, 2, high),
        DynamicImage::ImageRgb16(p) => rgb(&p, 3, high),
        DynamicImage::ImageRgba16(p) => rgb(&p, 4, high),
        _ => return None,
    })
}

/// The `image` crate's errors in this crate's words.
pub(super) fn translate(
    error: ::image::ImageError,
    format: ImageFormat,
    name: &str,
    limits: &DecodeLimits,
) -> ImageError {
    let name = name.to_owned();
    match error {
        ::image::ImageError::Limits(_) => {
            ImageError::TooMuchMemory { name, limit: limits.max_memory_bytes }
        }
        ::image::ImageError::Unsupported(error) => ImageError::Unsupported {
            name,
            format: format!("{format:?}"),
            reason: error.to_string().escape_debug().to_string(),
        },
        error => ImageError::Damaged {
            name,
            format: format!("{format:?}"),
            reason: error.to_string().escape_debug().to_string(),
        },
    }
}

fn turn_upright(decoded: Decoded) -> Result<Image> {
    let Decoded { width, height, rgb, orientation } = decoded;
    let side = |side: usize| u32::try_from(side).ok();
    let buffer = side(width)
        .zip(side(height))
        .and_then(|(width, height)| ImageBuffer::from_raw(width, height, rgb));
    let Some(buffer) = buffer else {
        return Err(ImageError::PixelCount { width, height, actual: 0 }.into());
    };
    let mut image = DynamicImage::ImageRgb8(buffer);
    image.apply_orientation(orientation);
    let (width, height) = (image.width() as usize, image.height() as usize);
    Image::from_rgb8(width, height, image.into_rgb8().into_raw())
}
