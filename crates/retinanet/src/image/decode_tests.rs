//! What decoding gives for every kind of file, and what it says of bad ones.

use std::io::Cursor;

use ::image::{DynamicImage, ExtendedColorType, ImageEncoder, ImageFormat};
use sha2::{Digest, Sha256};

use super::{DecodeLimits, DecodeOptions, Image};

type Case = (&'static str, &'static [u8], [usize; 2], &'static str);

/// JPEGs of our own making: name, file, [width, height], and the start of the sha256 of their pixels
/// as stored. Equal on every CPU: zune-jpeg's AVX2, NEON and portable code must agree.
const JPEGS: &[Case] = &[
    (
        "adobe_rgb.jpg",
        include_bytes!("testdata/adobe_rgb.jpg"),
        [31, 23],
        "e96ca7f3c0b3130e",
    ),
    (
        "baseline_411.jpg",
        include_bytes!("testdata/baseline_411.jpg"),
        [51, 37],
        "11c216f3f7bc142a",
    ),
    (
        "baseline_420.jpg",
        include_bytes!("testdata/baseline_420.jpg"),
        [47, 33],
        "33687fea7d1145ef",
    ),
    (
        "baseline_422.jpg",
        include_bytes!("testdata/baseline_422.jpg"),
        [35, 41],
        "f9702e7b69974436",
    ),
    (
        "baseline_440.jpg",
        include_bytes!("testdata/baseline_440.jpg"),
        [41, 35],
        "84f3fcc679d5eb7f",
    ),
    (
        "baseline_444.jpg",
        include_bytes!("testdata/baseline_444.jpg"),
        [37, 29],
        "a142aa00790883ba",
    ),
    (
        "cmyk.jpg",
        include_bytes!("testdata/cmyk.jpg"),
        [34, 27],
        "119cbb6c180e16d0",
    ),
    (
        "exif_6.jpg",
        include_bytes!("testdata/exif_6.jpg"),
        [24, 16],
        "8dc4e8e3576e0d8a",
    ),
    (
        "grey.jpg",
        include_bytes!("testdata/grey.jpg"),
        [31, 23],
        "c2c64a8b209c6b03",
    ),
    (
        "narrow_420.jpg",
        include_bytes!("testdata/narrow_420.jpg"),
        [9, 17],
        "3f72a0ad4a4b6ec1",
    ),
    (
        "one_pixel.jpg",
        include_bytes!("testdata/one_pixel.jpg"),
        [1, 1],
        "f853f40fcb584ab1",
    ),
    (
        "progressive_411.jpg",
        include_bytes!("testdata/progressive_411.jpg"),
        [51, 37],
        "11c216f3f7bc142a",
    ),
    (
        "progressive_420.jpg",
        include_bytes!("testdata/progressive_420.jpg"),
        [47, 33],
        "33687fea7d1145ef",
    ),
    (
        "progressive_422.jpg",
        include_bytes!("testdata/progressive_422.jpg"),
        [35, 41],
        "f9702e7b69974436",
    ),
    (
        "progressive_440.jpg",
        include_bytes!("testdata/progressive_440.jpg"),
        [41, 35],
        "84f3fcc679d5eb7f",
    ),
    (
        "progressive_444.jpg",
        include_bytes!("testdata/progressive_444.jpg"),
        [37, 29],
        "a142aa00790883ba",
    ),
    (
        "ycck.jpg",
        include_bytes!("testdata/ycck.jpg"),
        [34, 27],
        "9fb26d965c44d550",
    ),
    (
        "ycck_progressive.jpg",
        include_bytes!("testdata/ycck_progressive.jpg"),
        [34, 27],
        "9fb26d965c44d550",
    ),
];

fn sha256_start(pixels: &[u8]) -> String {
    Sha256::digest(pixels)[..8]
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect()
}

fn jpeg(name: &str) -> &'static [u8] {
    JPEGS.iter().find(|case| case.0 == name).unwrap().1
}

fn as_stored() -> DecodeOptions {
    DecodeOptions {
        apply_exif_orientation: false,
        ..Default::default()
    }
}

