//! What decoding gives for every kind of file, and what it says of bad ones.

mod pixels;
mod refusals;
mod rows;

use std::io::Cursor;

use ::image::{DynamicImage, ImageFormat};

type Case = (&'static str, &'static [u8], [usize; 2], &'static str);

/// JPEGs of our own making: name, file, [width, height], and the start of the sha256 of their pixels
/// as stored, which are PIL's (`tests/golden/make_jpeg_pixels.py`).
const JPEGS: &[Case] = &[
    ("adobe_rgb.jpg", include_bytes!("../testdata/adobe_rgb.jpg"), [31, 23], "9adee664043225af"),
    (
        "baseline_411.jpg",
        include_bytes!("../testdata/baseline_411.jpg"),
        [51, 37],
        "537560b39113ce9c",
    ),
    (
        "baseline_420.jpg",
        include_bytes!("../testdata/baseline_420.jpg"),
        [47, 33],
        "ad1c2f0bd08958fa",
    ),
    (
        "baseline_422.jpg",
        include_bytes!("../testdata/baseline_422.jpg"),
        [35, 41],
        "25894fc65a283b3c",
    ),
    (
        "baseline_440.jpg",
        include_bytes!("../testdata/baseline_440.jpg"),
        [41, 35],
        "9003aa38e5d9e26e",
    ),
    (
        "baseline_444.jpg",
        include_bytes!("../testdata/baseline_444.jpg"),
        [37, 29],
        "54483885a8feda5e",
    ),
    ("cmyk.jpg", include_bytes!("../testdata/cmyk.jpg"), [34, 27], "f5ec65a4c7e1c7f0"),
    ("exif_6.jpg", include_bytes!("../testdata/exif_6.jpg"), [24, 16], "487d6b0118544912"),
    ("grey.jpg", include_bytes!("../testdata/grey.jpg"), [31, 23], "e767e41d99c4ad1f"),
    ("narrow_420.jpg", include_bytes!("../testdata/narrow_420.jpg"), [9, 17], "9a6a79ff9c55e1ec"),
    ("one_pixel.jpg", include_bytes!("../testdata/one_pixel.jpg"), [1, 1], "f853f40fcb584ab1"),
    (
        "progressive_411.jpg",
        include_bytes!("../testdata/progressive_411.jpg"),
        [51, 37],
        "537560b39113ce9c",
    ),
    (
        "progressive_420.jpg",
        include_bytes!("../testdata/progressive_420.jpg"),
        [47, 33],
        "ad1c2f0bd08958fa",
    ),
    (
        "progressive_422.jpg",
        include_bytes!("../testdata/progressive_422.jpg"),
        [35, 41],
        "25894fc65a283b3c",
    ),
    (
        "progressive_440.jpg",
        include_bytes!("../testdata/progressive_440.jpg"),
        [41, 35],
        "9003aa38e5d9e26e",
    ),
    (
        "progressive_444.jpg",
        include_bytes!("../testdata/progressive_444.jpg"),
        [37, 29],
        "54483885a8feda5e",
    ),
    ("ycck.jpg", include_bytes!("../testdata/ycck.jpg"), [34, 27], "372209818b9cc927"),
    (
        "ycck_progressive.jpg",
        include_bytes!("../testdata/ycck_progressive.jpg"),
        [34, 27],
        "372209818b9cc927",
    ),
];

fn jpeg(name: &str) -> &'static [u8] {
    JPEGS.iter().find(|case| case.0 == name).unwrap().1
}

/// A picture in which no two neighbours are alike.
fn sample(width: u32, height: u32) -> DynamicImage {
    DynamicImage::ImageRgba16(::image::ImageBuffer::from_fn(width, height, |x, y| {
        ::image::Rgba([1, 7, 13, 29].map(|k| ((x * 4099 * k + y * 977 * (k + 1)) % 65_536) as u16))
    }))
}

fn encoded(image: &DynamicImage, format: ImageFormat) -> Vec<u8> {
    let mut bytes = Cursor::new(Vec::new());
    image.write_to(&mut bytes, format).unwrap();
    bytes.into_inner()
}
