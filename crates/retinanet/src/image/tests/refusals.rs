//! Bad files, and files over the limits.

use ::image::{DynamicImage, ImageFormat};

use super::super::{DecodeLimits, DecodeOptions, Image};
use super::{JPEGS, encoded, jpeg, sample};

fn message(bytes: &[u8], name: &str) -> String {
    Image::decode(bytes, name).unwrap_err().to_string()
}

#[test]
fn a_missing_file_a_folder_and_an_empty_file_are_told_apart() {
    let folder = tempfile::tempdir().unwrap();
    let open = |path: &std::path::Path| Image::open(path).unwrap_err().to_string();
    let missing = folder.path().join("missing.jpg");
    assert!(open(&missing).contains("missing.jpg\": "), "{}", open(&missing));
    assert!(open(&missing).contains("check the path and its permissions"));
    assert!(open(folder.path()).contains("it is a folder"), "{}", open(folder.path()));
    let empty = folder.path().join("empty.jpg");
    std::fs::write(&empty, b"").unwrap();
    assert!(open(&empty).contains("empty.jpg\" is empty (0 bytes)"), "{}", open(&empty));
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
    assert!(told.contains("\"photo.avif\" (Avif) is not supported"), "{told}");
    assert!(told.contains("convert it to an 8-bit PNG or JPEG"), "{told}");
}

#[test]
fn a_file_cut_anywhere_is_an_error_or_whole() {
    let rgb = DynamicImage::ImageRgb8(sample(33, 21).to_rgb8());
    let other = [ImageFormat::Png, ImageFormat::Gif, ImageFormat::Bmp, ImageFormat::WebP]
        .map(|format| (format!("{format:?}"), encoded(&rgb, format)));
    let jpegs = JPEGS.iter().map(|case| (case.0.to_owned(), case.1.to_vec()));
    for (name, bytes) in jpegs.chain(other) {
        let whole = Image::decode(&bytes, &name).unwrap();
        for end in 0..bytes.len() {
            if let Ok(image) = Image::decode(&bytes[..end], &name) {
                assert!(image == whole, "{name} cut to {end} of {} bytes", bytes.len());
                assert!(bytes.len() - end <= 16, "{name} cut to {end} of {} bytes", bytes.len());
            }
        }
    }
}

#[test]
fn cut_files_are_said_to_be_cut() {
    let jpeg = jpeg("baseline_444.jpg");
    let png = encoded(&sample(9, 9), ImageFormat::Png);
    for (bytes, name, format) in
        [(&jpeg[..jpeg.len() / 2], "cut.jpg", "Jpeg"), (&png[..png.len() / 2], "cut.png", "Png")]
    {
        let told = message(bytes, name);
        let start = format!("image {name:?} ({format}) is damaged or cut short: ");
        assert!(told.to_lowercase().starts_with(&start.to_lowercase()), "{told}");
        assert!(told.ends_with("; download or copy it again"), "{told}");
    }
}

#[test]
fn what_is_left_of_a_damaged_jpeg_can_be_asked_for() {
    let bytes = jpeg("baseline_444.jpg");
    let options = DecodeOptions { accept_damaged_jpeg: true, ..Default::default() };
    let whole = Image::decode(bytes, "whole").unwrap();
    let left = Image::decode_with(&bytes[..bytes.len() - 100], "cut", &options).unwrap();
    assert_eq!(left.as_rgb8()[..37 * 3 * 8], whole.as_rgb8()[..37 * 3 * 8]);
    assert_ne!(left, whole);
}

#[test]
fn damage_that_libjpeg_only_warns_of_is_an_error_unless_asked_for() {
    let bytes = jpeg("baseline_444.jpg");
    let mut ends_early = bytes[..bytes.len() - 100].to_vec();
    ends_early.extend([0xff, 0xd9]);
    let told = message(&ends_early, "early.jpg");
    assert!(told.contains("a scan ends before its last block (`DecodeOptions::"), "{told}");
    let options = DecodeOptions { accept_damaged_jpeg: true, ..Default::default() };
    assert!(Image::decode_with(&ends_early, "early.jpg", &options).is_ok());
}

#[test]
fn kinds_of_jpeg_that_are_not_decoded_are_named() {
    let changed = |at: usize, to: u8| {
        let mut bytes = jpeg("grey.jpg").to_vec();
        let frame = bytes.windows(2).position(|pair| pair == [0xff, 0xc0]).unwrap();
        bytes[frame + at] = to;
        message(&bytes, "kind.jpg")
    };
    // The frame's marker tells arithmetic coding and lossless, its fifth byte the samples' bits.
    for (at, to, kind) in [(1, 0xc9, "arithmetic"), (1, 0xc3, "lossless"), (4, 12, "12-bit")] {
        let told = changed(at, to);
        assert!(told.contains("\"kind.jpg\" (JPEG) is not supported: "), "{told}");
        assert!(told.contains(kind) && told.contains("JPEGs are not decoded"), "{told}");
    }
}

