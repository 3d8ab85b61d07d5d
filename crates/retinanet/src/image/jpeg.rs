//! JPEG, decoded by zune-jpeg directly: its strict mode tells damaged files, and its colour
//! conversions cover CMYK and YCCK.

use zune_core::bytestream::ZCursor;
use zune_core::colorspace::ColorSpace;
use zune_core::options::DecoderOptions;
use zune_jpeg::JpegDecoder;
use zune_jpeg::errors::DecodeErrors;

use super::decode_options::{Checks, DecodeOptions, Decoded};
use crate::error::ImageError;

const FORMAT: &str = "JPEG";

/// What decoding may hold per pixel: output, four 16-bit coefficient planes when progressive, and
/// the copy that turns the picture upright.
const BYTES_PER_PIXEL: u64 = 3 + 4 * 2 + 3;

pub(super) fn decode(
    bytes: &[u8],
    name: &str,
    options: &DecodeOptions,
) -> Result<Decoded, ImageError> {
    let refuse = |error: DecodeErrors| match error {
        DecodeErrors::Unsupported(scheme) => ImageError::Unsupported {
            name: name.to_owned(),
            format: FORMAT.to_owned(),
            reason: format!("{scheme:?}"),
        },
        error => damaged(name, &format!("{error:?}")),
    };
    let decoder_options = DecoderOptions::default()
        .set_strict_mode(!options.accept_damaged_jpeg)
        // The limits on pixels and memory are ours.
        .set_max_width(usize::MAX)
        .set_max_height(usize::MAX)
        .jpeg_set_out_colorspace(ColorSpace::RGB);
    let mut decoder = JpegDecoder::new_with_options(ZCursor::new(bytes), decoder_options);
    decoder.decode_headers().map_err(refuse)?;
    let (width, height) = decoder.dimensions().unwrap_or_default();
    Checks { name, limits: &options.limits }.check(width, height, BYTES_PER_PIXEL)?;
    if !options.accept_damaged_jpeg && !reaches_its_end(bytes) {
        return Err(damaged(name, "the end-of-image marker is missing"));
    }
    let mut rgb = vec![0; width * height * 3];
    decoder.decode_into(&mut rgb).map_err(refuse)?;
    let orientation = decoder
        .exif()
        .and_then(|chunk| ::image::metadata::Orientation::from_exif_chunk(chunk))
        .unwrap_or(::image::metadata::Orientation::NoTransforms);
    Ok(Decoded { width, height, rgb, orientation })
}

fn damaged(name: &str, reason: &str) -> ImageError {
    ImageError::Damaged {
        name: name.to_owned(),
        format: FORMAT.to_owned(),
        reason: format!("{reason} (`DecodeOptions::accept_damaged_jpeg` decodes what is left)"),
    }
}

/// Whether walking the segments leads to the end-of-image marker. The decoder itself fills what is
/// missing of the last row of blocks and says nothing.
fn reaches_its_end(bytes: &[u8]) -> bool {
    const END: u8 = 0xd9;
    let mut rest = bytes.get(2..).unwrap_or_default();
    while let [first, second, tail @ ..] = rest {
        match (first, second) {
            (0xff, 0xff) => rest = &rest[1..],
            (0xff, &END) => return true,
            // Stuffed bytes and restart markers belong to the scan; TEM and the like stand alone.
            (0xff, 0x00..=0x01 | 0xd0..=0xd8) => rest = tail,
            (0xff, _) => {
                let [high, low, ..] = tail else { return false };
                let length = usize::from(u16::from_be_bytes([*high, *low]));
                rest = tail.get(length..).unwrap_or_default();
            }
            _ => rest = &rest[1..],
        }
    }
    false
}
