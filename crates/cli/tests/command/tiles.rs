//! Large images, window by window.

use std::fs;
use std::path::Path;
use std::process::Stdio;

use serde_json::Value;

use super::{Ran, command, names_in, photo, run, run_in};

/// A folder with the photo as `1.png`.
fn scene() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    fs::copy(photo(), folder.path().join("1.png")).unwrap();
    folder
}

const TILED: [&str; 5] = ["detect", "--tiles", "384", "--overlap", "0.25"];

fn json(folder: &Path, more: &[&str]) -> Value {
    let arguments = [&TILED[..], more, &["--json", "-", "1.png"]].concat();
    serde_json::from_str(&run_in(folder, &arguments).succeeded().out).unwrap()
}

#[test]
fn windows_are_merged_and_no_answer_depends_on_threads() {
    let scene = scene();
    let one = json(scene.path(), &["--threads", "1"]);
    assert_eq!(one, json(scene.path(), &["--threads", "4"]));
    let found = one[0]["detections"].as_array().unwrap();
    assert!(!found.is_empty());
    assert!(found.iter().any(|one| one["box"][2].as_f64().unwrap() > 384.0), "{one}");
}

#[test]
fn an_image_that_fits_into_one_tile_has_the_answer_that_it_has_without() {
    let scene = scene();
    let with = ["detect", "--tiles", "800", "--json", "-", "1.png"];
    let without = ["detect", "--json", "-", "1.png"];
    let [with, without] =
        [&with[..], &without].map(|arguments| run_in(scene.path(), arguments).succeeded().out);
    assert_eq!(with, without);
}

#[test]
fn tiles_that_make_no_sense_are_usage() {
    let photo = photo();
    let photo = photo.to_str().unwrap();
    for (options, parts) in [
        (&["--tiles", "0"][..], &["--tiles is 0", "at least 1 pixel"][..]),
        (&["--tiles", "31"], &["--tiles is 31", "sides of 32 pixels"]),
        (&["--tiles", "-5"], &["-5", "--tiles"]),
        (&["--tiles", "many"], &["many", "--tiles"]),
        (&["--tiles", "800", "--overlap", "1"], &["--overlap is 1", "less than 1"]),
        (&["--tiles", "800", "--overlap", "1.5"], &["--overlap is 1.5"]),
        (&["--tiles", "800", "--overlap", "-0.1"], &["--overlap is -0.1", "at least 0"]),
        (&["--tiles", "800", "--overlap", "NaN"], &["--overlap is NaN"]),
        (&["--tiles", "800", "--overlap", "inf"], &["--overlap is inf"]),
        (&["--tiles", "800", "--overlap", "half"], &["half", "--overlap"]),
        (&["--overlap", "0.5"], &["--tiles"]),
    ] {
        run(&[&["detect"], options, &[photo]].concat()).failed(2, parts);
    }
}

#[test]
fn an_image_of_too_many_windows_is_told_and_the_others_are_done() {
    let scene = scene();
    let header = "P5 20000 2000 255\n";
    let pixels = vec![0; 40_000_000];
    fs::write(scene.path().join("2.pgm"), [header.as_bytes(), &pixels].concat()).unwrap();
    let arguments = ["detect", "--tiles", "512", "--overlap", "0.99", "2.pgm", "1.png"];
    let ran = run_in(scene.path(), &arguments).failed(3, &["windows, more than 100000"]);
    assert!(ran.out.contains("1.png  512 x 512"), "{}", ran.out);
}

#[test]
fn a_file_that_is_damaged_far_down_is_told_by_its_name() {
    let scene = scene();
    let file = fs::read(photo()).unwrap();
    fs::write(scene.path().join("2.png"), &file[..file.len() - 5_000]).unwrap();
    let ran = run_in(scene.path(), &[&TILED[..], &["2.png"]].concat());
    ran.failed(3, &["2.png", "damaged or cut short"]);
}

