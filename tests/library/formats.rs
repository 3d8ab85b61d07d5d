//! Every kind of picture file but JPEG: PIL's pixels, or the difference that the documentation states.
//!
//! `golden/make_formats.py` made the files and asked PIL. JPEG has golden files of its own, in `crates/jpeg`.

use std::collections::BTreeMap;
use std::path::PathBuf;

use retinanet::Image;
use serde::Deserialize;
use sha2::{Digest, Sha256};

const GUARANTEES: &str = include_str!("../../docs/guarantees.md");

#[derive(Deserialize)]
struct Table {
    files: BTreeMap<String, Row>,
}

/// What PIL answers, and what we answer where that is not the same.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Row {
    /// Width, height.
    size: [usize; 2],
    /// Of PIL's RGB pixels.
    sha256: String,
    /// Whether we refuse the file.
    #[serde(default)]
    refused: bool,
    /// The largest difference of a sample.
    #[serde(default)]
    largest: u8,
    /// How many pixels differ.
    #[serde(default)]
    pixels: usize,
    /// The mean difference over all samples, to three decimals.
    #[serde(default)]
    mean: f64,
}

fn folder() -> PathBuf {
    [env!("CARGO_MANIFEST_DIR"), "golden", "formats"].iter().collect()
}

fn table() -> BTreeMap<String, Row> {
    let text = std::fs::read_to_string(folder().join("pil.json")).unwrap();
    serde_json::from_str::<Table>(&text).unwrap().files
}

fn sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

#[test]
fn pixels_are_pils_or_as_far_from_them_as_stated() {
    let table = table();
    assert!(table.len() >= 75, "only {} files", table.len());
    for (name, row) in &table {
        let decoded = Image::open(folder().join(name));
        if row.refused {
            let error = decoded.expect_err(name).to_string();
            assert!(error.contains("is not supported: "), "{name}: {error}");
            continue;
        }
        let image = decoded.unwrap_or_else(|error| panic!("{name}: {error}"));
        assert_eq!([image.width(), image.height()], row.size, "{name}");
        let ours = image.as_rgb8();
        if row.largest == 0 {
            assert_eq!(sha256(ours), row.sha256, "{name}: not PIL's pixels");
            continue;
        }
        let pils = std::fs::read(folder().join(format!("{name}.rgb"))).unwrap();
        assert_eq!(sha256(&pils), row.sha256, "{name}.rgb");
        let apart: Vec<u8> = ours.iter().zip(&pils).map(|(a, b)| a.abs_diff(*b)).collect();
        assert_eq!(apart.iter().max(), Some(&row.largest), "{name}: largest difference");
        let pixels = apart.chunks_exact(3).filter(|pixel| pixel.iter().any(|&by| by > 0)).count();
        assert_eq!(pixels, row.pixels, "{name}: pixels that differ");
        let sum: u32 = apart.iter().map(|&by| u32::from(by)).sum();
        let mean = f64::from(sum) / apart.len() as f64;
        assert!((mean - row.mean).abs() <= 0.0005, "{name}: mean difference {mean}");
    }
}

#[test]
fn every_difference_from_pil_is_in_the_documentation() {
    let all = table();
    for (name, row) in &all {
        let equal = row.largest == 0 && !row.refused;
        // A row of the table of differences, which names its files.
        assert_eq!(
            GUARANTEES.contains(&format!("`{name}`")),
            !equal,
            "{name} in docs/guarantees.md"
        );
    }
    let equal = all.values().filter(|row| row.largest == 0 && !row.refused).count();
    let stated = format!("{equal} of {} generated files", all.len());
    let words = GUARANTEES.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(words.contains(&stated), "{stated:?} in docs/guarantees.md");
}
