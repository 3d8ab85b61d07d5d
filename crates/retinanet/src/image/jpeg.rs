//! JPEG, decoded by `retinanet-jpeg` to libjpeg-turbo's pixels.

use ::image::metadata::Orientation;
use retinanet_jpeg::{Damage, Error, Options};

use super::decode_options::{Checks, DecodeOptions, Decoded};
use crate::error::ImageError;

const FORMAT: &str = "JPEG";

/// The copy that turns the picture upright.
const UPRIGHT_BYTES_PER_PIXEL: u64 = 3;

pub(super) fn decode(
    bytes: &[u8],
    name: &str,
    options: &DecodeOptions,
) -> Result<Decoded, ImageError> {
    let refuse = |error| refusal(error, name);
    let header = retinanet_jpeg::read_header(bytes).map_err(refuse)?;
    let (width, height) = (header.width as usize, header.height as usize);
    let pixels = u64::from(header.width) * u64::from(header.height);
    let bytes_per_pixel = header.memory_bytes.div_ceil(pixels.max(1)) + UPRIGHT_BYTES_PER_PIXEL;
    Checks { name, limits: &options.limits }.check(width, height, bytes_per_pixel)?;
    let decoded = retinanet_jpeg::decode_rgb(
        bytes,
        &Options {
            max_pixels: options.limits.max_pixels,
            max_memory_bytes: options.limits.max_memory_bytes,
            accept_truncated: options.accept_damaged_jpeg,
            ..Options::default()
        },
    );
    let image = decoded.map_err(refuse)?;
    if let Some(damage) = image.damage
        && !options.accept_damaged_jpeg
    {
        return Err(damaged(name, &acceptable(text(damage))));
    }
    let orientation =
        header.exif.and_then(Orientation::from_exif_chunk).unwrap_or(Orientation::NoTransforms);
    Ok(Decoded { width, height, rgb: image.pixels, orientation })
}

fn refusal(error: Error, name: &str) -> ImageError {
    let unsupported = |reason: String| ImageError::Unsupported {
        name: name.to_owned(),
        format: FORMAT.to_owned(),
        reason,
    };
    match error {
        Error::Unsupported { what } => unsupported(format!("{what} JPEGs are not decoded")),
        Error::TooManyScans { limit } => unsupported(format!("it has more than {limit} scans")),
        Error::TooManyPixels { width, height, limit } => ImageError::TooManyPixels {
            name: name.to_owned(),
            width: width.into(),
            height: height.into(),
            limit,
        },
        Error::TooMuchMemory { limit, .. } => {
            ImageError::TooMuchMemory { name: name.to_owned(), limit }
        }
        Error::Truncated => damaged(name, &acceptable(text(Damage::Truncated))),
        Error::Damaged { what } => damaged(name, what),
        error => damaged(name, &error.to_string()),
    }
}

fn damaged(name: &str, reason: &str) -> ImageError {
    ImageError::Damaged {
        name: name.to_owned(),
        format: FORMAT.to_owned(),
        reason: reason.to_owned(),
    }
}

/// A reason that an option would overlook.
fn acceptable(reason: &str) -> String {
    format!("{reason} (`DecodeOptions::accept_damaged_jpeg` decodes what is left)")
}

fn text(damage: Damage) -> &'static str {
    match damage {
        Damage::BadHuffmanCode => "there is a bit pattern that is no Huffman code",
        Damage::ScanEndsEarly => "a scan ends before its last block",
        Damage::RestartOutOfPlace => "a restart marker is missing or out of place",
        Damage::Truncated => "the data end before the image does",
        _ => "its entropy-coded data are damaged",
    }
}
