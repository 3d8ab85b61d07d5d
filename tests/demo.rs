//! The bundled photo and checkpoint.

use retinanet::{Detector, DetectorBuilder, Image};
use retinanet_examples::{PHOTO, WEIGHTS};

/// The bundled photo.
pub fn photo() -> Image {
    Image::open(PHOTO).expect("the bundled photo")
}

/// The builder of a detector with the bundled checkpoint.
pub fn builder() -> DetectorBuilder {
    Detector::builder().weights(WEIGHTS)
}

/// A detector with the bundled checkpoint.
pub fn detector() -> Detector {
    builder().build().expect("the bundled checkpoint")
}

/// The part of an image of `width` by `height` pixels whose upper left corner is at `(x, y)`.
pub fn cut(image: &Image, [x, y]: [usize; 2], [width, height]: [usize; 2]) -> Image {
    let rows = image.as_rgb8().chunks_exact(image.width() * 3).skip(y).take(height);
    let rgb = rows.flat_map(|row| &row[x * 3..][..width * 3]).copied().collect();
    Image::from_rgb8(width, height, rgb).expect("a part of the image")
}
