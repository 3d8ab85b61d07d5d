//! An image file read once: hashed and decoded from the same bytes.

use std::path::Path;

use sha2::{Digest as _, Sha256};

use super::line::FileRecord;
use crate::Result;
use crate::determinism::Digest;
use crate::eval::decode_as_annotated;
use crate::image::{DecodeOptions, Image, read_file};

/// Reads an image file; what a log says of it, and its pixels or why there are none. `name` is for messages, `size`
/// the annotated width and height, if there is one.
pub(crate) fn open_on_record(
    path: &Path,
    name: &str,
    options: &DecodeOptions,
    size: Option<[u64; 2]>,
) -> Result<(FileRecord, Result<Image>)> {
    let content = read_file(path, name, options.limits.max_file_bytes)?;
    let mut file = FileRecord {
        bytes: content.len() as u64,
        sha256: Digest::from_bytes(Sha256::digest(&content).into()),
        as_stored: !options.apply_exif_orientation,
    };
    let image = decode_as_annotated(&content, name, options, size).map(|(image, as_stored)| {
        file.as_stored |= as_stored;
        image
    });
    Ok((file, image))
}
