//! `retinanet weights`.

use std::fs;

use super::{asset, photo, run, run_in};

fn bundled() -> String {
    asset("person_r18.safetensors").to_str().unwrap().to_owned()
}

#[test]
fn list_says_what_there_is_and_what_is_here() {
    let table = run(&["weights", "list"]).succeeded().out;
    let row = |name: &str| {
        table.lines().find(|line| line.starts_with(name)).unwrap_or_else(|| panic!("{table}"))
    };
    assert!(row("person_r18 ").ends_with("bundled"), "{table}");
    assert!(row("retinanet_resnet50_fpn_v2.coco_v1").ends_with("no"), "{table}");
}

#[test]
fn fetch_finds_the_bundled_file_and_says_what_to_do_offline() {
    let ran = run(&["weights", "fetch", "person_r18"]).succeeded();
    assert!(ran.out.contains("person_r18.safetensors\nsha256 d711e2bf"), "{}", ran.out);
    run(&["weights", "fetch", "retinanet_resnet50_fpn.coco_v1"])
        .failed(3, &["RETINANET_OFFLINE", "https://"]);
    run(&["weights", "fetch", "persn_r18"]).failed(2, &["person_r18"]);
}

#[test]
fn inspect_shows_hash_model_tensors_and_metadata() {
    let text = run(&["weights", "inspect", &bundled()]).succeeded().out;
    for part in ["safetensors", "d711e2bf", "a self-described model with 2 classes", "metadata"] {
        assert!(text.contains(part), "{part}: {text}");
    }
    let tensors = run(&["weights", "inspect", "--tensors", &bundled()]).succeeded().out;
    assert!(tensors.contains("backbone.body.conv1.weight"), "{tensors}");
    let json = run(&["weights", "inspect", "--json", "-", &bundled()]).succeeded().out;
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert!(json["tensors"].as_array().unwrap().len() > 50);
    let photo = photo();
    run(&["weights", "inspect", photo.to_str().unwrap()]).failed(3, &["it is an image"]);
}

#[test]
fn convert_gives_a_file_with_the_same_answers() {
    let folder = tempfile::tempdir().unwrap();
    run_in(folder.path(), &["weights", "convert", &bundled(), "w.safetensors"]).succeeded();
    let photo = photo();
    let photo = photo.to_str().unwrap();
    let detect = |more: &[&str]| {
        let arguments = [&["detect", "--json", "-"], more, &[photo]].concat();
        run_in(folder.path(), &arguments).succeeded().out
    };
    assert_eq!(detect(&[]), detect(&["--weights", "w.safetensors"]));
    let ran = run_in(folder.path(), &["weights", "verify", "--as", "person_r18", "w.safetensors"]);
    assert!(ran.succeeded().out.contains("person_r18, by its whole hash"));
}

#[test]
fn verify_says_no_to_damage_and_to_other_checkpoints() {
    let ran = run(&["weights", "verify", &bundled()]).succeeded();
    assert!(ran.out.contains("person_r18, by its whole hash"), "{}", ran.out);
    let other = "retinanet_resnet50_fpn.coco_v1";
    run(&["weights", "verify", "--as", other, &bundled()]).failed(1, &["is not", other]);
    let folder = tempfile::tempdir().unwrap();
    let cut = folder.path().join("cut.safetensors");
    let whole = fs::read(bundled()).unwrap();
    fs::write(&cut, &whole[..whole.len() - 4]).unwrap();
    run(&["weights", "verify", cut.to_str().unwrap()]).failed(1, &["cut.safetensors"]);
    run(&["weights", "verify", "no_such.safetensors"]).failed(3, &["no_such.safetensors"]);
}
