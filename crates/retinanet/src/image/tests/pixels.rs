//! Good files.

use ::image::{DynamicImage, ExtendedColorType, ImageEncoder, ImageFormat};
use sha2::{Digest, Sha256};

use super::super::{DecodeOptions, Image};
use super::{JPEGS, encoded, jpeg, sample};

fn as_stored() -> DecodeOptions {
    DecodeOptions { apply_exif_orientation: false, ..Default::default() }
}

fn sha256_start(pixels: &[u8]) -> String {
    Sha256::digest(pixels)[..8].iter().map(|byte| format!("{byte:02x}")).collect()
}

#[test]
fn jpeg_pixels_are_pils_on_every_cpu() {
    for &(name, bytes, [width, height], sha256) in JPEGS {
        let image = Image::decode_with(bytes, name, &as_stored()).unwrap();
        assert_eq!([image.width(), image.height()], [width, height], "{name}");
        assert_eq!(sha256_start(image.as_rgb8()), sha256, "{name}");
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
        image.as_rgb8()[(y * image.width() + x) * 3..][..3].try_into().unwrap()
    };
    for y in 0..24 {
        for x in 0..16 {
            // Orientation 6: stored rows run down the right side.
            assert_eq!(pixel(&upright, x, y), pixel(&stored, y, 15 - x), "({x}, {y})");
        }
    }
}

#[test]
fn a_webps_orientation_is_applied_and_a_false_one_ignored() {
    let turned = include_bytes!("../testdata/exif_6.webp");
    let stored = Image::decode_with(turned, "exif_6.webp", &as_stored()).unwrap();
    let upright = Image::decode(turned, "exif_6.webp").unwrap();
    assert_eq!((stored.width(), stored.height()), (9, 7));
    assert_eq!((upright.width(), upright.height()), (7, 9));
    // The EXIF data are said to be 4 GiB long.
    let claim = include_bytes!("../testdata/exif_of_4_gib.webp");
    let image = Image::decode(claim, "exif_of_4_gib.webp").unwrap();
    assert_eq!((image.width(), image.height()), (9, 7));
}

#[test]
fn all_eight_orientations_are_applied() {
    // 3 x 2 pixels a b c / d e f; where each orientation puts them, as PIL's `exif_transpose`.
    let upright = ["abcdef", "cbafed", "fedcba", "defabc", "adbecf", "daebfc", "fcebda", "cfbead"];
    for (orientation, expected) in (1u16..).zip(upright) {
        let mut exif = b"MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01".to_vec();
        exif.extend(orientation.to_be_bytes());
        exif.extend([0; 6]);
        let mut png = Vec::new();
        let mut encoder = ::image::codecs::png::PngEncoder::new(&mut png);
        encoder.set_exif_metadata(exif).unwrap();
        encoder.write_image(b"abcdef", 3, 2, ExtendedColorType::L8).unwrap();
        let image = Image::decode(&png, "orientation.png").unwrap();
        let tall = orientation > 4;
        assert_eq!((image.width(), image.height()), if tall { (2, 3) } else { (3, 2) });
        let letters: Vec<u8> = image.as_rgb8().chunks(3).map(|pixel| pixel[0]).collect();
        assert_eq!(String::from_utf8(letters).unwrap(), expected, "orientation {orientation}");
    }
}

#[test]
fn alpha_is_dropped_and_sixteen_bits_keep_the_high_byte() {
    let DynamicImage::ImageRgba16(pixels) = sample(7, 5) else { unreachable!() };
    let expected: Vec<u8> =
        pixels.pixels().flat_map(|p| [p[0], p[1], p[2]].map(|v| (v >> 8) as u8)).collect();
    for format in [ImageFormat::Png, ImageFormat::Tiff] {
        let bytes = encoded(&DynamicImage::ImageRgba16(pixels.clone()), format);
        assert_eq!(Image::decode(&bytes, "rgba16").unwrap().as_rgb8(), expected, "{format:?}");
    }
}

#[test]
fn grey_becomes_three_equal_channels() {
    let grey = DynamicImage::ImageLumaA8(sample(6, 4).to_luma_alpha8());
    let expected: Vec<u8> =
        grey.as_luma_alpha8().unwrap().pixels().flat_map(|pixel| [pixel[0]; 3]).collect();
    let bytes = encoded(&grey, ImageFormat::Png);
    assert_eq!(Image::decode(&bytes, "grey").unwrap().as_rgb8(), expected);
}

#[test]
fn every_lossless_format_gives_the_same_pixels() {
    let rgb = DynamicImage::ImageRgb8(sample(9, 6).to_rgb8());
    for format in
        [ImageFormat::Png, ImageFormat::Bmp, ImageFormat::WebP, ImageFormat::Tiff, ImageFormat::Pnm]
    {
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
