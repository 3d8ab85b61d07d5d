use crate::scene::{Scene, exits};

#[track_caller]
fn refused(said: &str, parts: &[&str]) {
    for part in parts {
        assert!(said.contains(part), "no {part:?} in {said}");
    }
}

#[test]
fn an_output_that_is_there_is_not_touched_unasked() {
    let scene = Scene::new(1);
    std::fs::write(scene.path("out"), "precious").unwrap();
    refused(&exits(&scene.batch("out", &[]), 2), &["--resume", "--overwrite"]);
    refused(&exits(&scene.batch("out", &["--resume"]), 3), &["out.run.json", "No such file"]);
    assert_eq!(scene.read("out"), b"precious");
    exits(&scene.batch("out", &["--resume", "--overwrite"]), 2);
    refused(&exits(&scene.batch("images", &[]), 3), &["not a regular file"]);
    refused(&exits(&scene.batch("no/such/folder/out", &[]), 3), &["cannot write"]);
}

#[test]
fn a_run_with_anything_changed_is_not_continued() {
    let scene = Scene::new(3);
    exits(&scene.batch("out", &[]), 3);
    let before = scene.read("out");
    std::fs::write(scene.path("out"), &before[..before.len() / 2]).unwrap();
    let half = scene.read("out");
    for (more, parts) in [
        (&["--resume", "--format", "coco"][..], &["`format`", "jsonl", "coco"][..]),
        (&["--resume", "--shard", "0/2"], &["`shard`", "0/1", "0/2"]),
        (&["--resume", "--label", "person"], &["`labels`", "person"]),
        (&["--resume", "--masks", "masks"], &["`extras`", "masks"]),
        (&["--resume", "--mode", "fast"], &["`mode`"]),
    ] {
        refused(&exits(&scene.batch("out", more), 3), parts);
        assert_eq!(scene.read("out"), half);
    }
    let threshold = scene.run(&[
        "batch",
        "images",
        "--weights",
        "model.safetensors",
        "--score-threshold",
        "0.5",
        "--out",
        "out",
        "--resume",
    ]);
    refused(&exits(&threshold, 3), &["`config.postprocess.score_thresh`", "0.02", "0.5"]);

    let mut weights = scene.read("model.safetensors");
    *weights.last_mut().unwrap() ^= 1;
    let good = scene.read("model.safetensors");
    std::fs::write(scene.path("model.safetensors"), &weights).unwrap();
    refused(&exits(&scene.batch("out", &["--resume"]), 3), &["`weights_sha256`"]);
    std::fs::write(scene.path("model.safetensors"), good).unwrap();

    let image = scene.read("images/000.png");
    std::fs::write(scene.path("images/new.png"), image).unwrap();
    refused(&exits(&scene.batch("out", &["--resume"]), 3), &["`images`", "7", "8"]);
    std::fs::rename(scene.path("images/new.png"), scene.path("images/000.png")).unwrap();
    exits(&scene.batch("out", &["--resume"]), 3);
    assert_eq!(scene.read("out"), before);
}

#[test]
fn a_damaged_output_is_not_continued() {
    let scene = Scene::new(3);
    exits(&scene.batch("out", &[]), 3);
    let good = scene.read("out");
    let text = String::from_utf8(good.clone()).unwrap();
    for (damage, part) in [
        (text.replacen("000.png", "x.png", 1), "line 1 is about \"x.png\""),
        (text.replacen('{', "(", 1), "line 1 is no record"),
        (text.clone() + "{\"image\":\"y\"}\n", "line 8 comes after the last of 7 images"),
    ] {
        std::fs::write(scene.path("out"), damage).unwrap();
        refused(&exits(&scene.batch("out", &["--resume"]), 3), &[part]);
    }
    std::fs::write(scene.path("out"), good).unwrap();
    std::fs::write(scene.path("out.run.json"), "{}").unwrap();
    refused(&exits(&scene.batch("out", &["--resume"]), 3), &["out.run.json", "missing field"]);
}

#[test]
fn only_the_finished_shards_of_one_run_are_joined() {
    let scene = Scene::new(4);
    for (part, shard) in [("p0", "0/2"), ("p1", "1/2"), ("q0", "0/3")] {
        scene.batch(part, &["--shard", shard]);
    }
    scene.batch("r1", &["--shard", "1/2", "--label", "person"]);
    for (shards, part) in [
        (&["p0"][..], "is shard 0/2, but 1 files were given"),
        (&["p0", "q0"], "is shard 0/3, but 2 files were given"),
        (&["p0", "p0"], "is shard 0/2, and so is"),
        (&["p0", "r1"], "`labels`"),
        (&["p0", "missing"], "missing"),
    ] {
        let arguments = [&["merge", "out"], shards].concat();
        refused(&exits(&scene.run(&arguments), 3), &[part]);
        assert!(!scene.path("out").exists());
    }
    let whole = scene.read("p1");
    for (content, part) in [
        (whole[..whole.len() - 5].to_vec(), "is not finished: it has 3 of its 4 images"),
        ([whole.as_slice(), b"more"].concat(), "comes after the last image"),
        (Vec::new(), "it has 0 of its 4 images"),
    ] {
        std::fs::write(scene.path("p1"), content).unwrap();
        refused(&exits(&scene.run(&["merge", "out", "p0", "p1"]), 3), &[part]);
        assert!(!scene.path("out").exists());
    }
    std::fs::write(scene.path("p1"), whole).unwrap();
    exits(&scene.run(&["merge", "out", "p1", "p0"]), 0);
    exits(&scene.run(&["merge", "out", "p1", "p0"]), 2);
}

#[test]
fn wrong_arguments_are_usage_errors() {
    let scene = Scene::new(1);
    for more in [
        &["--shard", "2/2"][..],
        &["--shard", "x"],
        &["--format", "xml"],
        &["--annotations", "a.json"],
        &["--label", "persn"],
    ] {
        exits(&scene.batch("out", more), 2);
        assert!(!scene.path("out").exists(), "{more:?}");
    }
}

#[test]
fn annotations_must_know_every_image() {
    let scene = Scene::new(2);
    let with = |content: &str| {
        std::fs::write(scene.path("a.json"), content).unwrap();
        exits(&scene.batch("out", &["--format", "coco", "--annotations", "a.json"]), 3)
    };
    refused(&with("{}"), &["a.json", "missing field `images`"]);
    let some =
        r#"{"images":[{"id":1,"file_name":"000.png"},{"id":2,"file_name":"images/a/000.png"}]}"#;
    refused(&with(some), &["5 of 6 images are not in the annotations", "\"a/000.png\"", "images"]);
    let twice = r#"{"images":[{"id":1,"file_name":"x"},{"id":1,"file_name":"y"}]}"#;
    refused(&with(twice), &["the image id 1 is there twice"]);
}
