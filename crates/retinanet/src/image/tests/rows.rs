//! Rows read one after the other are those of the whole decode.

use std::io::Cursor;

use ::image::ImageFormat;
use png::{BitDepth, ColorType};
use tiff::encoder::{Compression, DeflateLevel, Predictor, TiffEncoder, colortype};

use super::super::{DecodeLimits, DecodeOptions, Image, ImageRows};
use super::{JPEGS, encoded, sample};

/// Bytes in which no two neighbours are alike.
fn noise(count: usize) -> Vec<u8> {
    let mut state = 12_345u32;
    let mut next = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 24) as u8
    };
    (0..count).map(|_| next()).collect()
}

/// All windows that a tiling could ask for, against the whole decode; whether the rows came one by one.
#[track_caller]
fn compare(file: &[u8], name: &str) -> bool {
    let options = DecodeOptions::default();
    let whole = Image::decode_with(file, name, &options).unwrap();
    let stride = whole.width() * 3;
    let mut streamed = false;
    for (height, step) in [(1, 1), (3, 2), (7, 4), (whole.height(), 1), (2, 5)] {
        let mut rows = ImageRows::decode(file, name, &options).unwrap();
        assert_eq!([rows.height(), rows.width()], [whole.height(), whole.width()], "{name}");
        streamed = !rows.is_whole();
        for top in (0..whole.height()).step_by(step) {
            let bottom = (top + height).min(whole.height());
            let expected = &whole.as_rgb8()[top * stride..bottom * stride];
            assert!(rows.rows(top..bottom).unwrap() == expected, "{name}: rows {top}..{bottom}");
        }
    }
    streamed
}

fn png(color: ColorType, depth: BitDepth, transparent: Option<&[u8]>) -> Vec<u8> {
    let (width, height) = (13, 11);
    let mut file = Vec::new();
    let mut encoder = png::Encoder::new(&mut file, width, height);
    encoder.set_color(color);
    encoder.set_depth(depth);
    if color == ColorType::Indexed {
        encoder.set_palette(noise(3 << depth as u32));
    }
    if let Some(transparent) = transparent {
        encoder.set_trns(transparent.to_vec());
    }
    let bits = width as usize * color.samples() * depth as usize;
    let mut writer = encoder.write_header().unwrap();
    writer.write_image_data(&noise(bits.div_ceil(8) * height as usize)).unwrap();
    writer.finish().unwrap();
    file
}

#[test]
fn rows_of_a_png_of_every_kind_are_those_of_the_whole_decode() {
    use BitDepth::{Eight, Four, One, Sixteen, Two};
    use ColorType::{Grayscale, GrayscaleAlpha, Indexed, Rgb, Rgba};
    let depths = [
        (Grayscale, &[One, Two, Four, Eight, Sixteen][..], &[0, 1][..]),
        (Indexed, &[One, Two, Four, Eight], &[7]),
        (Rgb, &[Eight, Sixteen], &[0, 1, 0, 2, 0, 3]),
        (GrayscaleAlpha, &[Eight, Sixteen], &[]),
        (Rgba, &[Eight, Sixteen], &[]),
    ];
    let mut kinds = 0;
    for (color, depths, transparent) in depths {
        for &depth in depths {
            let marks = [None, Some(transparent)];
            for mark in marks.into_iter().filter(|mark| *mark != Some(&[])) {
                let name = format!("{color:?} {depth:?} {mark:?}");
                assert!(compare(&png(color, depth, mark), &name), "{name} was decoded whole");
                kinds += 1;
            }
        }
    }
    assert_eq!(kinds, 26);
}

/// An uncompressed TIFF.
struct Plain {
    big_endian: bool,
    /// Of a sample: 8 or 16.
    bits: u16,
    channels: u16,
    photometric: u16,
    /// What a fourth sample is: 2 for alpha.
    extra: u32,
    /// Rows of a strip; or a tile's side, which is a multiple of 16.
    strip: Option<u32>,
    tile: u32,
}

const SIDES: [u32; 2] = [37, 53];