fn message(bytes: &[u8], name: &str) -> String {
    Image::decode(bytes, name).unwrap_err().to_string()
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

#[test]
fn jpeg_pixels_are_the_published_ones_on_every_cpu() {
    for &(name, bytes, [width, height], sha256) in JPEGS {
        let image = Image::decode_with(bytes, name, &as_stored()).unwrap();
        assert_eq!([image.width(), image.height()], [width, height], "{name}");
        assert_eq!(sha256_start(image.as_rgb8()), sha256, "{name}");
    }
}

#[test]
fn cmyk_is_within_two_of_pil() {
    // PIL 13: `Image.open(name).convert("RGB")`, the pixels at (5, 3), (17, 13) and (33, 26).
    let cases: [(&str, [[u8; 3]; 3]); 2] = [
        ("cmyk.jpg", [[17, 25, 57], [115, 9, 20], [50, 15, 33]]),
        ("ycck.jpg", [[39, 70, 80], [72, 0, 106], [67, 23, 96]]),
    ];
    for (name, expected) in cases {
        let image = Image::decode(jpeg(name), name).unwrap();
        for ((x, y), expected) in [(5, 3), (17, 13), (33, 26)].into_iter().zip(expected) {
            let actual = &image.as_rgb8()[(y * image.width() + x) * 3..][..3];
            for (actual, expected) in actual.iter().zip(expected) {
                assert!(
                    actual.abs_diff(expected) <= 2,
                    "{name} ({x}, {y}): {actual:?} {expected:?}"
                );
            }
        }
    }
}

#[test]
fn exif_orientation_turns_the_picture_upright_unless_turned_off() {
    let bytes = jpeg("exif_6.jpg");
    let stored = Image::decode_with(bytes, "exif_6.jpg", &as_stored()).unwrap();
    let upright = Image::decode(bytes, "exif_6.jpg").unwrap();
    assert_eq!((stored.width(), stored.height()), (24, 16));
    assert_eq!((upright.width(), upright.height()), (16, 24));
    let pixel = |image: &Image, x: usize, y: usize| -> [u8; 3] {
        image.as_rgb8()[(y * image.width() + x) * 3..][..3]
            .try_into()
            .unwrap()
    };
    for y in 0..24 {
        for x in 0..16 {
            // Orientation 6: stored rows run down the right side.
            assert_eq!(
                pixel(&upright, x, y),
                pixel(&stored, y, 15 - x),
                "({x}, {y})"
            );
        }
    }
}

#[test]
fn all_eight_orientations_are_applied() {
    // 3 x 2 pixels a b c / d e f; where each orientation puts them, as PIL's `exif_transpose`.
    let upright = [
        "abcdef", "cbafed", "fedcba", "defabc", "adbecf", "daebfc", "fcebda", "cfbead",
    ];
    for (orientation, expected) in (1u16..).zip(upright) {
        let mut exif = b"MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01".to_vec();
        exif.extend(orientation.to_be_bytes());
        exif.extend([0; 6]);
        let mut png = Vec::new();
        let mut encoder = ::image::codecs::png::PngEncoder::new(&mut png);
        encoder.set_exif_metadata(exif).unwrap();
        encoder
            .write_image(b"abcdef", 3, 2, ExtendedColorType::L8)
            .unwrap();
        let image = Image::decode(&png, "orientation.png").unwrap();
        let tall = orientation > 4;
        assert_eq!(
            (image.width(), image.height()),
            if tall { (2, 3) } else { (3, 2) }
        );
        let letters: Vec<u8> = image.as_rgb8().chunks(3).map(|pixel| pixel[0]).collect();
        assert_eq!(
            String::from_utf8(letters).unwrap(),
            expected,
            "orientation {orientation}"
        );
    }
}

#[test]
fn alpha_is_dropped_and_sixteen_bits_keep_the_high_byte() {
    let DynamicImage::ImageRgba16(pixels) = sample(7, 5) else {
        unreachable!()
    };
    let expected: Vec<u8> = pixels
        .pixels()
        .flat_map(|p| [p[0], p[1], p[2]].map(|v| (v >> 8) as u8))
        .collect();
    for format in [ImageFormat::Png, ImageFormat::Tiff] {
        let bytes = encoded(&DynamicImage::ImageRgba16(pixels.clone()), format);
        assert_eq!(
            Image::decode(&bytes, "rgba16").unwrap().as_rgb8(),
            expected,
            "{format:?}"
        );
    }
}

#[test]
fn grey_becomes_three_equal_channels() {
    let grey = DynamicImage::ImageLumaA8(sample(6, 4).to_luma_alpha8());
    let expected: Vec<u8> = grey
        .as_luma_alpha8()
        .unwrap()
        .pixels()
        .flat_map(|pixel| [pixel[0]; 3])
        .collect();
    let bytes = encoded(&grey, ImageFormat::Png);
    assert_eq!(Image::decode(&bytes, "grey").unwrap().as_rgb8(), expected);
}

#[test]
fn every_lossless_format_gives_the_same_pixels() {
    let rgb = DynamicImage::ImageRgb8(sample(9, 6).to_rgb8());
    for format in [
        ImageFormat::Png,
        ImageFormat::Bmp,
        ImageFormat::WebP,
        ImageFormat::Tiff,
        ImageFormat::Pnm,
    ] {
        let image = Image::decode(&encoded(&rgb, format), "sample").unwrap();
        assert_eq!(image.as_rgb8(), rgb.as_bytes(), "{format:?}");
    }
}

#[test]
fn of_an_animation_the_first_frame_is_taken() {
    let mut gif = Vec::new();
    let mut encoder = ::image::codecs::gif::GifEncoder::new(&mut gif);
    for level in [200, 10] {
        let frame = ::image::RgbaImage::from_pixel(4, 3, ::image::Rgba([level, 0, 0, 255]));
        encoder.encode_frame(::image::Frame::new(frame)).unwrap();
    }
    drop(encoder);
    let image = Image::decode(&gif, "two frames.gif").unwrap();
    assert_eq!(image.as_rgb8(), [200, 0, 0].repeat(12));
}

#[test]
fn a_saved_png_gives_back_the_pixels() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("copy.png");
    let image = Image::decode(jpeg("baseline_420.jpg"), "baseline_420.jpg").unwrap();
    image.save_png(&path).unwrap();
    assert_eq!(Image::open(&path).unwrap(), image);
}

