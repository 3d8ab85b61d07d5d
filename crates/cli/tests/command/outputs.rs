//! CSV, YOLO's text files and crops.

use std::fs;

use serde_json::Value;

use super::{names_in, photo, run_in};

/// A folder with the photo under two names, one of which a CSV field has to quote, and a file that is no image.
fn photos() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for sub in ["in/a", "in/b"] {
        fs::create_dir_all(folder.path().join(sub)).unwrap();
    }
    fs::copy(photo(), folder.path().join("in/a/one, \"1\".png")).unwrap();
    fs::copy(photo(), folder.path().join("in/b/2.png")).unwrap();
    fs::write(folder.path().join("in/b/3.jpg"), "no image").unwrap();
    folder
}

#[test]
fn csv_has_a_row_a_detection_and_a_row_for_every_other_image() {
    let folder = photos();
    let files = ["--json", "o.json", "--csv", "o.csv"];
    let arguments = [&["detect", "--score-threshold", "0.3"][..], &files, &["in"]].concat();
    run_in(folder.path(), &arguments).failed(3, &["3.jpg"]);
    let text = fs::read_to_string(folder.path().join("o.csv")).unwrap();
    let json = fs::read(folder.path().join("o.json")).unwrap();
    let records: Vec<Value> = serde_json::from_slice(&json).unwrap();
    let mut expected = vec!["image,label_id,label,score,x1,y1,x2,y2,detections,error".to_owned()];
    for (record, name) in records.iter().zip(["\"in/a/one, \"\"1\"\".png\"", "in/b/2.png"]) {
        let found = record["detections"].as_array().unwrap();
        assert!(!found.is_empty());
        for one in found {
            let numbers: Vec<String> =
                one["box"].as_array().unwrap().iter().map(Value::to_string).collect();
            let (score, count) = (&one["score"], found.len());
            expected.push(format!("{name},1,person,{score},{},{count},", numbers.join(",")));
        }
    }
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines[..lines.len() - 1], expected);
    assert!(lines.last().unwrap().starts_with("in/b/3.jpg,,,,,,,,,"), "{text}");

    // Nothing found is said, too; and standard output has the rows in place of the table.
    let nothing = ["detect", "--score-threshold", "1", "--csv", "-", "in/b/2.png"];
    let out = run_in(folder.path(), &nothing).succeeded().out;
    assert_eq!(out.lines().nth(1), Some("in/b/2.png,,,,,,,,0,"));
    run_in(folder.path(), &["detect", "--json", "-", "--csv", "-", "in/b/2.png"])
        .failed(2, &["the same place"]);
}

#[test]
fn yolo_files_mirror_the_images_and_name_the_classes() {
    let folder = photos();
    fs::remove_file(folder.path().join("in/b/3.jpg")).unwrap();
    let arguments =
        ["detect", "--score-threshold", "0.5", "--yolo", "labels", "--yolo-scores", "in"];
    run_in(folder.path(), &arguments).succeeded();
    let labels = folder.path().join("labels");
    assert_eq!(names_in(&labels), ["a/one, \"1\".txt", "b/2.txt", "classes.txt"]);
    assert_eq!(fs::read_to_string(labels.join("classes.txt")).unwrap(), "person\n");
    let text = fs::read_to_string(labels.join("b/2.txt")).unwrap();
    for line in text.lines() {
        let numbers: Vec<f64> = line.split(' ').map(|number| number.parse().unwrap()).collect();
        assert_eq!((numbers.len(), numbers[0]), (6, 0.0), "{line}");
        assert!(numbers[1..].iter().all(|number| (0.0..=1.0).contains(number)), "{line}");
    }
    // The same again is no harm; other content is not overwritten, be it made by hand.
    run_in(folder.path(), &arguments).succeeded();
    run_in(folder.path(), &["detect", "--score-threshold", "0.5", "--yolo", "labels", "in"])
        .failed(3, &["labels/a/one", "is not overwritten"]);
    fs::write(labels.join("classes.txt"), "cat\n").unwrap();
    run_in(folder.path(), &arguments).failed(3, &["classes.txt", "is not overwritten"]);
}

#[test]
fn images_whose_yolo_files_would_meet_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir(folder.path().join("in")).unwrap();
    for name in ["1.png", "1.jpg"] {
        fs::copy(photo(), folder.path().join("in").join(name)).unwrap();
    }
    for command in [&["detect"][..], &["batch", "--out", "o"]] {
        run_in(folder.path(), &[command, &["--yolo", "l", "in"]].concat())
            .failed(2, &["\"1.txt\"", "\"1.png\"", "\"1.jpg\""]);
    }
    fs::rename(folder.path().join("in/1.png"), folder.path().join("in/classes.png")).unwrap();
    run_in(folder.path(), &["detect", "--yolo", "l", "in"]).failed(2, &["the list of classes"]);
    run_in(folder.path(), &["detect", "--yolo-scores", "in"]).failed(2, &["--yolo <DIR>"]);
    assert!(!folder.path().join("l").exists());
}

#[test]
fn crops_are_the_pixels_in_the_boxes_and_never_overwrite_others() {
    let folder = photos();
    fs::remove_file(folder.path().join("in/b/3.jpg")).unwrap();
    let arguments =
        ["detect", "--score-threshold", "0.5", "--crops", "c", "--json", "o.json", "in"];
    run_in(folder.path(), &arguments).succeeded();
    let json = fs::read(folder.path().join("o.json")).unwrap();
    let records: Vec<Value> = serde_json::from_slice(&json).unwrap();
    let corners: Vec<f32> = records[1]["detections"][0]["box"]
        .as_array()
        .unwrap()
        .iter()
        .map(|v| v.as_f64().unwrap() as f32)
        .collect();
    let whole = retinanet::Image::open(photo()).unwrap();
    let expected = whole.crop(<[f32; 4]>::try_from(corners).unwrap());
    let path = folder.path().join("c/b/2.png/000-person.png");
    assert_eq!(retinanet::Image::open(&path).unwrap(), expected);
    run_in(folder.path(), &arguments).succeeded();
    fs::write(&path, "by hand").unwrap();
    run_in(folder.path(), &arguments).failed(3, &["000-person.png", "is not overwritten"]);
    assert_eq!(fs::read(&path).unwrap(), b"by hand");
}