impl Plain {
    fn encode(&self) -> Vec<u8> {
        let [height, width] = SIDES;
        let (down, across, chunk) = match self.strip {
            Some(rows) => (height.div_ceil(rows), 1, [rows, width]),
            None => (height.div_ceil(self.tile), width.div_ceil(self.tile), [self.tile, self.tile]),
        };
        let pixel = u32::from(self.channels * self.bits / 8);
        let lengths: Vec<u32> = (0..down * across)
            .map(|index| match self.strip {
                Some(rows) => rows.min(height - index * rows) * width * pixel,
                None => chunk[0] * chunk[1] * pixel,
            })
            .collect();
        let starts: Vec<u32> = lengths
            .iter()
            .scan(8, |at, length| {
                let start = *at;
                *at += length;
                Some(start)
            })
            .collect();
        let data = noise(lengths.iter().sum::<u32>() as usize);
        let [offsets, counts] = if self.strip.is_some() { [273, 279] } else { [324, 325] };
        let mut tags: Vec<(u16, Vec<u32>)> = vec![
            (256, vec![width]),
            (257, vec![height]),
            (258, vec![u32::from(self.bits); self.channels as usize]),
            (259, vec![1]),
            (262, vec![u32::from(self.photometric)]),
            (277, vec![u32::from(self.channels)]),
            (offsets, starts),
            (counts, lengths),
        ];
        match self.strip {
            Some(rows) => tags.push((278, vec![rows])),
            None => tags.extend([(322, vec![self.tile]), (323, vec![self.tile])]),
        }
        if self.channels == 4 {
            tags.push((338, vec![self.extra]));
        }
        tags.sort();
        self.lay_out(&data, &tags)
    }

    /// Header, data, directory, and the lists that do not fit into it.
    fn lay_out(&self, data: &[u8], tags: &[(u16, Vec<u32>)]) -> Vec<u8> {
        let short = |v: u16| if self.big_endian { v.to_be_bytes() } else { v.to_le_bytes() };
        let long = |v: u32| if self.big_endian { v.to_be_bytes() } else { v.to_le_bytes() };
        let directory = 8 + data.len() as u32;
        let mut file = if self.big_endian { b"MM".to_vec() } else { b"II".to_vec() };
        file.extend(short(42));
        file.extend(long(directory));
        file.extend(data);
        file.extend(short(tags.len() as u16));
        let mut lists = Vec::new();
        let lists_at = directory + 2 + tags.len() as u32 * 12 + 4;
        for (tag, values) in tags {
            let small = matches!(tag, 258 | 259 | 262 | 277 | 338);
            let bytes: Vec<u8> = values
                .iter()
                .flat_map(|&v| if small { short(v as u16).to_vec() } else { long(v).to_vec() })
                .collect();
            file.extend(short(*tag));
            file.extend(short(if small { 3 } else { 4 }));
            file.extend(long(values.len() as u32));
            if bytes.len() > 4 {
                file.extend(long(lists_at + lists.len() as u32));
                lists.extend(bytes);
            } else {
                file.extend([bytes, vec![0; 3]].concat().iter().take(4));
            }
        }
        file.extend(long(0));
        file.extend(lists);
        file
    }
}

#[test]
fn rows_of_an_uncompressed_tiff_of_every_kind_are_those_of_the_whole_decode() {
    let mut kinds = 0;
    for big_endian in [false, true] {
        for bits in [8, 16] {
            // Grey from white, grey from black; RGB, with alpha, with one sample more that is none.
            for (channels, photometric, extra) in
                [(1, 0, 0), (1, 1, 0), (3, 2, 0), (4, 2, 2), (4, 2, 0)]
            {
                for (strip, tile) in
                    [(Some(5), 0), (Some(1), 0), (Some(37), 0), (None, 16), (None, 48)]
                {
                    let plain =
                        Plain { big_endian, bits, channels, photometric, extra, strip, tile };
                    let name =
                        format!("{channels} x {bits} {photometric} {strip:?} {tile} {big_endian}");
                    // What is inverted is not taken as it is.
                    let one_chunk = strip == Some(37) && photometric == 0;
                    let more_than_shown = channels == 4 && extra == 0;
                    let streamed = compare(&plain.encode(), &name);
                    assert_eq!(streamed, !one_chunk && !more_than_shown, "{name}");
                    kinds += 1;
                }
            }
        }
    }
    assert_eq!(kinds, 100);
}

