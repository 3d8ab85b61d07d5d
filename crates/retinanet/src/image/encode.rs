//! Pixels to PNG files.

use std::io::{self, Write};
use std::path::Path;

use crate::Result;
use crate::files::{WriteError, write_atomically};

/// Writes 8-bit `pixels` of `[height, width]` to a PNG, whole or not at all.
pub(super) fn save_png(
    path: &Path,
    size: [usize; 2],
    color: png::ColorType,
    pixels: &[u8],
) -> Result<()> {
    Ok(write_atomically(path, |file| encode(file, size, color, pixels))?)
}

/// The bytes that [`save_png`] writes; `name` is for messages.
pub(super) fn to_png(
    name: &Path,
    size: [usize; 2],
    color: png::ColorType,
    pixels: &[u8],
) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let encoded = encode(&mut bytes, size, color, pixels);
    encoded.map_err(|source| WriteError { path: name.to_owned(), source })?;
    Ok(bytes)
}

fn encode(
    to: impl Write,
    [height, width]: [usize; 2],
    color: png::ColorType,
    pixels: &[u8],
) -> io::Result<()> {
    let side = |side: usize| {
        u32::try_from(side).map_err(|_| io::Error::other("a side is too long for a PNG"))
    };
    let mut encoder = png::Encoder::new(to, side(width)?, side(height)?);
    encoder.set_color(color);
    encoder.set_depth(png::BitDepth::Eight);
    let mut writer = encoder.write_header()?;
    writer.write_image_data(pixels)?;
    Ok(writer.finish()?)
}
