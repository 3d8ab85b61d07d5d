//! What decoding gives for every kind of file, and what it says of bad ones.

mod pixels;
mod refusals;

use std::io::Cursor;

use ::image::{DynamicImage, ImageFormat};

type Case = (&'static str, &'static [u8], [usize; 2], &'static str);

/// JPEGs of our own making: name, file, [width, height], and the start of the sha256 of their pixels
/// as stored. Equal on every CPU: zune-jpeg's AVX2, NEON and portable code must agree.
const JPEGS: &[Case] = &[
    ("adobe_rgb.jpg", include_bytes!("../testdata/adobe_rgb.jpg"), [31, 23], "e96ca7f3c0b3130e"),
    (
        "baseline_411.jpg",
        include_bytes!("../testdata/baseline_411.jpg"),
        [51, 37],
        "11c216f3f7bc142a",
    ),
    (
        "baseline_420.jpg",
        include_bytes!("../testdata/baseline_420.jpg"),
        [47, 33],
        "33687fea7d1145ef",
    ),
    (
        "baseline_422.jpg",
        include_bytes!("../testdata/baseline_422.jpg"),
        [35, 41],
        "f9702e7b69974436",
    ),
    (
        "baseline_440.jpg",
        include_bytes!("../testdata/baseline_440.jpg"),
        [41, 35],
        "84f3fcc679d5eb7f",
    ),
    (
        "baseline_444.jpg",
        include_bytes!("../testdata/baseline_444.jpg"),
        [37, 29],
        "a142aa00790883ba",
    ),
    ("cmyk.jpg", include_bytes!("../testdata/cmyk.jpg"), [34, 27], "119cbb6c180e16d0"),
    ("exif_6.jpg", include_bytes!("../testdata/exif_6.jpg"), [24, 16], "8dc4e8e3576e0d8a"),
    ("grey.jpg", include_bytes!("../testdata/grey.jpg"), [31, 23], "c2c64a8b209c6b03"),
    ("narrow_420.jpg", include_bytes!("../testdata/narrow_420.jpg"), [9, 17], "3f72a0ad4a4b6ec1"),
    ("one_pixel.jpg", include_bytes!("../testdata/one_pixel.jpg"), [1, 1], "f853f40fcb584ab1"),
    (
        "progressive_411.jpg",
        include_bytes!("../testdata/progressive_411.jpg"),
        [51, 37],
        "11c216f3f7bc142a",
    ),
    (
        "progressive_420.jpg",
        include_bytes!("../testdata/progressive_420.jpg"),
        [47, 33],
        "33687fea7d1145ef",
    ),
    (
        "progressive_422.jpg",
        include_bytes!("../testdata/progressive_422.jpg"),
        [35, 41],
        "f9702e7b69974436",
    ),
    (
        "progressive_440.jpg",
        include_bytes!("../testdata/progressive_440.jpg"),
        [41, 35],
        "84f3fcc679d5eb7f",
    ),
    (
        "progressive_444.jpg",
        include_bytes!("../testdata/progressive_444.jpg"),
        [37, 29],
        "a142aa00790883ba",
    ),
    ("ycck.jpg", include_bytes!("../testdata/ycck.jpg"), [34, 27], "9fb26d965c44d550"),
    (
        "ycck_progressive.jpg",
        include_bytes!("../testdata/ycck_progressive.jpg"),
        [34, 27],
        "9fb26d965c44d550",
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
