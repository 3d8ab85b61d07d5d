//! Bytes from strangers: no input panics, takes long, or takes more memory than its limits say.
//!
//! `RETINANET_JPEG_FUZZ=1000000 cargo test --release -p retinanet-jpeg --test damaged` tries more inputs.

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use retinanet_jpeg::{Damage, Error, Options, decode_rgb, read_header};

fn golden(name: &str) -> Vec<u8> {
    fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(name)).unwrap()
}

fn seeds() -> Vec<Vec<u8>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden");
    let mut paths: Vec<_> =
        fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "jpg"));
    paths.sort();
    paths.iter().map(|path| fs::read(path).unwrap()).collect()
}

/// A small generator: the inputs are the same in every run.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: usize) -> usize {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        ((self.0 >> 33) as usize) % limit.max(1)
    }
}

fn mutate(bytes: &mut Vec<u8>, other: &[u8], random: &mut Random) {
    const INTERESTING: [u8; 12] =
        [0x00, 0x01, 0x7f, 0x80, 0xff, 0xd9, 0xda, 0xc0, 0xc2, 0xc4, 0xd0, 0xdd];
    for _ in 0..=random.below(4) {
        let at = random.below(bytes.len());
        match random.below(9) {
            0 => bytes[at] ^= 1 << random.below(8),
            1 => bytes[at] = random.below(256) as u8,
            2 => bytes[at] = INTERESTING[random.below(INTERESTING.len())],
            3 => bytes.truncate(at.max(4)),
            4 => {
                let end = (at + random.below(64)).min(bytes.len());
                bytes.drain(at..end);
            }
            5 => {
                let from = random.below(other.len());
                let to = (from + random.below(200)).min(other.len());
                bytes.splice(at..at, other[from..to].iter().copied());
            }
            // The headers, where a change matters most.
            6 | 7 => {
                let at = random.below(bytes.len().min(700));
                bytes[at] = random.below(256) as u8;
            }
            _ => {
                if let Some(frame) =
                    bytes.windows(2).position(|pair| matches!(pair, [0xff, 0xc0..=0xc2]))
                    && bytes.len() > frame + 9
                {
                    bytes[frame + 5 + random.below(4)] = random.below(256) as u8;
                }
            }
        }
        if bytes.is_empty() {
            bytes.push(0xff);
        }
    }
}

#[test]
fn no_mutation_panics_or_takes_long() {
    let count = std::env::var("RETINANET_JPEG_FUZZ").ok().map_or(3000, |n| n.parse().unwrap());
    let seeds = seeds();
    let mut random = Random(1);
    let mut slowest = Duration::ZERO;
    let mut decoded = 0;
    for number in 0..count {
        let mut bytes = seeds[random.below(seeds.len())].clone();
        let other = &seeds[random.below(seeds.len())];
        mutate(&mut bytes, other, &mut random);
        let options = Options {
            max_pixels: 1 << 20,
            max_memory_bytes: 32 << 20,
            accept_truncated: number % 2 == 1,
            ..Options::default()
        };
        let start = Instant::now();
        if let Ok(image) = decode_rgb(&bytes, &options) {
            decoded += 1;
            assert_eq!(image.pixels.len(), image.width as usize * image.height as usize * 3);
            let header = read_header(&bytes).unwrap();
            assert!(header.memory_bytes <= options.max_memory_bytes);
        }
        slowest = slowest.max(start.elapsed());
        if !cfg!(debug_assertions) {
            assert!(slowest < Duration::from_secs(1), "input {number} took {slowest:?}");
        }
    }
    println!("{count} inputs, {decoded} decoded, slowest {slowest:?}");
}

#[test]
fn a_file_cut_anywhere_is_an_error_or_is_accepted_as_asked() {
    for name in ["large_200x150.jpg", "deep_progression_70x50.jpg"] {
        let bytes = golden(name);
        for end in (0..bytes.len() - 2).step_by(37) {
            let strict = decode_rgb(&bytes[..end], &Options::default());
            assert!(matches!(strict, Err(Error::Truncated | Error::NotJpeg)), "{name} {end}");
        }
        let lenient = Options { accept_truncated: true, ..Options::default() };
        let most = decode_rgb(&bytes[..bytes.len() - 40], &lenient).unwrap();
        assert_eq!(most.damage, Some(Damage::Truncated));
    }
}

#[test]
fn limits_are_checked_before_memory_is_taken() {
    let mut bytes = golden("common_100x75.jpg");
    let frame = bytes.windows(2).position(|pair| pair == [0xff, 0xc0]).unwrap();
    bytes[frame + 5..frame + 9].fill(0xff);
    let error = decode_rgb(&bytes, &Options::default()).unwrap_err();
    assert!(matches!(error, Error::TooManyPixels { width: 65535, height: 65535, .. }));
    let options = Options { max_pixels: u64::MAX, ..Options::default() };
    assert!(matches!(decode_rgb(&bytes, &options), Err(Error::TooMuchMemory { .. })));
    let options = Options { max_scans: 3, ..Options::default() };
    let error = decode_rgb(&golden("deep_progression_70x50.jpg"), &options).unwrap_err();
    assert_eq!(error, Error::TooManyScans { limit: 3 });
}

#[test]
fn damage_is_told() {
    let bytes = golden("large_200x150.jpg");
    assert_eq!(decode_rgb(&bytes, &Options::default()).unwrap().damage, None);
    let restart = bytes.windows(2).position(|pair| pair == [0xff, 0xd3]).unwrap();
    let mut without = bytes.clone();
    without.drain(restart..restart + 2);
    let damage = decode_rgb(&without, &Options::default()).unwrap().damage;
    assert!(damage.is_some());
}

#[test]
fn other_kinds_are_refused_by_name() {
    let bytes = golden("common_100x75.jpg");
    let frame = bytes.windows(2).position(|pair| pair == [0xff, 0xc0]).unwrap();
    for (marker, kind) in [(0xc3, "lossless"), (0xc9, "arithmetic-coded"), (0xc5, "hierarchical")] {
        let mut bytes = bytes.clone();
        bytes[frame + 1] = marker;
        let error = decode_rgb(&bytes, &Options::default()).unwrap_err();
        assert_eq!(error, Error::Unsupported { what: kind });
    }
    let mut deep = bytes;
    deep[frame + 4] = 12;
    assert_eq!(decode_rgb(&deep, &Options::default()), Err(Error::Unsupported { what: "12-bit" }));
}
