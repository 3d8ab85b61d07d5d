//! What `detect` prints: a table, or JSON.

use retinanet::determinism::digest_detections;
use serde_json::Value;

use super::{photo, run, run_in};

#[test]
fn the_table_names_image_labels_scores_and_boxes() {
    let photo = photo();
    let ran = run(&["detect", "--score-threshold", "0.3", photo.to_str().unwrap()]).succeeded();
    assert!(ran.out.contains("astronaut.png  512 x 512  "), "{}", ran.out);
    assert!(ran.out.contains("label") && ran.out.contains("person"), "{}", ran.out);
    assert_eq!(ran.err, "");
}

#[test]
fn json_numbers_read_back_to_the_digested_bits() {
    let photo = photo();
    let arguments = ["detect", "--json", "-", photo.to_str().unwrap()];
    let json = run(&arguments).succeeded().out;
    let array: Value = serde_json::from_str(&json).unwrap();
    let [image] = array.as_array().unwrap().as_slice() else { panic!("{json}") };
    let keys: Vec<&str> = image.as_object().unwrap().keys().map(String::as_str).collect();
    assert_eq!(keys.len(), 5, "{keys:?}");
    assert!(image["image"].as_str().unwrap().ends_with("astronaut.png"));
    assert_eq!((image["width"].as_u64(), image["height"].as_u64()), (Some(512), Some(512)));
    let detections = image["detections"].as_array().unwrap();
    assert!(detections.len() > 1);
    // As Python would: parsed as f64, then rounded.
    let number = |value: &Value| value.as_f64().unwrap() as f32;
    let fields = detections.iter().map(|one| {
        let corners: Vec<f32> = one["box"].as_array().unwrap().iter().map(number).collect();
        (
            one["label_id"].as_u64().unwrap() as usize,
            one["label"].as_str().unwrap(),
            number(&one["score"]),
            <[f32; 4]>::try_from(corners).unwrap(),
        )
    });
    let digest = digest_detections([512, 512], fields).unwrap();
    assert_eq!(image["digest"].as_str().unwrap(), digest.to_string());
}

#[test]
fn a_json_file_holds_what_standard_output_would() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::copy(photo(), folder.path().join("a.png")).unwrap();
    let ran = run_in(folder.path(), &["detect", "--json", "out.json", "a.png"]).succeeded();
    assert!(ran.out.contains("a.png"), "the table is printed too: {}", ran.out);
    let file = std::fs::read_to_string(folder.path().join("out.json")).unwrap();
    let printed = run_in(folder.path(), &["detect", "--json", "-", "a.png"]).succeeded().out;
    assert_eq!(file, printed);
    assert!(file.contains("\"image\":\"a.png\""), "{file}");
}

#[test]
fn labels_and_thresholds_select_without_changing_what_is_left() {
    let photo = photo();
    let photo = photo.to_str().unwrap();
    let detections = |more: &[&str]| -> Vec<Value> {
        let ran = run(&[&["detect", "--json", "-"], more, &[photo]].concat()).succeeded();
        let json: Value = serde_json::from_str(&ran.out).unwrap();
        json[0]["detections"].as_array().unwrap().clone()
    };
    let all = detections(&[]);
    let above = detections(&["--score-threshold", "0.3"]);
    assert!(!above.is_empty() && above.len() < all.len());
    assert_eq!(above, all[..above.len()]);
    assert_eq!(detections(&["--label", "person"]), all);
    assert_eq!(detections(&["--label", "person", "--label", "person"]), all);
    assert!(detections(&["--label", "__background__"]).is_empty());
}

#[test]
fn neither_threads_nor_cpu_level_change_a_byte() {
    let photo = photo();
    let arguments = ["detect", "--json", "-", photo.to_str().unwrap()];
    let first = run(&arguments).succeeded().out;
    for threads in ["1", "3"] {
        let other = run(&[&arguments[..], &["--threads", threads]].concat());
        assert_eq!(other.succeeded().out, first, "{threads} threads");
    }
    for level in retinanet::ops::Level::available() {
        let mut command = super::command();
        let output = command.env("RETINANET_CPU_LEVEL", level.name()).args(arguments).output();
        assert_eq!(super::Ran::from(output.unwrap()).succeeded().out, first, "{level:?}");
    }
}
