//! Receipts verify wherever they are re-run.

use std::fs;
use std::path::{Path, PathBuf};

use retinanet::ops::Level;

use super::{asset, command, photo, run_in};

/// A folder with `1.png`, `w.safetensors` and their receipt, made by one thread.
pub(super) fn with_receipt() -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    fs::copy(photo(), folder.path().join("1.png")).unwrap();
    fs::copy(asset("person_r18.safetensors"), folder.path().join("w.safetensors")).unwrap();
    let arguments = ["detect", "--weights", "w.safetensors", "--threads", "1"];
    let more = ["--score-threshold", "0.1", "--receipt", ".", "1.png"];
    run_in(folder.path(), &[&arguments[..], &more[..]].concat()).succeeded();
    let receipt = folder.path().join("1.png.receipt.json");
    (folder, receipt)
}

pub(super) fn verify(folder: &Path) -> super::Ran {
    run_in(folder, &["verify", "1.png.receipt.json"])
}

#[test]
fn a_receipt_verifies_with_any_thread_count_and_cpu_level() {
    let (folder, _) = with_receipt();
    let ran = verify(folder.path()).succeeded();
    assert!(ran.out.contains("same: all ") && ran.out.contains("equal to the bit"), "{}", ran.out);
    for threads in ["1", "2", "3"] {
        let arguments = ["verify", "--threads", threads, "1.png.receipt.json"];
        run_in(folder.path(), &arguments).succeeded();
    }
    for level in Level::available() {
        let output = command()
            .env("RETINANET_CPU_LEVEL", level.name())
            .current_dir(folder.path())
            .args(["verify", "1.png.receipt.json"])
            .output()
            .unwrap();
        super::Ran::from(output).succeeded();
    }
}

#[test]
fn a_receipt_names_paths_as_given_and_holds_everything() {
    let (_folder, receipt) = with_receipt();
    let json: serde_json::Value =
        serde_json::from_str(&fs::read_to_string(receipt).unwrap()).unwrap();
    assert_eq!(json["format"], "retinanet.receipt");
    assert_eq!(json["image"]["path"], "1.png");
    assert_eq!(json["weights"]["given"], "w.safetensors");
    assert_eq!(json["environment"]["mode"], "strict");
    assert_eq!(json["configuration"]["postprocess"]["score_thresh"], 0.1);
    let stages = json["stages"].as_array().unwrap();
    assert_eq!(stages.first().unwrap()["stage"], "decoded");
    assert_eq!(stages.last().unwrap()["stage"], "detections");
    assert_eq!(stages.last().unwrap()["digest"], json["digest"]);
}

#[test]
fn moved_files_are_found_where_the_user_says() {
    let (folder, _) = with_receipt();
    fs::rename(folder.path().join("1.png"), folder.path().join("2.png")).unwrap();
    verify(folder.path()).failed(3, &["1.png"]);
    let arguments = ["verify", "--image", "2.png", "1.png.receipt.json"];
    run_in(folder.path(), &arguments).succeeded();
    fs::rename(folder.path().join("w.safetensors"), folder.path().join("v.safetensors")).unwrap();
    run_in(folder.path(), &arguments).failed(3, &["w.safetensors"]);
    let more = ["--weights", "v.safetensors"];
    run_in(folder.path(), &[&arguments[..], &more[..]].concat()).succeeded();
}

#[test]
fn the_default_weights_are_found_again_by_name() {
    let folder = tempfile::tempdir().unwrap();
    fs::copy(photo(), folder.path().join("1.png")).unwrap();
    run_in(folder.path(), &["detect", "--receipt", ".", "1.png"]).succeeded();
    verify(folder.path()).succeeded();
}

#[test]
fn a_receipt_from_before_numerics_were_counted_verifies() {
    let old = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/fuzz/seeds/receipt/astronaut.json");
    assert!(!fs::read_to_string(old).unwrap().contains("\"numerics\""));
    let (weights, photo) = (asset("person_r18.safetensors"), photo());
    let [weights, photo] = [weights.to_str().unwrap(), photo.to_str().unwrap()];
    let arguments = ["verify", "--weights", weights, "--image", photo, old];
    let ran = run_in(Path::new("."), &arguments).succeeded();
    assert!(ran.out.contains("equal to the bit"), "{}", ran.out);
}
