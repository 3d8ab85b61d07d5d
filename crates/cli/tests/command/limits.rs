//! Limits of what an image may cost: named as the command's options, passed on, and no part of an answer.

use std::fs;
use std::io::Write;
use std::path::Path;
use std::process::Stdio;

use super::{Ran, command, photo, run_in};

/// A folder with `1.png`, its receipt and annotations.
fn scene() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    fs::copy(photo(), folder.path().join("1.png")).unwrap();
    run_in(folder.path(), &["detect", "--receipt", ".", "1.png"]).succeeded();
    let annotations = r#"{"images": [{"id": 1, "file_name": "1.png"}],
        "categories": [{"id": 1, "name": "person"}], "annotations": []}"#;
    fs::write(folder.path().join("a.json"), annotations).unwrap();
    folder
}

/// Every way to read an image.
const READERS: [&[&str]; 6] = [
    &["detect", "1.png"],
    &["detect", "--receipt", "receipts", "1.png"],
    &["batch", "--overwrite", "--out", "out", "1.png"],
    &["batch", "--overwrite", "--out", "coco", "--format=coco", "--annotations=a.json", "1.png"],
    &["verify", "1.png.receipt.json"],
    &["eval", "--annotations", "a.json", "--images", "."],
];

const LIMITS: [&str; 3] = ["--max-pixels", "--max-file-bytes", "--max-decode-memory"];

#[test]
fn a_refused_image_is_told_with_the_option_that_would_take_it() {
    let scene = scene();
    for reader in READERS {
        for (option, limit) in LIMITS.iter().zip(["262143", "1000", "1000000"]) {
            let ran = run_in(scene.path(), &[reader, &[option, limit]].concat());
            let advice = format!("raise `{option}`");
            let ran = ran.failed(3, &["1.png", &advice, limit]);
            assert!(!ran.err.contains("DecodeLimits"), "{}", ran.err);
        }
        let enough =
            ["--max-pixels=262144", "--max-file-bytes=4000000", "--max-decode-memory=4000000"];
        run_in(scene.path(), &[reader, &enough].concat()).succeeded();
    }
}

#[test]
fn limits_are_raised_above_the_default() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("1.pgm"), "P5 20000 20000 255\n").unwrap();
    let detect = |more: &[&str]| run_in(folder.path(), &[&["detect", "1.pgm"], more].concat());
    let pixels = "--max-pixels=400000000";
    detect(&[]).failed(3, &["limit of 100000000 pixels", "`--max-pixels`"]);
    detect(&[pixels]).failed(3, &["limit of 2147483648 bytes", "`--max-decode-memory`"]);
    detect(&[pixels, "--max-decode-memory=3000000000"]).failed(3, &["damaged or cut short"]);
}

#[test]
fn standard_input_is_read_to_the_limit_only() {
    let mut child = command();
    child.args(["detect", "--max-file-bytes", "1000", "-"]).stdin(Stdio::piped());
    let mut child = child.stderr(Stdio::piped()).spawn().unwrap();
    let mut input = child.stdin.take().unwrap();
    // More than pipes hold: whoever reads no more leaves it unwritten.
    assert!(input.write_all(&vec![b'y'; 64 << 20]).is_err());
    drop(input);
    let ran = Ran::from(child.wait_with_output().unwrap());
    ran.failed(3, &["image \"-\" has more than 1000 bytes; raise `--max-file-bytes`"]);
}

#[test]
fn limits_that_take_an_image_change_no_byte() {
    let scene = scene();
    let read = |name: &str| fs::read(scene.path().join(name)).unwrap();
    let other = ["--max-pixels=300000", "--max-file-bytes=4000000", "--max-decode-memory=4000000"];
    let receipt = ["detect", "--receipt", "other", "1.png"];
    run_in(scene.path(), &[&receipt[..], &other].concat()).succeeded();
    assert!(read("other/1.png.receipt.json") == read("1.png.receipt.json"));
    for (out, limits) in [("a", &[][..]), ("b", &other)] {
        let batch = ["batch", "--out", out, "1.png"];
        run_in(scene.path(), &[&batch, limits].concat()).succeeded();
    }
    assert!(read("a") == read("b") && read("a.run.json") == read("b.run.json"));
    // Begun with one, continued with another.
    fs::write(scene.path().join("a"), "").unwrap();
    let resumed = ["batch", "--out", "a", "--resume", "1.png"];
    run_in(scene.path(), &[&resumed[..], &other].concat()).succeeded();
    assert!(read("a") == read("b") && read("a.run.json") == read("b.run.json"));
}

#[test]
fn a_limit_is_a_number_from_1() {
    for option in LIMITS {
        for wrong in ["0", "-1", "1e6", "all"] {
            let limit = format!("{option}={wrong}");
            run_in(Path::new("."), &["detect", &limit, "1.png"]).failed(2, &[option]);
        }
    }
}

#[test]
fn a_damaged_jpeg_is_told_without_the_librarys_fields() {
    let folder = tempfile::tempdir().unwrap();
    let jpeg =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../retinanet/src/image/testdata/grey.jpg");
    let jpeg = fs::read(jpeg).unwrap();
    fs::write(folder.path().join("1.jpg"), &jpeg[..jpeg.len() - 2]).unwrap();
    let ran = run_in(folder.path(), &["detect", "1.jpg"]);
    let ran = ran.failed(3, &["the data end before the image does; download or copy it again"]);
    assert!(!ran.err.contains("DecodeOptions"), "{}", ran.err);
}
