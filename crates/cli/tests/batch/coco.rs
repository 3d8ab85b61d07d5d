//! COCO results, and that they are what `retinanet eval` scores.

use serde_json::{Value, json};

use crate::scene::{Scene, exits};

#[test]
fn coco_results_hold_the_same_detections_under_the_annotations_ids() {
    let scene = Scene::new(8);
    exits(&scene.batch("plain", &[]), 3);
    let records = String::from_utf8(scene.read("plain")).unwrap();
    let images: Vec<Value> = records
        .lines()
        .enumerate()
        .map(|(index, line)| {
            let record: Value = serde_json::from_str(line).unwrap();
            serde_json::json!({"id": 7 * index + 3, "file_name": record["image"], "width": 1})
        })
        .collect();
    let annotations = serde_json::json!({"images": images, "annotations": [], "info": {}});
    std::fs::write(scene.path("instances.json"), annotations.to_string()).unwrap();
    exits(&scene.batch("with", &["--format", "coco", "--annotations", "instances.json"]), 3);
    exits(&scene.batch("without", &["--format", "coco"]), 3);
    let read = |name| serde_json::from_slice::<Vec<Value>>(&scene.read(name)).unwrap();
    let (with, without) = (read("with"), read("without"));

    let mut expected = Vec::new();
    for (index, line) in records.lines().enumerate() {
        let record: Value = serde_json::from_str(line).unwrap();
        for found in record["detections"].as_array().into_iter().flatten() {
            let corner = |k: usize| found["box"][k].as_f64().unwrap() as f32;
            let sides = [corner(2) - corner(0), corner(3) - corner(1)];
            expected.push((index, found["score"].clone(), sides));
        }
    }
    assert!(!expected.is_empty());
    assert_eq!(with.len(), expected.len());
    for ((with, without), (index, score, sides)) in with.iter().zip(&without).zip(&expected) {
        assert_eq!(with["image_id"], 7 * index + 3);
        assert_eq!(without["image_id"], *index);
        // A reader of f64 finds the f32's very value.
        let exact = f64::from(score.as_f64().unwrap() as f32);
        assert_eq!(with["score"].as_f64().unwrap().to_bits(), exact.to_bits());
        assert_eq!(with["category_id"], 1);
        for (side, k) in sides.iter().zip([2, 3]) {
            assert_eq!(with["bbox"][k].as_f64().unwrap(), f64::from(*side));
        }
    }
}

/// Annotations of all good images of a scene, one of them in the frame before its EXIF rotation; of the
/// categories, "person" is not the model's number 1.
fn annotate(scene: &Scene) {
    for bad in ["a/empty.jpg", "a/torn.png", "b/text.jpg", "zz.webp"] {
        std::fs::remove_file(scene.path("images").join(bad)).unwrap();
    }
    let turned = "../retinanet/src/image/testdata/exif_6.jpg";
    let turned = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join(turned);
    std::fs::copy(turned, scene.path("images/turned.jpg")).unwrap();
    exits(&scene.batch("names", &[]), 0);
    let names = String::from_utf8(scene.read("names")).unwrap();
    let images = names.lines().enumerate().map(|(index, line)| {
        let record: Value = serde_json::from_str(line).unwrap();
        let mut sides = [&record["width"], &record["height"]];
        if record["image"] == "turned.jpg" {
            sides.reverse();
        }
        json!({"id": 100 - index, "file_name": record["image"], "width": sides[0], "height": sides[1]})
    });
    let person = |id: usize, bbox: [f64; 4]| json!({"id": id, "image_id": 101 - id, "category_id": 18, "bbox": bbox});
    let annotations = [person(1, [0.0, 10.0, 90.0, 100.0]), person(2, [20.0, 5.5, 60.25, 120.0])];
    let categories = json!([{"id": 3, "name": "dragon"}, {"id": 18, "name": "person"}]);
    let all = json!({"images": images.collect::<Vec<_>>(), "categories": categories, "annotations": annotations});
    std::fs::write(scene.path("instances.json"), all.to_string()).unwrap();
}

#[test]
fn coco_results_are_what_eval_scores() {
    let scene = Scene::new(8);
    annotate(&scene);
    let told = ["--format", "coco", "--annotations", "instances.json"];
    exits(&scene.batch("results", &told), 0);
    let eval = |more: &[&str]| {
        let common = ["eval", "--annotations", "instances.json", "--json", "-"];
        let output = scene.run(&[&common, more].concat());
        exits(&output, 0);
        serde_json::from_slice::<Value>(&output.stdout).unwrap()
    };
    let model = ["--images", "images", "--weights", "model.safetensors"];
    let model = [&model[..], &["--score-threshold", "0.02", "--save-detections", "saved"]].concat();
    let by_model = eval(&model);
    let by_results = eval(&["--detections", "results"]);
    assert!(by_model["overall"]["AP50"].as_f64().unwrap() > 0.0, "{by_model}");
    for part in ["overall", "classes", "detections"] {
        assert_eq!(by_model[part], by_results[part], "{part}");
    }
    let read = |name| {
        let mut list: Vec<Value> = serde_json::from_slice(&scene.read(name)).unwrap();
        // Evaluation goes by the images' ids, the batch by their names.
        list.sort_by_key(|found| found["image_id"].as_u64());
        list
    };
    assert!(read("results").iter().all(|found| found["category_id"] == 18));
    assert_eq!(read("results"), read("saved"));
}

#[test]
fn annotations_that_know_no_label_of_the_model_are_refused() {
    let scene = Scene::new(2);
    annotate(&scene);
    let file = String::from_utf8(scene.read("instances.json")).unwrap();
    std::fs::write(scene.path("instances.json"), file.replace("\"person\"", "\"human\"")).unwrap();
    let told = ["--format", "coco", "--annotations", "instances.json"];
    let said = exits(&scene.batch("out", &told), 3);
    assert!(said.contains("none of the model's labels is a category"), "{said}");
}

#[test]
fn a_run_with_other_annotations_is_not_continued() {
    let scene = Scene::new(2);
    annotate(&scene);
    let batch =
        || scene.batch("out", &["--format", "coco", "--annotations", "instances.json", "--resume"]);
    exits(&batch(), 0);
    let expected = scene.read("out");
    let file = String::from_utf8(scene.read("instances.json")).unwrap();
    for (old, new) in [("\"id\":18", "\"id\":19"), ("\"id\":100", "\"id\":200")] {
        std::fs::write(scene.path("instances.json"), file.replace(old, new)).unwrap();
        let said = exits(&batch(), 3);
        assert!(said.contains("`annotations_sha256`"), "{said}");
        assert!(scene.read("out") == expected);
    }
}
