//! What image files are called.

use std::path::Path;

use super::paths::bytes;

/// Endings of the formats that are read.
pub(super) const ENDINGS: [&str; 16] = [
    "jpg", "jpeg", "jpe", "jfif", "png", "bmp", "dib", "gif", "webp", "tif", "tiff", "pbm", "pgm",
    "ppm", "pnm", "pam",
];

/// Whether a path ends in one of `endings`, in any case.
pub(super) fn has_ending(path: &Path, endings: &[&str]) -> bool {
    let ending = path.extension().and_then(|ending| ending.to_str());
    ending.is_some_and(|ending| endings.iter().any(|known| known.eq_ignore_ascii_case(ending)))
}

/// Whether a file is called like an image that can be read.
pub(super) fn is_called_like_an_image(path: &Path) -> bool {
    let hidden = path.file_name().is_some_and(|name| bytes(Path::new(name)).starts_with(b"."));
    !hidden && has_ending(path, &ENDINGS)
}