#[test]
fn a_jpegs_memory_is_held_against_the_limit() {
    let with = |max_memory_bytes| {
        let limits = DecodeLimits { max_memory_bytes, ..Default::default() };
        let options = DecodeOptions { limits, ..Default::default() };
        Image::decode_with(jpeg("progressive_420.jpg"), "big.jpg", &options)
    };
    assert!(with(1 << 20).is_ok());
    let told = with(1 << 16).unwrap_err().to_string();
    assert!(told.contains("`DecodeLimits::max_memory_bytes`"), "{told}");
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

pub(super) fn crc32(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(!0, |crc, &byte| {
        (0..8).fold(crc ^ u32::from(byte), |crc, _| {
            if crc & 1 == 1 { crc >> 1 ^ 0xedb8_8320 } else { crc >> 1 }
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
    let frame = jpeg.windows(2).position(|pair| pair == [0xff, 0xc0]).unwrap();
    jpeg[frame + 5..frame + 9].copy_from_slice(&[0xff; 4]);
    let told = message(&jpeg, "bomb.jpg");
    assert!(told.contains("\"bomb.jpg\" is 65535 x 65535 pixels"), "{told}");
    assert!(started.elapsed().as_secs() < 2, "took {:?}", started.elapsed());
}

#[test]
fn an_image_without_pixels_is_an_error() {
    let mut jpeg = jpeg("grey.jpg").to_vec();
    let frame = jpeg.windows(2).position(|pair| pair == [0xff, 0xc0]).unwrap();
    jpeg[frame + 5..frame + 9].copy_from_slice(&[0; 4]);
    let mut bmp = encoded(&DynamicImage::new_rgb8(1, 1), ImageFormat::Bmp);
    bmp[18..22].copy_from_slice(&[0; 4]);
    for bytes in [jpeg, bmp, png_header(0, 5), b"P6 0 5 255\n".to_vec()] {
        let told = message(&bytes, "nothing");
        assert!(told.contains("\"nothing\""), "{told}");
    }
    assert!(
        Image::from_rgb8(0, 5, Vec::new()).unwrap_err().to_string().contains("is 0 x 5 pixels")
    );
}

#[test]
fn the_limits_are_kept_and_named() {
    let png = encoded(&DynamicImage::new_rgb8(30, 20), ImageFormat::Png);
    let with = |limits: DecodeLimits| {
        let options = DecodeOptions { limits, ..Default::default() };
        Image::decode_with(&png, "big.png", &options).map_err(|error| error.to_string())
    };
    let default = DecodeLimits::default;
    assert!(with(DecodeLimits { max_pixels: 600, ..default() }).is_ok());
    let told = with(DecodeLimits { max_pixels: 599, ..default() }).unwrap_err();
    assert!(told.contains("30 x 20 pixels") && told.contains("limit of 599"), "{told}");
    let told = with(DecodeLimits { max_memory_bytes: 600 * 9 - 1, ..default() }).unwrap_err();
    assert!(told.contains("`DecodeLimits::max_memory_bytes`"), "{told}");
    let told = with(DecodeLimits { max_file_bytes: 20, ..default() }).unwrap_err();
    assert!(told.contains("more than 20 bytes"), "{told}");

    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("big.png");
    std::fs::write(&path, &png).unwrap();
    let limits = DecodeLimits { max_file_bytes: 20, ..default() };
    let options = DecodeOptions { limits, ..Default::default() };
    let told = Image::open_with(&path, &options).unwrap_err().to_string();
    assert!(told.contains("more than 20 bytes"), "{told}");
}

#[test]
fn bytes_that_do_not_match_the_sides_are_refused() {
    let told = Image::from_rgb8(4, 3, vec![0; 35]).unwrap_err().to_string();
    assert!(told.contains("4 x 3 pixels") && told.contains("got 35 bytes"), "{told}");
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
    let mut files: Vec<Vec<u8>> = formats.iter().map(|&format| encoded(&rgb, format)).collect();
    files.extend(JPEGS.iter().map(|case| case.1.to_vec()));
    let limits = DecodeLimits { max_pixels: 100_000, ..Default::default() };
    let options = DecodeOptions { limits, ..Default::default() };
    let mut state = 1u64;
    let mut random = || {
        state =
            state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
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