#[test]
fn rows_of_a_compressed_tiff_are_those_of_the_whole_decode() {
    let [height, width] = SIDES;
    let pixels = noise((width * height * 3) as usize);
    let compressions = [
        ("LZW", Compression::Lzw),
        ("PackBits", Compression::Packbits),
        ("Deflate", Compression::Deflate(DeflateLevel::Fast)),
        ("none", Compression::Uncompressed),
    ];
    for (kind, compression) in compressions {
        for predictor in [Predictor::None, Predictor::Horizontal] {
            for rows in [1, 8, 37] {
                let mut file = Cursor::new(Vec::new());
                let encoder = TiffEncoder::new(&mut file).unwrap();
                let mut encoder = encoder.with_compression(compression).with_predictor(predictor);
                let mut image = encoder.new_image::<colortype::RGB8>(width, height).unwrap();
                image.rows_per_strip(rows).unwrap();
                image.write_data(&pixels).unwrap();
                let name = format!("{kind} {predictor:?} {rows}");
                let streamed = compare(&file.into_inner(), &name);
                let plain = (kind, predictor) == ("none", Predictor::None);
                assert_eq!(streamed, rows < height || plain, "{name}");
            }
        }
    }
}

#[test]
fn what_cannot_be_read_by_rows_is_decoded_whole() {
    let rgb = ::image::DynamicImage::ImageRgb8(sample(19, 14).to_rgb8());
    for format in [ImageFormat::Bmp, ImageFormat::WebP, ImageFormat::Gif, ImageFormat::Pnm] {
        assert!(!compare(&encoded(&rgb, format), "whole"), "{format:?}");
    }
    for &(name, file, ..) in JPEGS {
        assert!(!compare(file, name));
    }
    assert!(!compare(&interlaced(), "interlaced"));
}

#[test]
fn a_picture_in_memory_has_rows_too() {
    let image = Image::from_rgb8(4, 3, noise(36)).unwrap();
    let mut rows = ImageRows::of(&image);
    assert!(rows.is_whole());
    assert_eq!(rows.rows(1..3).unwrap(), &image.as_rgb8()[12..]);
}

#[test]
fn a_files_rows_are_those_of_its_content() {
    let folder = tempfile::tempdir().unwrap();
    let options = DecodeOptions::default();
    let rgb = ::image::DynamicImage::ImageRgb8(sample(19, 14).to_rgb8());
    for format in [ImageFormat::Png, ImageFormat::Tiff, ImageFormat::Bmp] {
        let path = folder.path().join("picture");
        std::fs::write(&path, encoded(&rgb, format)).unwrap();
        let mut rows = ImageRows::open(&path, &options).unwrap();
        assert_eq!(rows.rows(0..14).unwrap(), rgb.as_bytes(), "{format:?}");
    }
    for missing in [folder.path(), &folder.path().join("none")] {
        let ours = ImageRows::open(missing, &options).unwrap_err().to_string();
        assert_eq!(ours, Image::open(missing).unwrap_err().to_string());
    }
}

#[test]
fn rows_that_are_gone_or_not_there_are_refused() {
    let file = png(ColorType::Rgb, BitDepth::Eight, None);
    let mut rows = ImageRows::decode(&file, "a.png", &DecodeOptions::default()).unwrap();
    rows.rows(5..7).unwrap();
    for wrong in [4..7, 7..12, 12..13] {
        let told = rows.rows(wrong).unwrap_err().to_string();
        assert!(told.contains("\"a.png\"") && told.contains("above row 5 are forgotten"), "{told}");
    }
    assert!(rows.rows(6..6).unwrap().is_empty());
    assert!(rows.rows(6..11).is_ok());
}

#[test]
fn limits_are_held_against_the_rows_that_are_kept() {
    let file = png(ColorType::Rgb, BitDepth::Eight, None);
    let open = |limits| {
        let options = DecodeOptions { limits, ..Default::default() };
        ImageRows::decode(&file, "a.png", &options)
    };
    // 13 x 11 pixels, 39 bytes a row.
    let limits = DecodeLimits { max_memory_bytes: 39 * 8, ..Default::default() };
    let mut rows = open(limits.clone()).unwrap();
    for top in 0..8 {
        rows.rows(top..top + 4).unwrap();
    }
    let told = open(limits).unwrap().rows(0..5).unwrap_err().to_string();
    assert!(told.contains("`DecodeLimits::max_memory_bytes`"), "{told}");
    let limits = DecodeLimits { max_pixels: 142, ..Default::default() };
    let told = open(limits).unwrap_err().to_string();
    assert!(told.contains("13 x 11 pixels") && told.contains("limit of 142"), "{told}");
    let limits = DecodeLimits { max_file_bytes: 100, ..Default::default() };
    assert!(open(limits).unwrap_err().to_string().contains("more than 100 bytes"));
}

/// What a damaged file is: pixels or a refusal.
fn whole(file: &[u8]) -> Option<Vec<u8>> {
    Image::decode(file, "damaged").ok().map(Image::into_rgb8)
}

