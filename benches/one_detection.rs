//! One detection from a cold start, and the most memory it took: what `peers/one_detection.py` is
//! compared with.
//!
//!     one_detection WEIGHTS PHOTO [DETECTIONS]

use std::time::Instant;

use retinanet::{Detector, Image};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let start = Instant::now();
    let so_far = |step: &str| {
        eprintln!("{step}: {:.2} s, {}", start.elapsed().as_secs_f64(), memory());
    };
    let mut arguments = std::env::args().skip(1);
    let (Some(weights), Some(photo)) = (arguments.next(), arguments.next()) else {
        return Err("expected: one_detection WEIGHTS PHOTO [DETECTIONS]".into());
    };
    let detections: usize = arguments.next().map_or(Ok(1), |n| n.parse())?;
    let detector = Detector::builder().weights(weights).build()?;
    so_far("built");
    let image = Image::open(photo)?;
    for _ in 0..detections {
        let found = detector.detect(&image)?;
        if let Some(first) = found.as_slice().first() {
            println!("{} {:.4} {:?}", first.label, first.score, first.bounding_box);
        }
        so_far(&format!("detected {}", found.len()));
    }
    Ok(())
}

/// Resident memory now and at its highest, where the system tells.
fn memory() -> String {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = |key: &str| {
        let line = status.lines().find(|line| line.starts_with(key)).unwrap_or_default();
        line.split_whitespace().nth(1).and_then(|kib| kib.parse::<u64>().ok()).unwrap_or(0)
    };
    // MB of a million bytes.
    let megabytes = |kib: u64| kib * 1024 / 1_000_000;
    format!("{} MB, peak {} MB", megabytes(line("VmRSS:")), megabytes(line("VmHWM:")))
}
