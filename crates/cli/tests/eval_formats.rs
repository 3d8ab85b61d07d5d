//! `retinanet eval` with YOLO's and Pascal VOC's annotations, against the same ones as COCO's JSON.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::{Value, json};

fn assets() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/assets")
}

/// The photo under two names, the second in a folder, with one person each and one that counts for nothing in
/// Pascal VOC's and COCO's files.
fn data_set() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    for sub in ["images/b", "voc/b", "yolo/b"] {
        fs::create_dir_all(at(sub)).unwrap();
    }
    for name in ["images/a.png", "images/b/c.png"] {
        fs::copy(assets().join("astronaut.png"), at(name)).unwrap();
    }
    let voc = |file: &str, [xmin, ymin, xmax, ymax]: [u32; 4], difficult: u8| {
        format!(
            "<annotation><filename>{file}</filename><size><width>512</width><height>512</height></size>\
             <object><name>person</name><difficult>{difficult}</difficult><bndbox><xmin>{xmin}</xmin>\
             <ymin>{ymin}</ymin><xmax>{xmax}</xmax><ymax>{ymax}</ymax></bndbox></object></annotation>"
        )
    };
    fs::write(at("voc/a.xml"), voc("a.png", [1, 1, 448, 512], 0)).unwrap();
    fs::write(at("voc/b/c.xml"), voc("c.png", [129, 65, 384, 320], 1)).unwrap();
    fs::write(at("yolo/classes.txt"), "cat\nperson\n").unwrap();
    fs::write(at("yolo/a.txt"), "1 0.4375 0.5 0.875 1\n").unwrap();
    fs::write(at("yolo/b/c.txt"), "1 0.5 0.375 0.5 0.5\n").unwrap();
    let coco = |crowd: u8| {
        let image =
            |id: u8, name: &str| json!({"id": id, "file_name": name, "width": 512, "height": 512});
        json!({"images": [image(1, "a.png"), image(2, "b/c.png")],
            "categories": [{"id": 1, "name": "person"}],
            "annotations": [
                {"id": 1, "image_id": 1, "category_id": 1, "bbox": [0, 0, 448, 512]},
                {"id": 2, "image_id": 2, "category_id": 1, "bbox": [128, 64, 256, 256], "iscrowd": crowd}]})
    };
    fs::write(at("crowd.json"), coco(1).to_string()).unwrap();
    fs::write(at("plain.json"), coco(0).to_string()).unwrap();
    folder
}

fn eval(folder: &Path, arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_retinanet"));
    command.current_dir(folder).arg("eval").args(arguments);
    command.output().unwrap()
}

fn scores(folder: &Path, annotations: &str) -> Value {
    let arguments =
        ["--images", "images", "--annotations", annotations, "--json", "-", "--label", "person"];
    let output = eval(folder, &arguments);
    assert!(output.status.success(), "{output:?}");
    serde_json::from_slice(&output.stdout).unwrap()
}

#[track_caller]
fn refused(output: &Output, code: i32, parts: &[&str]) {
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(code), "{said}");
    for part in parts {
        assert!(said.contains(part), "{part:?} is not in: {said}");
    }
}

#[test]
fn every_form_of_annotations_has_the_scores_of_the_same_ones_as_json() {
    let folder = data_set();
    let [crowd, plain, voc, yolo] =
        ["crowd.json", "plain.json", "voc", "yolo"].map(|name| scores(folder.path(), name));
    for key in ["overall", "images", "annotations", "detections"] {
        assert_eq!(voc[key], crowd[key], "{key}");
        assert_eq!(yolo[key], plain[key], "{key}");
    }
    assert_eq!(yolo["classes"][0]["scores"], plain["classes"][0]["scores"]);
    assert_ne!(crowd["overall"], plain["overall"]);
}

#[test]
fn detections_written_as_yolo_text_are_found_again() {
    let folder = data_set();
    let mut command = Command::new(env!("CARGO_BIN_EXE_retinanet"));
    command.current_dir(folder.path());
    command.args(["detect", "--score-threshold", "0.3", "--yolo", "found", "images"]);
    assert!(command.status().unwrap().success());
    let report = scores(folder.path(), "found");
    assert!(report["overall"]["AP50"].as_f64().unwrap() > 0.99, "{report}");
}