#[test]
fn an_image_larger_than_the_limits_is_read_by_rows() {
    let scene = scene();
    // 512 x 512 pixels, decoded whole, would take 2.4 million.
    let limit = ["--max-decode-memory", "700000", "1.png"];
    run_in(scene.path(), &[&["detect"], &limit[..]].concat()).failed(3, &["--max-decode-memory"]);
    run_in(scene.path(), &[&TILED[..], &limit].concat()).succeeded();
    let pixels = ["--max-pixels", "262143", "1.png"];
    run_in(scene.path(), &[&TILED[..], &pixels].concat()).failed(3, &["raise `--max-pixels`"]);
}

#[test]
fn standard_input_and_pictures_go_with_tiles() {
    let scene = scene();
    let mut child = command();
    child.current_dir(scene.path()).args(TILED).args(["--json", "-", "-"]);
    child.stdin(fs::File::open(photo()).unwrap()).stdout(Stdio::piped());
    let ran = Ran::from(child.output().unwrap()).succeeded();
    let piped: Value = serde_json::from_str(&ran.out).unwrap();
    assert_eq!(piped[0]["detections"], json(scene.path(), &[])[0]["detections"]);
    let drawn = ["--overlay", "drawn", "--label", "person", "--receipt", "receipts", "1.png"];
    run_in(scene.path(), &[&TILED[..], &drawn].concat()).succeeded();
    assert_eq!(names_in(&scene.path().join("drawn")), ["1.png.png"]);
    assert_eq!(names_in(&scene.path().join("receipts")), ["1.png.receipt.json"]);
}

#[test]
fn a_receipt_of_windows_verifies_and_names_the_window_that_differs() {
    let scene = scene();
    let arguments = [&TILED[..], &["--threads", "1", "--receipt", ".", "1.png"]].concat();
    run_in(scene.path(), &arguments).succeeded();
    let verify = || run_in(scene.path(), &["verify", "--threads", "3", "1.png.receipt.json"]);
    // The picture, four windows, the answer.
    assert!(verify().succeeded().out.contains("all 6 stages"), "{}", verify().out);

    let receipt = scene.path().join("1.png.receipt.json");
    let written: Value = serde_json::from_str(&fs::read_to_string(&receipt).unwrap()).unwrap();
    assert_eq!(written["tiles"].to_string(), r#"{"overlap":0.25,"size":384}"#);
    let edited = |edit: &dyn Fn(&mut Value)| {
        let mut json = written.clone();
        edit(&mut json);
        fs::write(&receipt, json.to_string()).unwrap();
        verify()
    };
    let ran = edited(&|json| json["tiles"]["size"] = 400.into());
    assert_eq!(ran.code, 1, "{}\n{}", ran.out, ran.err);
    assert!(ran.out.contains("its seal does not fit"), "{}", ran.out);
    assert!(ran.out.contains("window/"), "{}", ran.out);
    let other = written["stages"][2]["digest"].clone();
    let ran = edited(&|json| json["stages"][3]["digest"] = other.clone());
    assert!(ran.code == 1 && ran.out.contains("window/2"), "{}", ran.out);
    edited(&|json| json["tiles"]["overlap"] = 1.into()).failed(3, &["`overlap` is 1"]);
    edited(&|json| json["tiles"]["size"] = 0.into()).failed(3, &["`size` is 0"]);
    edited(&|json| json["tiles"]["sise"] = 1.into()).failed(3, &["sise"]);
}

#[test]
fn a_receipt_of_windows_of_another_or_damaged_file_says_so() {
    let scene = scene();
    run_in(scene.path(), &[&TILED[..], &["--receipt", ".", "1.png"]].concat()).succeeded();
    let mut file = fs::read(photo()).unwrap();
    file.truncate(file.len() - 5_000);
    fs::write(scene.path().join("1.png"), file).unwrap();
    let ran = run_in(scene.path(), &["verify", "1.png.receipt.json"]);
    assert_eq!(ran.code, 1, "{}\n{}", ran.out, ran.err);
    assert!(
        ran.out.contains("image file") && ran.out.contains("nothing was re-run"),
        "{}",
        ran.out
    );
}