#[test]
fn a_missing_file_a_folder_and_an_empty_file_are_told_apart() {
    let folder = tempfile::tempdir().unwrap();
    let open = |path: &std::path::Path| Image::open(path).unwrap_err().to_string();
    let missing = folder.path().join("missing.jpg");
    assert!(
        open(&missing).contains("missing.jpg\": "),
        "{}",
        open(&missing)
    );
    assert!(open(&missing).contains("check the path and its permissions"));
    assert!(
        open(folder.path()).contains("it is a folder"),
        "{}",
        open(folder.path())
    );
    let empty = folder.path().join("empty.jpg");
    std::fs::write(&empty, b"").unwrap();
    assert!(
        open(&empty).contains("empty.jpg\" is empty (0 bytes)"),
        "{}",
        open(&empty)
    );
}

#[test]
fn text_named_jpg_is_not_an_image() {
    assert_eq!(
        message(b"hello\x1b[31m world, again", "te\nxt.jpg"),
        "\"te\\nxt.jpg\" is not an image: it starts with \"hello\\x1b[31m world\"; \
         JPEG, PNG, BMP, GIF, WebP, TIFF and PNM are read"
    );
}

#[test]
fn a_known_format_that_is_not_read_is_named() {
    let told = message(b"\0\0\0 ftypavif\0\0\0\0avifmif1", "photo.avif");
    assert!(
        told.contains("\"photo.avif\" (Avif) is not supported"),
        "{told}"
    );
    assert!(
        told.contains("convert it to an 8-bit PNG or JPEG"),
        "{told}"
    );
}

