//! The bundled checkpoint on real photos: run it with `RETINANET_PHOTOS=FOLDER`, best in release.

use std::process::Command;
use std::time::Instant;

use crate::kills::killed_and_continued;
use crate::scene::{Scene, exits};

#[test]
fn a_folder_of_photos_gives_the_same_bytes_however_it_is_run() {
    let Ok(photos) = std::env::var("RETINANET_PHOTOS") else {
        println!("SKIPPED: RETINANET_PHOTOS names no folder of photos");
        return;
    };
    let scene = Scene::new(1);
    let weights =
        concat!(env!("CARGO_MANIFEST_DIR"), "/../../examples/assets/person_r18.safetensors");
    let command = |out: &str, more: &[&str]| -> Command {
        scene.command(&[&["batch", &photos, "--weights", weights, "--out", out], more].concat())
    };
    let batch = |out: &str, more: &[&str]| {
        exits(&command(out, more).output().unwrap(), 0);
    };
    let started = Instant::now();
    batch("plain", &[]);
    let whole = started.elapsed();
    let expected = scene.read("plain");
    let images = expected.iter().filter(|&&byte| byte == b'\n').count();
    println!("{images} photos in {whole:?}, {} bytes", expected.len());
    for workers in ["1", "2", "4"] {
        for threads in ["1", "2", "3"] {
            batch("other", &["--workers", workers, "--threads", threads, "--overwrite"]);
            assert!(scene.read("other") == expected, "{workers} workers, {threads} threads");
        }
    }
    for count in [1, 2, 5] {
        let parts: Vec<String> = (0..count).map(|index| format!("part{index}")).collect();
        for (index, part) in parts.iter().enumerate() {
            batch(part, &["--shard", &format!("{index}/{count}"), "--overwrite"]);
        }
        let mut arguments = vec!["merge", "joined", "--overwrite"];
        arguments.extend(parts.iter().map(String::as_str));
        exits(&scene.run(&arguments), 0);
        assert!(scene.read("joined") == expected, "{count} shards");
    }
    let resumed = || command("out", &["--resume"]);
    // A run killed late leaves little to do for the next: each wait is part of half a run.
    let half = whole.as_millis() as u32 / 2;
    let found = killed_and_continued(&scene, resumed, "out", [half, 0], 20);
    assert!(found == expected, "killed 20 times");
}