#[test]
fn saved_detections_are_scored_against_yolo_text_with_the_images_sizes() {
    let folder = data_set();
    let yolo = ["--images", "images", "--annotations", "yolo"];
    let saved =
        eval(folder.path(), &[&yolo[..], &["--save-detections", "d.json", "--json", "-"]].concat());
    assert!(saved.status.success(), "{saved:?}");
    let again =
        eval(folder.path(), &[&yolo[..], &["--detections", "d.json", "--json", "-"]].concat());
    let [saved, again]: [Value; 2] =
        [saved, again].map(|output| serde_json::from_slice(&output.stdout).unwrap());
    assert_eq!(saved["overall"], again["overall"]);
    refused(
        &eval(folder.path(), &["--annotations", "yolo", "--detections", "d.json"]),
        2,
        &["--images DIR"],
    );
    let both = ["--images", "images", "--annotations", "plain.json", "--detections", "d.json"];
    refused(&eval(folder.path(), &both), 2, &["exclude each other"]);
}

#[test]
fn annotations_that_cannot_be_used_are_refused() {
    let folder = data_set();
    let at = |name: &str| folder.path().join(name);
    let with = |more: &[&str]| eval(folder.path(), &[&["--images", "images"], more].concat());
    fs::write(at("yolo/gone.txt"), "1 0.5 0.5 0.5 0.5\n").unwrap();
    refused(
        &with(&["--annotations", "yolo"]),
        3,
        &["1 files of \"yolo\" belong to no image: \"gone.txt\""],
    );
    let skipped = with(&["--annotations", "yolo", "--skip-missing", "--json", "-"]);
    let report: Value = serde_json::from_slice(&skipped.stdout).unwrap();
    assert_eq!(report["missing_images"], json!(["gone.txt"]));
    fs::write(at("yolo/a.txt"), "1 0.4375 0.5 0.875 1\n7 0.5 0.5 1 1\n").unwrap();
    refused(&with(&["--annotations", "yolo"]), 3, &["a.txt\", line 2: the class is 7"]);
    fs::remove_file(at("yolo/classes.txt")).unwrap();
    refused(&with(&["--annotations", "yolo"]), 2, &["--annotation-classes FILE"]);
    refused(&with(&["--annotations", "voc", "--annotation-classes", "x"]), 2, &["is for YOLO"]);
    refused(&with(&["--annotations", "images"]), 2, &["classes.txt"]);
    refused(&with(&["--annotations", "voc", "--annotation-format", "coco"]), 3, &["voc"]);
    let text = fs::read_to_string(at("voc/a.xml")).unwrap();
    fs::write(at("voc/a.xml"), text.replace("<xmin>1<", "<xmin>0<")).unwrap();
    refused(&with(&["--annotations", "voc"]), 3, &["voc/a.xml\", line 1", "--voc-origin 0"]);
    assert!(with(&["--annotations", "voc", "--voc-origin", "0"]).status.success());
    fs::write(
        at("voc/a.xml"),
        "<!DOCTYPE a [<!ENTITY x SYSTEM \"/etc/passwd\">]><annotation>&x;</annotation>",
    )
    .unwrap();
    refused(&with(&["--annotations", "voc"]), 3, &["it is not XML that is read"]);
}

#[test]
fn curves_are_drawn_with_their_numbers_and_say_what_they_cannot_be() {
    let folder = data_set();
    let coco = fs::read_to_string(folder.path().join("plain.json")).unwrap();
    let odd = r#"{"id":2,"name":"<a & \"b\">"}],"images""#;
    let coco = coco.replace(r#"}],"images""#, &format!("}},{odd}"));
    let coco = coco.replace(r#""category_id":1,"id":2"#, r#""category_id":2,"id":2"#);
    fs::write(folder.path().join("odd.json"), coco).unwrap();
    let base = ["--images", "images", "--annotations", "odd.json", "--curves"];
    for wrong in ["c.png", "c"] {
        refused(&eval(folder.path(), &[&base[..], &[wrong]].concat()), 2, &["as .svg or .json"]);
    }
    refused(&eval(folder.path(), &[&base[..], &["no/c.svg"]].concat()), 3, &["folder exists"]);
    let done = eval(folder.path(), &[&base[..], &["c.svg"]].concat());
    assert!(done.status.success(), "{done:?}");
    let svg = fs::read_to_string(folder.path().join("c.svg")).unwrap();
    for part in [
        "<svg xmlns",
        "Mean of 2 categories",
        "&lt;a &amp; &quot;b&quot;&gt;",
        ">recall<",
        ">precision<",
        "AP 0.",
    ] {
        assert!(svg.contains(part), "{part} is not in {svg}");
    }
    assert!(!svg.contains("<a &") && !svg.contains("NaN"), "{svg}");
    assert_eq!(svg.matches("<g ").count(), svg.matches("</g>").count());
}