#[test]
fn a_file_cut_anywhere_is_an_error_or_whole() {
    let rgb = DynamicImage::ImageRgb8(sample(33, 21).to_rgb8());
    let other = [
        ImageFormat::Png,
        ImageFormat::Gif,
        ImageFormat::Bmp,
        ImageFormat::WebP,
    ]
    .map(|format| (format!("{format:?}"), encoded(&rgb, format)));
    let jpegs = JPEGS
        .iter()
        .map(|case| (case.0.to_owned(), case.1.to_vec()));
    for (name, bytes) in jpegs.chain(other) {
        let whole = Image::decode(&bytes, &name).unwrap();
        for end in 0..bytes.len() {
            if let Ok(image) = Image::decode(&bytes[..end], &name) {
                assert!(
                    image == whole,
                    "{name} cut to {end} of {} bytes",
                    bytes.len()
                );
                assert!(
                    bytes.len() - end <= 16,
                    "{name} cut to {end} of {} bytes",
                    bytes.len()
                );
            }
        }
    }
}

#[test]
fn cut_files_are_said_to_be_cut() {
    let jpeg = jpeg("baseline_444.jpg");
    let png = encoded(&sample(9, 9), ImageFormat::Png);
    for (bytes, name, format) in [
        (&jpeg[..jpeg.len() / 2], "cut.jpg", "Jpeg"),
        (&png[..png.len() / 2], "cut.png", "Png"),
    ] {
        let told = message(bytes, name);
        let start = format!("image {name:?} ({format}) is damaged or cut short: ");
        assert!(
            told.to_lowercase().starts_with(&start.to_lowercase()),
            "{told}"
        );
        assert!(told.ends_with("; download or copy it again"), "{told}");
    }
}

#[test]
fn what_is_left_of_a_damaged_jpeg_can_be_asked_for() {
    let bytes = jpeg("baseline_444.jpg");
    let options = DecodeOptions {
        accept_damaged_jpeg: true,
        ..Default::default()
    };
    let whole = Image::decode(bytes, "whole").unwrap();
    let left = Image::decode_with(&bytes[..bytes.len() - 100], "cut", &options).unwrap();
    assert_eq!(left.as_rgb8()[..37 * 3 * 8], whole.as_rgb8()[..37 * 3 * 8]);
    assert_ne!(left, whole);
}

/// A PNG that claims the sides given.
fn png_header(width: u32, height: u32) -> Vec<u8> {
    let mut png = encoded(&DynamicImage::new_rgb8(1, 1), ImageFormat::Png);
    png[16..20].copy_from_slice(&width.to_be_bytes());
    png[20..24].copy_from_slice(&height.to_be_bytes());
    let crc = crc32(&png[12..29]);
    png[29..33].copy_from_slice(&crc.to_be_bytes());
    png
}

fn crc32(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(!0, |crc, &byte| {
        (0..8).fold(crc ^ u32::from(byte), |crc, _| {
            if crc & 1 == 1 {
                crc >> 1 ^ 0xedb8_8320
            } else {
                crc >> 1
            }
        })
    })
}

#[test]
fn a_header_of_100000_by_100000_is_refused_at_once() {
    let started = std::time::Instant::now();
    let png = message(&png_header(100_000, 100_000), "bomb.png");
    let pnm = message(b"P6 100000 100000 255\n123", "bomb.ppm");
    for told in [&png, &pnm] {
        assert!(told.contains("is 100000 x 100000 pixels"), "{told}");
        assert!(told.contains("the limit of 100000000 pixels"), "{told}");
        assert!(told.contains("`DecodeLimits::max_pixels`"), "{told}");
    }
    let mut jpeg = jpeg("grey.jpg").to_vec();
    let frame = jpeg
        .windows(2)
        .position(|pair| pair == [0xff, 0xc0])
        .unwrap();
    jpeg[frame + 5..frame + 9].copy_from_slice(&[0xff; 4]);
    let told = message(&jpeg, "bomb.jpg");
    assert!(
        told.contains("\"bomb.jpg\" is 65535 x 65535 pixels"),
        "{told}"
    );
    assert!(
        started.elapsed().as_secs() < 2,
        "took {:?}",
        started.elapsed()
    );
}

