//! Pixels to PNG files.

use std::io;
use std::path::Path;

use crate::Result;
use crate::files::write_atomically;

/// Writes 8-bit `pixels` of `[height, width]` to a PNG, whole or not at all.
pub(super) fn save_png(
    path: &Path,
    [height, width]: [usize; 2],
    color: png::ColorType,
    pixels: &[u8],
) -> Result<()> {
    write_atomically(path, |file| {
        let side = |side: usize| {
            u32::try_from(side).map_err(|_| io::Error::other("a side is too long for a PNG"))
        };
        let mut encoder = png::Encoder::new(file, side(width)?, side(height)?);
        encoder.set_color(color);
        encoder.set_depth(png::BitDepth::Eight);
        let mut writer = encoder.write_header()?;
        writer.write_image_data(pixels)?;
        Ok(writer.finish()?)
    })?;
    Ok(())
}
