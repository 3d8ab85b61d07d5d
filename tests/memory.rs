//! That a batch's memory does not grow with its images, and that a large picture's is not that of its pixels:
//! `RETINANET_MEMORY=1 cargo test --release -p retinanet-tests --test memory -- --nocapture`, minutes of work.
#![cfg(target_os = "linux")]

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::{BufWriter, Write};
use std::ops::ControlFlow;
use std::path::Path;

use image::imageops::{FilterType, resize};
use retinanet::batch::{Batch, BatchConfig};
use retinanet::data::Listing;
use retinanet::image::{DecodeLimits, DecodeOptions, ImageRows, Tiling};
use retinanet::{Detector, Error};
use retinanet_tests::new_process;

const IMAGES: usize = 2_000;
const FILES: usize = 20;

#[test]
fn two_thousand_images_take_the_memory_of_two_hundred() {
    if std::env::var_os("RETINANET_MEMORY").is_none() {
        println!("SKIPPED: takes minutes (RETINANET_MEMORY)");
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let assets = concat!(env!("CARGO_MANIFEST_DIR"), "/../examples/assets");
    let photo = image::open(format!("{assets}/astronaut.png")).unwrap().into_rgb8();
    let mut list = String::new();
    for number in 0..FILES as u32 {
        // Every shape and size, so that buffers are asked for in ever other lengths.
        let (width, height) = (320 + 97 * number % 640, 240 + 61 * number % 480);
        let name = format!("{number}.jpg");
        resize(&photo, width, height, FilterType::Triangle)
            .save(folder.path().join(&name))
            .unwrap();
        list.push_str(&(name + "\n"));
    }
    let names = folder.path().join("images.txt");
    std::fs::write(&names, list.repeat(IMAGES / FILES)).unwrap();

    let weights = format!("{assets}/person_r18.safetensors");
    let detector = Detector::builder().weights(weights).build().unwrap();
    let listing = Listing::of(&[names]).unwrap();
    assert_eq!(listing.len(), IMAGES);
    let mut taken = BTreeMap::new();
    Batch::new(&detector, listing, BatchConfig::default())
        .unwrap()
        .run::<Error>(
            &folder.path().join("out.jsonl"),
            |_| Ok(()),
            |progress| {
                if [20, 200, 500, 1_000, 1_500, 2_000].contains(&progress.done) {
                    taken.insert(progress.done, resident_mib());
                    println!("after {} images: {:.1} MiB", progress.done, resident_mib());
                }
                ControlFlow::Continue(())
            },
        )
        .unwrap();
    assert!(taken[&IMAGES] <= taken[&200] * 1.05 + 8.0, "{taken:?}");
}

#[test]
fn a_large_picture_takes_a_part_of_its_size() {
    if std::env::var_os("RETINANET_MEMORY").is_none() {
        println!("SKIPPED: takes minutes and 1.3 GB of disk (RETINANET_MEMORY)");
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let mut answers = BTreeSet::new();
    for (name, write) in [("1.tif", write_tiff as fn(&Path)), ("1.png", write_png)] {
        let path = folder.path().join(name);
        write(&path);
        // A process of its own, whose peak is the picture's alone.
        let told = new_process::ask("looks_at_a_large_picture", &[(LARGE, path.to_str().unwrap())]);
        println!("{name}: {told}");
        let (peak, answer) = told.split_once(" MiB, ").unwrap();
        assert!(peak.parse::<f64>().unwrap() < 500.0, "{name}: {told}");
        answers.insert(answer.to_owned());
        std::fs::remove_file(&path).unwrap();
    }
    assert_eq!(answers.len(), 1, "{answers:?}");
}

/// Names the picture for the process that looks at it.
const LARGE: &str = "RETINANET_TESTS_LARGE";
const SIDE: usize = 20_000;

#[test]
fn looks_at_a_large_picture() {
    let Some(path) = std::env::var_os(LARGE) else { return };
    let limits = DecodeLimits {
        max_pixels: 400_000_000,
        max_file_bytes: 2_000_000_000,
        ..DecodeLimits::default()
    };
    let options = DecodeOptions { limits, ..DecodeOptions::default() };
    let rows = ImageRows::open(path, &options).unwrap();
    assert!(!rows.is_whole());
    let assets = concat!(env!("CARGO_MANIFEST_DIR"), "/../examples/assets");
    let weights = format!("{assets}/person_r18.safetensors");
    let detector = Detector::builder().weights(weights).build().unwrap();
    let tiling = Tiling { size: 2_000, overlap: 0.25 };
    let found = detector.detect_tiled(rows, &tiling).unwrap();
    let (peak, digest) = (status_mib("VmHWM:"), found.digest().unwrap());
    new_process::answer(format!("{peak:.0} MiB, {} found, digest {digest}", found.len()));
}

/// The photo again and again, row by row.
fn large_rows() -> impl Iterator<Item = Vec<u8>> {
    let assets = concat!(env!("CARGO_MANIFEST_DIR"), "/../examples/assets");
    let photo = image::open(format!("{assets}/astronaut.png")).unwrap().into_rgb8();
    let stride = photo.width() as usize * 3;
    (0..SIDE).map(move |y| {
        let start = y % photo.height() as usize * stride;
        let mut row = photo.as_raw()[start..start + stride].repeat(SIDE * 3 / stride + 1);
        row.truncate(SIDE * 3);
        row
    })
}

/// Uncompressed, in one strip.
fn write_tiff(path: &Path) {
    let mut file = BufWriter::new(File::create(path).unwrap());
    let side = SIDE as u32;
    let tags: [[u32; 4]; 9] = [
        [256, 4, 1, side],
        [257, 4, 1, side],
        [258, 3, 3, 122],
        [259, 3, 1, 1],
        [262, 3, 1, 2],
        [273, 4, 1, 128],
        [277, 3, 1, 3],
        [278, 4, 1, side],
        [279, 4, 1, side * side * 3],
    ];
    file.write_all(b"II*\0\x08\0\0\0\x09\0").unwrap();
    for [tag, kind, count, value] in tags {
        file.write_all(&(tag as u16).to_le_bytes()).unwrap();
        file.write_all(&(kind as u16).to_le_bytes()).unwrap();
        file.write_all(&count.to_le_bytes()).unwrap();
        file.write_all(&value.to_le_bytes()).unwrap();
    }
    file.write_all(b"\0\0\0\0\x08\0\x08\0\x08\0").unwrap();
    large_rows().for_each(|row| file.write_all(&row).unwrap());
    file.flush().unwrap();
}

fn write_png(path: &Path) {
    let mut encoder = png::Encoder::new(File::create(path).unwrap(), SIDE as u32, SIDE as u32);
    encoder.set_color(png::ColorType::Rgb);
    encoder.set_compression(png::Compression::Fast);
    let mut writer = encoder.write_header().unwrap();
    let mut stream = writer.stream_writer().unwrap();
    large_rows().for_each(|row| stream.write_all(&row).unwrap());
    stream.finish().unwrap();
}

/// What the process holds in memory now.
fn resident_mib() -> f64 {
    status_mib("VmRSS:")
}

fn status_mib(field: &str) -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix(field)).unwrap();
    line.trim().trim_end_matches(" kB").parse::<f64>().unwrap() / 1024.0
}
