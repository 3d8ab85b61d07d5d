//! `retinanet eval` as a user runs it.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::{Value, json};

/// A folder with one photo of a person and its annotations.
struct Scene {
    folder: tempfile::TempDir,
}

fn assets() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/assets")
}

impl Scene {
    fn new(images: Value, categories: Value) -> Self {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("images")).unwrap();
        let photo = folder.path().join("images/astronaut.png");
        std::fs::copy(assets().join("astronaut.png"), photo).unwrap();
        let person = json!({"id": 1, "image_id": 7, "category_id": 3, "bbox": [0, 0, 450, 512],
                            "area": 200_000, "iscrowd": 0});
        let annotations =
            json!({"images": images, "categories": categories, "annotations": [person]});
        std::fs::write(folder.path().join("instances.json"), annotations.to_string()).unwrap();
        Self { folder }
    }

    fn eval(&self, arguments: &[&str]) -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_retinanet"));
        command.current_dir(self.folder.path());
        command.args(["eval", "--annotations", "instances.json"]).args(arguments);
        command.output().unwrap()
    }

    fn model(&self, more: &[&str]) -> Output {
        let weights = assets().join("person_r18.safetensors");
        let weights = weights.to_str().unwrap();
        self.eval(&[&["--images", "images", "--weights", weights], more].concat())
    }
}

fn photo() -> Value {
    json!({"id": 7, "file_name": "astronaut.png", "width": 512, "height": 512})
}

fn person() -> Value {
    json!({"id": 3, "name": "person"})
}

fn ended(output: &Output, code: i32) -> (String, String) {
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    let (out, err) = (text(&output.stdout), text(&output.stderr));
    assert_eq!(output.status.code(), Some(code), "{out}{err}");
    (out, err)
}

#[test]
fn the_saved_detections_have_the_scores_of_the_run_that_saved_them() {
    let scene = Scene::new(json!([photo()]), json!([person(), {"id": 5, "name": "dragon"}]));
    let (out, err) = ended(&scene.model(&["--json", "-", "--save-detections", "found.json"]), 0);
    assert!(err.contains("note: categories unknown to the model count as never found"), "{err}");
    let report: Value = serde_json::from_str(&out).unwrap();
    assert_eq!(report["images"], 1);
    assert_eq!(report["only_in_annotations"], json!(["dragon"]));
    // pycocotools' perfect precision is a little under 1.
    assert!(report["overall"]["AP50"].as_f64().unwrap() > 0.999_999, "{report}");
    assert_eq!(report["classes"][1]["scores"]["AP"], Value::Null);

    let (again, _) = ended(&scene.eval(&["--detections", "found.json", "--json", "-"]), 0);
    let again: Value = serde_json::from_str(&again).unwrap();
    assert_eq!(again["overall"], report["overall"]);
    assert_eq!(again["classes"], report["classes"]);

    let (table, _) = ended(&scene.eval(&["--detections", "found.json"]), 0);
    assert!(table.contains("AP50       0.50       all            100  1.0000"), "{table}");
}

#[test]
fn a_missing_image_is_an_error_unless_it_may_be_left_out() {
    let missing = json!({"id": 8, "file_name": "gone.jpg"});
    let scene = Scene::new(json!([photo(), missing]), json!([person()]));
    let (_, err) = ended(&scene.model(&[]), 3);
    assert!(err.contains(r#"1 of 2 images are not in "images": "gone.jpg""#), "{err}");
    let (out, _) = ended(&scene.model(&["--skip-missing", "--json", "-"]), 0);
    let report: Value = serde_json::from_str(&out).unwrap();
    assert_eq!(report["missing_images"], json!(["gone.jpg"]));
    assert_eq!(report["images"], 1);
}

#[test]
fn what_cannot_be_scored_is_refused() {
    let scene = Scene::new(json!([photo()]), json!([{"id": 3, "name": "dragon"}]));
    let (_, err) = ended(&scene.model(&[]), 3);
    assert!(err.contains("none of the model's labels is a category"), "{err}");
    ended(&scene.eval(&[]), 2);
    ended(&scene.eval(&["--images", "images", "--detections", "x.json"]), 2);
    // Before hours of work, not after.
    for output in ["--json", "--save-detections"] {
        let (_, err) = ended(&scene.model(&[output, "no/such/file.json"]), 3);
        assert!(err.contains("check that its folder exists"), "{err}");
    }
    let (_, err) = ended(&scene.eval(&["--detections", "instances.json"]), 3);
    assert!(err.contains("is not a COCO results file"), "{err}");
}