#[test]
fn an_image_without_pixels_is_an_error() {
    let mut jpeg = jpeg("grey.jpg").to_vec();
    let frame = jpeg
        .windows(2)
        .position(|pair| pair == [0xff, 0xc0])
        .unwrap();
    jpeg[frame + 5..frame + 9].copy_from_slice(&[0; 4]);
    let mut bmp = encoded(&DynamicImage::new_rgb8(1, 1), ImageFormat::Bmp);
    bmp[18..22].copy_from_slice(&[0; 4]);
    for bytes in [jpeg, bmp, png_header(0, 5), b"P6 0 5 255\n".to_vec()] {
        let told = message(&bytes, "nothing");
        assert!(told.contains("\"nothing\""), "{told}");
    }
    assert!(
        Image::from_rgb8(0, 5, Vec::new())
            .unwrap_err()
            .to_string()
            .contains("is 0 x 5 pixels")
    );
}

#[test]
fn the_limits_are_kept_and_named() {
    let png = encoded(&DynamicImage::new_rgb8(30, 20), ImageFormat::Png);
    let with = |limits: DecodeLimits| {
        let options = DecodeOptions {
            limits,
            ..Default::default()
        };
        Image::decode_with(&png, "big.png", &options).map_err(|error| error.to_string())
    };
    let default = DecodeLimits::default;
    assert!(
        with(DecodeLimits {
            max_pixels: 600,
            ..default()
        })
        .is_ok()
    );
    let told = with(DecodeLimits {
        max_pixels: 599,
        ..default()
    })
    .unwrap_err();
    assert!(
        told.contains("30 x 20 pixels") && told.contains("limit of 599"),
        "{told}"
    );
    let told = with(DecodeLimits {
        max_memory_bytes: 600 * 9 - 1,
        ..default()
    })
    .unwrap_err();
    assert!(told.contains("`DecodeLimits::max_memory_bytes`"), "{told}");
    let told = with(DecodeLimits {
        max_file_bytes: 20,
        ..default()
    })
    .unwrap_err();
    assert!(told.contains("more than 20 bytes"), "{told}");

    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("big.png");
    std::fs::write(&path, &png).unwrap();
    let limits = DecodeLimits {
        max_file_bytes: 20,
        ..default()
    };
    let options = DecodeOptions {
        limits,
        ..Default::default()
    };
    let told = Image::open_with(&path, &options).unwrap_err().to_string();
    assert!(told.contains("more than 20 bytes"), "{told}");
}

#[test]
fn bytes_that_do_not_match_the_sides_are_refused() {
    let told = Image::from_rgb8(4, 3, vec![0; 35]).unwrap_err().to_string();
    assert!(
        told.contains("4 x 3 pixels") && told.contains("got 35 bytes"),
        "{told}"
    );
    assert!(Image::from_rgb8(usize::MAX, 2, vec![0; 6]).is_err());
}

#[test]
fn random_damage_never_panics() {
    let rgb = DynamicImage::ImageRgb8(sample(13, 11).to_rgb8());
    let formats = [
        ImageFormat::Png,
        ImageFormat::Gif,
        ImageFormat::Bmp,
        ImageFormat::WebP,
        ImageFormat::Tiff,
        ImageFormat::Pnm,
    ];
    let mut files: Vec<Vec<u8>> = formats
        .iter()
        .map(|&format| encoded(&rgb, format))
        .collect();
    files.extend(JPEGS.iter().map(|case| case.1.to_vec()));
    let limits = DecodeLimits {
        max_pixels: 100_000,
        ..Default::default()
    };
    let options = DecodeOptions {
        limits,
        ..Default::default()
    };
    let mut state = 1u64;
    let mut random = || {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as usize
    };
    for file in files {
        for _ in 0..100 {
            let mut damaged = file.clone();
            for _ in 0..3 {
                let at = random() % damaged.len();
                damaged[at] = random() as u8;
            }
            Image::decode_with(&damaged, "damaged", &options).ok();
        }
    }
}