fn by_rows(file: &[u8]) -> Option<Vec<u8>> {
    let mut rows = ImageRows::decode(file, "damaged", &DecodeOptions::default()).ok()?;
    let mut pixels = Vec::new();
    for top in (0..rows.height()).step_by(3) {
        let bottom = rows.height().min(top + 3);
        pixels.extend_from_slice(rows.rows(top..bottom).ok()?);
    }
    Some(pixels)
}

#[test]
fn a_file_that_is_cut_short_is_refused_by_rows_as_it_is_whole() {
    let tiff = |strip, tile| Plain {
        big_endian: false,
        bits: 8,
        channels: 3,
        photometric: 2,
        extra: 0,
        strip,
        tile,
    };
    let files = [
        png(ColorType::Rgb, BitDepth::Eight, None),
        tiff(Some(5), 0).encode(),
        tiff(None, 16).encode(),
    ];
    for file in files {
        for length in 0..file.len() {
            let (whole, rows) = (whole(&file[..length]), by_rows(&file[..length]));
            assert!(whole == rows, "{length} of {} bytes", file.len());
        }
    }
}

#[test]
fn a_damaged_file_gives_by_rows_what_it_gives_whole() {
    let plain = |strip, tile, bits, big_endian| {
        let (channels, photometric, extra) = (3, 2, 0);
        Plain { big_endian, bits, channels, photometric, extra, strip, tile }.encode()
    };
    let rgb = ::image::DynamicImage::ImageRgb8(sample(13, 11).to_rgb8());
    let files = [
        encoded(&rgb, ImageFormat::Png),
        encoded(&rgb, ImageFormat::Tiff),
        png(ColorType::Indexed, BitDepth::Four, Some(&[7])),
        plain(Some(5), 0, 16, true),
        plain(None, 16, 8, false),
    ];
    let mut random = noise(ROUNDS * files.len() * 4).into_iter();
    let mut next = || usize::from(random.next().unwrap_or_default());
    let mut refused = 0;
    for file in files {
        for _ in 0..ROUNDS {
            let mut damaged = file.clone();
            // Half of them in the last 256 bytes, where a TIFF's directory is.
            let (near, high, low) = (next() & 1, next(), next());
            let place =
                if near == 1 { file.len().saturating_sub(1 + low) } else { high << 8 | low };
            let place = place % file.len();
            damaged[place] = next() as u8;
            let (whole, rows) = (whole(&damaged), by_rows(&damaged));
            assert!(whole == rows, "{} bytes: byte {place} is {}", file.len(), damaged[place]);
            refused += usize::from(whole.is_none());
        }
    }
    assert!(refused > ROUNDS, "{refused}");
}

const ROUNDS: usize = 1_000;

/// An interlaced PNG of 5 x 3 grey pixels, as its seven passes.
fn interlaced() -> Vec<u8> {
    let [width, height] = [5usize, 3];
    let passes = [
        [0, 0, 8, 8],
        [4, 0, 8, 8],
        [0, 4, 4, 8],
        [2, 0, 4, 4],
        [0, 2, 2, 4],
        [1, 0, 2, 2],
        [0, 1, 1, 2],
    ];
    let mut raw = Vec::new();
    for [left, top, right, down] in passes {
        for y in (top..height).step_by(down).filter(|_| left < width) {
            raw.push(0);
            raw.extend((left..width).step_by(right).map(|x| (y * width + x) as u8 * 17));
        }
    }
    // One stored block.
    let (mut a, mut b) = (1u32, 0u32);
    for &byte in &raw {
        a = (a + u32::from(byte)) % 65_521;
        b = (b + a) % 65_521;
    }
    let length = raw.len() as u16;
    let mut data = vec![0x78, 1, 1];
    data.extend(length.to_le_bytes());
    data.extend((!length).to_le_bytes());
    data.extend(&raw);
    data.extend((b << 16 | a).to_be_bytes());
    let mut header = (width as u32).to_be_bytes().to_vec();
    header.extend((height as u32).to_be_bytes());
    header.extend([8, 0, 0, 0, 1]);
    let mut file = b"\x89PNG\r\n\x1a\n".to_vec();
    for (kind, content) in [(b"IHDR", header), (b"IDAT", data), (b"IEND", Vec::new())] {
        file.extend((content.len() as u32).to_be_bytes());
        let checked = [&kind[..], &content].concat();
        file.extend(&checked);
        file.extend(super::refusals::crc32(&checked).to_be_bytes());
    }
    file
}
