//! Every kind of tampering with what a receipt speaks of is caught and named.

use std::fs;
use std::path::Path;

use retinanet::determinism::NUMERICS_VERSION;
use serde_json::Value;

use super::receipts::{verify, with_receipt};

/// Flips the lowest bit of a byte.
fn flip(path: &Path, at: impl Fn(usize) -> usize) {
    let mut bytes = fs::read(path).unwrap();
    let at = at(bytes.len());
    bytes[at] ^= 1;
    fs::write(path, bytes).unwrap();
}

/// Edits the receipt and expects exit 1 with each part in the verdict.
#[track_caller]
fn edited(edit: impl Fn(&mut Value), parts: &[&str]) {
    let (folder, receipt) = with_receipt();
    let mut json: Value = serde_json::from_str(&fs::read_to_string(&receipt).unwrap()).unwrap();
    edit(&mut json);
    fs::write(&receipt, json.to_string()).unwrap();
    let ran = verify(folder.path());
    assert_eq!(ran.code, 1, "{}\n{}", ran.out, ran.err);
    for part in parts {
        assert!(ran.out.contains(part), "{part:?} is not in:\n{}", ran.out);
    }
}

#[test]
fn laying_the_receipt_out_otherwise_is_no_tampering() {
    let (folder, receipt) = with_receipt();
    let json: Value = serde_json::from_str(&fs::read_to_string(&receipt).unwrap()).unwrap();
    fs::write(&receipt, json.to_string()).unwrap();
    verify(folder.path()).succeeded();
}

#[test]
fn a_changed_image_byte_is_named() {
    let (folder, _) = with_receipt();
    // In the pixels: the picture may not decode any more.
    flip(&folder.path().join("1.png"), |length| length / 2);
    let ran = verify(folder.path());
    assert_eq!(ran.code, 1, "{}\n{}", ran.out, ran.err);
    assert!(ran.out.contains("image file \"1.png\": its sha256 is "), "{}", ran.out);
    // Appended: every pixel is as before, and only the file differs.
    let (folder, _) = with_receipt();
    let mut bytes = fs::read(folder.path().join("1.png")).unwrap();
    bytes.push(0);
    fs::write(folder.path().join("1.png"), bytes).unwrap();
    let ran = verify(folder.path());
    assert_eq!(ran.code, 1, "{}\n{}", ran.out, ran.err);
    assert!(ran.out.contains("image file") && !ran.out.contains("first stage"), "{}", ran.out);
}

#[test]
fn another_picture_parts_at_the_decoded_stage() {
    let (folder, _) = with_receipt();
    let other = retinanet::Image::from_rgb8(64, 48, vec![90; 64 * 48 * 3]).unwrap();
    other.save_png(folder.path().join("1.png")).unwrap();
    let ran = verify(folder.path());
    assert_eq!(ran.code, 1, "{}\n{}", ran.out, ran.err);
    assert!(ran.out.contains("image file"), "{}", ran.out);
    assert!(ran.out.contains("the first stage that differs is \"decoded\""), "{}", ran.out);
    assert!(ran.out.contains("receipt") && ran.out.contains("cpu level"), "{}", ran.out);
}

#[test]
fn a_changed_weight_byte_is_named_with_the_first_stage_it_reaches() {
    let (folder, _) = with_receipt();
    flip(&folder.path().join("w.safetensors"), |length| length - 1000);
    let ran = verify(folder.path());
    assert_eq!(ran.code, 1, "{}\n{}", ran.out, ran.err);
    assert!(ran.out.contains("weights file: its sha256 is "), "{}", ran.out);
    assert!(!ran.out.contains("image file"), "{}", ran.out);
    // A file that is no checkpoint any more.
    let (folder, _) = with_receipt();
    flip(&folder.path().join("w.safetensors"), |_| 8);
    let ran = verify(folder.path());
    assert_eq!(ran.code, 1, "{}\n{}", ran.out, ran.err);
    assert!(ran.out.contains("weights file: its sha256 is "), "{}", ran.out);
    assert!(ran.out.contains("nothing was re-run"), "{}", ran.out);
}

#[test]
fn a_changed_score_bit_is_named() {
    edited(
        |json| {
            let score = &mut json["detections"]["detections"][0]["score"];
            let bits = (score.as_f64().unwrap() as f32).to_bits();
            *score = f64::from(f32::from_bits(bits ^ 1)).into();
        },
        &["edited after it was written", "the receipt's scores, boxes or labels were edited"],
    );
}

#[test]
fn a_changed_version_is_named() {
    edited(
        |json| json["environment"]["versions"]["numerics"] = 7.into(),
        &["edited after it was written", &format!("numerics \"7\", here \"{NUMERICS_VERSION}\"")],
    );
    let (folder, receipt) = with_receipt();
    let json = fs::read_to_string(&receipt).unwrap();
    fs::write(&receipt, json.replace("\"version\": 1", "\"version\": 2")).unwrap();
    verify(folder.path()).failed(3, &["its `version` is 2", "this release reads version 1"]);
}

#[test]
fn a_changed_stage_digest_is_named() {
    edited(
        |json| json["stages"][3]["digest"] = "00".repeat(32).into(),
        &["edited after it was written", "the first stage that differs is \"C4\""],
    );
}

#[test]
fn a_changed_setting_or_path_breaks_the_seal() {
    edited(
        |json| json["configuration"]["postprocess"]["nms_thresh"] = 0.1.into(),
        &["edited after it was written"],
    );
    edited(|json| json["environment"]["threads"] = 7.into(), &["edited after it was written"]);
}

#[test]
fn files_that_are_no_receipts_end_with_3() {
    let (folder, receipt) = with_receipt();
    let whole = fs::read_to_string(&receipt).unwrap();
    for (content, part) in [
        (String::new(), "EOF"),
        ("[]".to_owned(), "receipt"),
        ("{}".to_owned(), "its field `format`"),
        (whole[..whole.len() / 2].to_owned(), "EOF"),
        (whole.replacen('{', "{\"extra\": 1,", 1), "unknown field"),
        ("[".repeat(100_000), "recursion"),
    ] {
        fs::write(&receipt, &content).unwrap();
        verify(folder.path()).failed(3, &["1.png.receipt.json", part]);
    }
    fs::remove_file(&receipt).unwrap();
    verify(folder.path()).failed(3, &["1.png.receipt.json", "cannot be read"]);
}
