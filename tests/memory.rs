//! That a batch's memory does not grow with its images: `RETINANET_MEMORY=1 cargo test --release -p
//! retinanet-tests --test memory -- --nocapture`, minutes of work.
#![cfg(target_os = "linux")]

use std::collections::BTreeMap;
use std::ops::ControlFlow;

use image::imageops::{FilterType, resize};
use retinanet::batch::{Batch, BatchConfig};
use retinanet::data::Listing;
use retinanet::{Detector, Error};

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

/// What the process holds in memory now.
fn resident_mib() -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().trim_end_matches(" kB").parse::<f64>().unwrap() / 1024.0
}
