use serde_json::Value;

use crate::scene::{BAD, Scene, exits};

/// The file of a plain run.
fn plain(scene: &Scene, format: &str) -> Vec<u8> {
    exits(&scene.batch("plain", &["--format", format]), 3);
    scene.read("plain")
}

#[test]
fn workers_and_threads_change_no_byte() {
    let scene = Scene::new(24);
    for format in ["jsonl", "coco", "csv"] {
        let expected = plain(&scene, format);
        for more in [
            ["--workers", "1", "--threads", "1"],
            ["--workers", "2", "--threads", "3"],
            ["--workers", "4", "--threads", "2"],
            ["--workers", "0", "--threads", "1"],
        ] {
            let more = [&more[..], &["--format", format, "--overwrite"]].concat();
            exits(&scene.batch("other", &more), 3);
            assert!(scene.read("other") == expected, "{more:?}");
        }
        std::fs::remove_file(scene.path("plain")).unwrap();
    }
}

#[test]
fn joined_shards_are_the_unsharded_file() {
    let scene = Scene::new(13);
    for format in ["jsonl", "coco", "csv"] {
        let expected = plain(&scene, format);
        for count in [1, 2, 5, 20] {
            let parts: Vec<String> = (0..count).rev().map(|index| format!("part{index}")).collect();
            for (part, index) in parts.iter().zip((0..count).rev()) {
                let shard = format!("{index}/{count}");
                let output =
                    scene.batch(part, &["--format", format, "--shard", &shard, "--overwrite"]);
                assert!(matches!(output.status.code(), Some(0 | 3)));
            }
            let mut arguments = vec!["merge", "joined", "--overwrite"];
            arguments.extend(parts.iter().map(String::as_str));
            let said = exits(&scene.run(&arguments), 0);
            assert!(said.contains(&format!("{BAD} of 17 images had failed")), "{said}");
            assert!(scene.read("joined") == expected, "{count} shards, {format}");
            // The joined file is a finished run like any other.
            exits(&scene.batch("joined", &["--format", format, "--resume"]), 3);
            assert!(scene.read("joined") == expected);
        }
        std::fs::remove_file(scene.path("plain")).unwrap();
    }
}

#[test]
fn every_image_has_a_record_with_its_answer_or_its_error() {
    let scene = Scene::new(8);
    let file = String::from_utf8(plain(&scene, "jsonl")).unwrap();
    let records: Vec<Value> =
        file.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let names: Vec<&str> = records.iter().map(|record| record["image"].as_str().unwrap()).collect();
    let expected = [
        "000.png",
        "001.png",
        "a/000.png",
        "a/001.png",
        "a/deep/000.png",
        "a/deep/001.png",
        "a/empty.jpg",
        "a/torn.png",
        "b/000.png",
        "b/001.png",
        "b/text.jpg",
        "zz.webp",
    ];
    assert_eq!(names, expected);
    for record in &records {
        let keys: Vec<&str> = record.as_object().unwrap().keys().map(String::as_str).collect();
        if let Some(error) = record["error"].as_str() {
            // Neither the folder nor anything else of this machine.
            assert!(error.contains(record["image"].as_str().unwrap()), "{error}");
            assert!(!error.contains("images/"), "{error}");
        } else {
            assert_eq!(keys.len(), 5, "{keys:?}");
            assert_eq!(record["digest"].as_str().unwrap().len(), 64);
        }
    }
    assert_eq!(records.iter().filter(|record| !record["error"].is_null()).count(), BAD);
    assert!(records.iter().any(|record| record["detections"][0]["label"] == "person"));
}
