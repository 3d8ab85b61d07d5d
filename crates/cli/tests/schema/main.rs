//! The schemas in `docs/schema` describe what the command really writes, and nothing else.

mod checker;
#[allow(dead_code, reason = "other tests use the rest")]
#[path = "../train/scene.rs"]
mod scene;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use checker::check;
use serde_json::{Value, json};

fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn schema(name: &str) -> Value {
    let path = repository().join("docs/schema").join(format!("{name}.schema.json"));
    serde_json::from_slice(&fs::read(path).unwrap()).unwrap()
}

/// A photo, a file that is no image, and annotations.
fn folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir(folder.path().join("in")).unwrap();
    fs::copy(repository().join("examples/assets/astronaut.png"), folder.path().join("in/1.png"))
        .unwrap();
    fs::write(folder.path().join("in/2.jpg"), "no image").unwrap();
    let annotations = json!({"images": [{"id": 1, "file_name": "1.png"}],
        "categories": [{"id": 3, "name": "person"}, {"id": 4, "name": "dragon"}],
        "annotations": [{"id": 1, "image_id": 1, "category_id": 3, "bbox": [0, 0, 450, 512]}]});
    fs::write(folder.path().join("a.json"), annotations.to_string()).unwrap();
    folder
}

fn run(folder: &Path, code: i32, arguments: &[&str]) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_retinanet"));
    let output = command.current_dir(folder).args(arguments).output().unwrap();
    assert_eq!(output.status.code(), Some(code), "{output:?}");
}

fn read(folder: &Path, name: &str) -> Value {
    serde_json::from_slice(&fs::read(folder.join(name)).unwrap()).unwrap()
}

/// Fits the schema; and without any one of its fields, or with another one, it does not.
#[track_caller]
fn fits(schema: &Value, value: &Value) {
    check(schema, value).unwrap();
    let object = if value.is_array() { &value[0] } else { value };
    for name in object.as_object().unwrap().keys() {
        let with = |change: &dyn Fn(&mut Value)| {
            let mut other = value.clone();
            change(if other.is_array() { &mut other[0] } else { &mut other });
            check(schema, &other).unwrap_err()
        };
        with(&|object| drop(object.as_object_mut().unwrap().remove(name)));
        with(&|object| object[format!("{name}_")] = object[name].clone());
        with(&|object| object[name] = json!({"an": "object"}));
    }
}

#[test]
fn what_detect_and_batch_write_fits_their_schemas() {
    let folder = folder();
    run(folder.path(), 3, &["detect", "--json", "d.json", "in"]);
    let written = read(folder.path(), "d.json");
    fits(&schema("detect"), &written);
    let mut far = written.clone();
    far[0]["detections"][0]["score"] = json!(1.5);
    let error = check(&schema("detect"), &far).unwrap_err();
    assert!(error.contains("fits 0 of 2 forms"), "{error}");

    run(folder.path(), 3, &["batch", "--out", "b.jsonl", "in"]);
    let text = fs::read_to_string(folder.path().join("b.jsonl")).unwrap();
    assert_eq!(text.lines().count(), 2);
    for line in text.lines() {
        fits(&schema("batch-line"), &serde_json::from_str(line).unwrap());
    }
    run(folder.path(), 3, &["batch", "--format", "coco", "--out", "b.json", "in"]);
    fits(&schema("coco-results"), &read(folder.path(), "b.json"));
}

#[test]
fn what_eval_writes_fits_its_schemas() {
    let folder = folder();
    let files = ["--json", "e.json", "--save-detections", "s.json", "--curves", "c.json"];
    let arguments = [&["eval", "--images", "in", "--annotations", "a.json"][..], &files].concat();
    run(folder.path(), 0, &arguments);
    let written = read(folder.path(), "e.json");
    fits(&schema("eval"), &written);
    assert!(written["classes"][1]["scores"]["AP"].is_null());
    fits(&schema("coco-results"), &read(folder.path(), "s.json"));
    fits(&schema("curves"), &read(folder.path(), "c.json"));
}

#[test]
fn what_train_and_verify_write_fits_their_schemas() {
    let scene = scene::Scene::new();
    let run = "steps = 2\nbatch = 2\nevaluate_every = 1\ncheckpoint_every = 1";
    let settings = scene::Settings { optimiser: scene::ADAM, run, validated: true };
    scene.recipe("recipe.toml", &settings);
    let output = scene.train_command("recipe.toml", "run", &["--json"]).output().unwrap();
    scene::exits(&output, 0);
    fits(&schema("train"), &serde_json::from_slice(&output.stdout).unwrap());
    let lines = scene.log("run");
    assert_eq!(lines.len(), 6, "a header, two steps, two evaluations, an end");
    for line in &lines {
        fits(&schema("training-log-line"), line);
    }
    let verdict = |code: i32| {
        let output = scene.run(&["verify", "run", "--json", "-"]);
        scene::exits(&output, code);
        serde_json::from_slice::<Value>(&output.stdout).unwrap()
    };
    fits(&schema("verify-run"), &verdict(0));
    let mut changed = lines.clone();
    changed[1]["step"]["classification"] = json!(0.5);
    scene.write_log("run", &changed);
    let different = verdict(1);
    fits(&schema("verify-run"), &different);
    let mut other = different;
    other["difference"]["parts"][0]["more"] = json!(1);
    check(&schema("verify-run"), &other).unwrap_err();
    let log = String::from_utf8(scene.read("run/log.jsonl")).unwrap();
    scene.write("run/log.jsonl", log.replacen("\"foreground\":", "\"foreground\":1", 1));
    fits(&schema("verify-run"), &verdict(1));
}

#[test]
fn every_schema_is_tested_here() {
    let mut names: Vec<String> = fs::read_dir(repository().join("docs/schema"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    let tested = [
        "batch-line",
        "coco-results",
        "curves",
        "detect",
        "eval",
        "train",
        "training-log-line",
        "verify-run",
    ];
    assert_eq!(names, tested.map(|name| format!("{name}.schema.json")));
}
