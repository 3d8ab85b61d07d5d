//! Logs: the same bytes however they were made, and what re-running them says.

use std::time::Instant;

use serde_json::Value;

use crate::kills::killed_and_continued;
use crate::scene::{BAD, Scene, exits, head};

/// The log's lines as JSON.
fn lines(scene: &Scene, log: &str) -> Vec<Value> {
    let text = String::from_utf8(scene.read(log)).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// What `retinanet verify LOG` prints, ended with this code.
#[track_caller]
fn verified(scene: &Scene, arguments: &[&str], code: i32) -> String {
    let output = scene.run(&[&["verify"], arguments].concat());
    let said = exits(&output, code);
    String::from_utf8(output.stdout).unwrap() + &said
}

#[test]
fn every_image_is_a_line_in_the_order_of_the_results_and_the_head_is_the_last_lines_hash() {
    let scene = Scene::new(8);
    exits(&scene.batch("plain", &[]), 3);
    let found = scene.logged("out", "log", &[]);
    // Writing a log changes nothing about the results.
    assert!(scene.read("out") == scene.read("plain"));
    let lines = lines(&scene, "log");
    let results = String::from_utf8(scene.read("out")).unwrap();
    let results: Vec<Value> =
        results.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(lines.len(), results.len() + 2);
    assert_eq!(lines[0]["images"], results.len());
    for (line, result) in lines[1..].iter().zip(&results) {
        assert_eq!(line["image"], result["image"]);
        assert_eq!(line["error"], result["error"]);
        if !result["digest"].is_null() {
            let stages = line["answer"]["stages"].as_array().unwrap();
            assert_eq!(stages[0]["stage"], "decoded");
            assert_eq!(stages.last().unwrap()["digest"], result["digest"]);
            assert_eq!(line["answer"]["width"], result["width"]);
            let count = result["detections"].as_array().unwrap().len();
            assert_eq!(line["answer"]["detections"], count);
        }
    }
    let end = lines.last().unwrap();
    assert_eq!(end["end"], serde_json::json!({"images": results.len(), "failed": BAD}));
    // As the documentation says: `tail -n 1 LOG | sha256sum`.
    std::fs::write(scene.path("last"), {
        let log = scene.read("log");
        let start = log[..log.len() - 1].iter().rposition(|&byte| byte == b'\n').unwrap();
        log[start + 1..].to_vec()
    })
    .unwrap();
    let output = std::process::Command::new("sha256sum").arg(scene.path("last")).output().unwrap();
    assert!(String::from_utf8(output.stdout).unwrap().starts_with(&found));
}

#[test]
fn threads_workers_and_the_place_of_the_folder_change_no_byte_of_a_log() {
    let scene = Scene::new(12);
    let expected = scene.logged("out", "log", &[]);
    for more in [["--workers", "1", "--threads", "1"], ["--workers", "3", "--threads", "3"]] {
        let found = scene.logged("other", "other.log", &[&more[..], &["--overwrite"]].concat());
        assert_eq!(found, expected, "{more:?}");
        assert!(scene.read("other.log") == scene.read("log"));
    }
    std::fs::rename(scene.path("images"), scene.path("elsewhere")).unwrap();
    let arguments = ["batch", "elsewhere", "--out", "third", "--receipts", "third.log"];
    let more = ["--weights", "model.safetensors", "--score-threshold", "0.02"];
    let output = scene.run(&[&arguments[..], &more[..]].concat());
    exits(&output, 3);
    assert_eq!(head(&output, "third.log"), expected);
    assert!(scene.read("third.log") == scene.read("log"));
}

#[test]
fn joined_logs_of_shards_are_the_log_of_one_run() {
    let scene = Scene::new(9);
    let expected = scene.logged("out", "log", &[]);
    for count in [1, 2, 5, 15] {
        let logs: Vec<String> = (0..count).rev().map(|index| format!("log{index}")).collect();
        for (index, log) in (0..count).rev().zip(&logs) {
            let shard = format!("{index}/{count}");
            scene.logged(&format!("part{index}"), log, &["--shard", &shard, "--overwrite"]);
        }
        let mut arguments = vec!["merge", "joined.log", "--overwrite"];
        arguments.extend(logs.iter().map(String::as_str));
        let output = scene.run(&arguments);
        let said = exits(&output, 0);
        assert!(said.contains(&format!("{BAD} of 13 images had failed")), "{said}");
        assert_eq!(head(&output, "joined.log"), expected, "{count} shards");
        assert!(scene.read("joined.log") == scene.read("log"), "{count} shards");
    }
    let told = verified(&scene, &["joined.log", "--head", &expected], 0);
    assert!(told.contains("same: all 13 images"), "{told}");
    // A shard's own log is a log, too.
    scene.logged("one", "one.log", &["--shard", "1/3"]);
    verified(&scene, &["one.log"], 0);
}

#[test]
fn shards_of_other_runs_or_with_gaps_are_no_log() {
    let scene = Scene::new(4);
    for index in ["0", "1"] {
        let (out, log) = (format!("part{index}"), format!("log{index}"));
        scene.logged(&out, &log, &["--shard", &format!("{index}/2")]);
    }
    let merge = |logs: &[&str]| scene.run(&[&["merge", "joined"], logs].concat());
    let said = exits(&merge(&["log0"]), 3);
    assert!(said.contains("is shard 0/2, but 1 files were given"), "{said}");
    let said = exits(&merge(&["log0", "log0"]), 3);
    assert!(said.contains("is shard 0/2, and so is \"log0\""), "{said}");
    let other = ["batch", "images", "--out", "part2", "--receipts", "log2", "--shard", "1/2"];
    exits(&scene.run(&[&other[..], &["--weights", "model.safetensors"]].concat()), 3);
    let said = exits(&merge(&["log0", "log2"]), 3);
    assert!(said.contains("another `configuration.postprocess.score_thresh`"), "{said}");
    let said = exits(&merge(&["log0", "part1"]), 3);
    assert!(said.contains("\"part1\" is not a usable log"), "{said}");
    let said = exits(&scene.run(&["merge", "log0", "log0", "log1"]), 2);
    assert!(said.contains("is there already"), "{said}");
    let said = exits(&scene.run(&["merge", "log0", "log0", "log1", "--overwrite"]), 3);
    assert!(said.contains("is the output, too"), "{said}");
    // A line that was changed in a shard is found before anything is joined.
    let text = String::from_utf8(scene.read("log1")).unwrap();
    std::fs::write(scene.path("log1"), text.replacen("\"bytes\":", "\"bytes\":1", 1)).unwrap();
    let said = exits(&merge(&["log0", "log1"]), 1);
    assert!(said.contains("\"log1\" was changed: line 3"), "{said}");
    assert!(!scene.path("joined").exists());
    exits(&scene.run(&["merge", "joined", "part0", "part1", "--sign", "key"]), 2);
}

#[test]
fn a_run_killed_at_ten_points_and_continued_writes_the_same_log() {
    let scene = Scene::new(40);
    for format in ["jsonl", "coco"] {
        let started = Instant::now();
        let expected = scene.logged("plain", "plain.log", &["--format", format, "--overwrite"]);
        let whole = started.elapsed().as_millis() as u32;
        let arguments = ["--format", format, "--receipts", "log", "--resume"];
        let command = || {
            if !scene.path("out").exists() {
                std::fs::remove_file(scene.path("log")).ok();
            }
            scene.batch_command("out", &arguments)
        };
        let found = killed_and_continued(&scene, command, "out", [whole, 3], 10);
        assert!(found == scene.read("plain"), "{format}");
        assert!(scene.read("log") == scene.read("plain.log"), "{format}");
        assert_eq!(scene.logged("out", "log", &["--format", format, "--resume"]), expected);
        std::fs::remove_file(scene.path("out")).unwrap();
        std::fs::remove_file(scene.path("log")).unwrap();
    }
}

#[test]
fn a_log_and_results_cut_anywhere_are_continued_to_the_same_bytes() {
    let scene = Scene::new(5);
    scene.logged("out", "log", &[]);
    let (out, log) = (scene.read("out"), scene.read("log"));
    let header = log.iter().position(|&byte| byte == b'\n').unwrap() + 1;
    for k in 0..=6 {
        let log_cut = header + k * (log.len() - header) / 6;
        for out_cut in [0, out.len() / 3, out.len() - 1, out.len()] {
            std::fs::write(scene.path("log"), &log[..log_cut]).unwrap();
            std::fs::write(scene.path("out"), &out[..out_cut]).unwrap();
            scene.logged("out", "log", &["--resume"]);
            assert!(scene.read("log") == log && scene.read("out") == out, "{log_cut} {out_cut}");
        }
    }
    // Cut within its first line, before the first result.
    std::fs::write(scene.path("log"), &log[..header / 2]).unwrap();
    std::fs::write(scene.path("out"), b"").unwrap();
    scene.logged("out", "log", &["--resume"]);
    assert!(scene.read("log") == log && scene.read("out") == out);
}

#[test]
fn a_log_is_continued_only_as_it_was_begun() {
    let scene = Scene::new(4);
    scene.logged("out", "log", &[]);
    let log = String::from_utf8(scene.read("log")).unwrap();
    let again = |more: &[&str]| scene.batch("out", &[&["--receipts", "log"], more].concat());
    let said = exits(&again(&[]), 2);
    assert!(said.contains("\"log\" is there already"), "{said}");
    let weights = ["--weights", "model.safetensors", "--receipts", "log", "--resume"];
    let other = scene.run(&[&["batch", "images", "--out", "out"], &weights[..]].concat());
    let said = exits(&other, 3);
    assert!(said.contains("another `config.postprocess.score_thresh`: 0.02 then, 0.05 now"));
    // A log alone knows what it was begun with, too.
    std::fs::rename(scene.path("out"), scene.path("kept")).unwrap();
    let other = scene.run(&[&["batch", "images", "--out", "out"], &weights[..]].concat());
    let said = exits(&other, 3);
    assert!(
        said.contains("\"log\" was begun with another `configuration.postprocess.score_thresh`")
    );
    std::fs::rename(scene.path("kept"), scene.path("out")).unwrap();
    // Without the log it was begun with, or with one that it was not.
    let said = exits(&scene.batch("out", &["--resume"]), 3);
    assert!(said.contains("another `extras`: [\"receipts\"] then, [] now"), "{said}");
    std::fs::write(scene.path("log"), log.replacen("\"bytes\":", "\"bytes\":1", 1)).unwrap();
    let said = exits(&again(&["--resume"]), 1);
    assert!(said.contains("\"log\" was changed: line 3 says that the line before"), "{said}");
    for other in ["a letter\n", "a letter"] {
        std::fs::write(scene.path("log"), other).unwrap();
        let said = exits(&again(&["--resume"]), 3);
        assert!(said.contains("\"log\" is not a usable log"), "{said}");
        assert_eq!(scene.read("log"), other.as_bytes());
    }
    std::fs::remove_file(scene.path("log")).unwrap();
    let said = exits(&again(&["--resume"]), 3);
    assert!(said.contains("\"log\", the log of \"out\", is not there any more"), "{said}");
    assert!(!scene.read("out").is_empty());
    let said = exits(&scene.batch("same", &["--receipts", "./same"]), 2);
    assert!(said.contains("cannot be the results and their log"), "{said}");
    let said = exits(&scene.batch("x", &["--receipts", "images"]), 3);
    assert!(said.contains("\"images\" is not a regular file"), "{said}");
    // A refused run leaves nothing.
    assert!(!scene.path("x").exists() && !scene.path("same").exists());
}

#[test]
fn a_changed_picture_is_found_with_the_first_stage_that_parts() {
    let scene = Scene::new(8);
    scene.logged("out", "log", &[]);
    assert!(verified(&scene, &["log"], 0).contains("same: all 12 images"));
    let path = scene.path("images/a/000.png");
    let picture = retinanet::Image::open(&path).unwrap();
    let mut pixels = picture.as_rgb8().to_vec();
    let middle = pixels.len() / 2;
    pixels[middle] ^= 0x80;
    let other = retinanet::Image::from_rgb8(picture.width(), picture.height(), pixels).unwrap();
    other.save_png(&path).unwrap();
    std::fs::write(scene.path("images/001.png"), b"no picture").unwrap();
    let told = verified(&scene, &["log"], 1);
    for part in [
        "different: 2 of 12 images re-run are not as the log says",
        "- a/000.png: the image file's sha256 is ",
        "the first stage that differs is \"decoded\"",
        "- 001.png: the image file's sha256 is ",
        "nothing was re-run: \"001.png\" is not an image",
    ] {
        assert!(told.contains(part), "{part:?} is not in {told}");
    }
    let told = verified(&scene, &["log", "--json", "-"], 1);
    let json: Value = serde_json::from_str(told.trim()).unwrap();
    assert_eq!((&json["same"], &json["checked"]), (&false.into(), &12.into()));
    assert_eq!(json["differences"][1]["image"], "a/000.png");
    assert_eq!(json["differences"][1]["stage"], "decoded");
    // The others are still as they were.
    let told = verified(&scene, &["log", "--only", "b/000.png", "--only", "a/torn.png"], 0);
    assert!(told.contains("same: all 2 images"), "{told}");
    verified(&scene, &["log", "--only", "a/000.png"], 1);
    let told = verified(&scene, &["log", "--only", "a/0.png"], 2);
    assert!(told.contains("has no image \"a/0.png\"; its names look like \"000.png\""), "{told}");
}

#[test]
fn a_picture_that_failed_and_now_has_an_answer_is_a_difference() {
    let scene = Scene::new(4);
    scene.logged("out", "log", &[]);
    std::fs::copy(scene.path("images/000.png"), scene.path("images/a/empty.jpg")).unwrap();
    let told = verified(&scene, &["log"], 1);
    assert!(told.contains("a/empty.jpg: the image file's sha256"), "{told}");
    assert!(told.contains("there is an answer here, and in the log the error"), "{told}");
}

#[test]
fn what_is_not_there_keeps_only_itself_from_being_compared() {
    let scene = Scene::new(4);
    scene.logged("out", "log", &[]);
    std::fs::remove_file(scene.path("images/b/000.png")).unwrap();
    let told = verified(&scene, &["log"], 3);
    assert!(told.contains("same: all 7 images re-run"), "{told}");
    assert!(told.contains("not compared: 1\n- cannot read image \"b/000.png\""), "{told}");
    std::fs::rename(scene.path("images"), scene.path("moved")).unwrap();
    let told = verified(&scene, &["log", "--only", "000.png"], 3);
    assert!(told.contains("nothing was compared\nnot compared: 1\n"), "{told}");
    let told = verified(&scene, &["log", "--images", "moved", "--only", "000.png"], 0);
    assert!(told.contains("same: all 1 images"), "{told}");
    std::fs::remove_file(scene.path("log.where.json")).unwrap();
    let told = verified(&scene, &["log"], 3);
    assert!(told.contains("nothing says where the images of the log"), "{told}");
    let told = verified(&scene, &["log", "--images", "moved"], 3);
    assert!(told.contains("nothing says where the weights of the log"), "{told}");
    let more = ["--images", "moved", "--only", "000.png", "--weights", "model.safetensors"];
    verified(&scene, &[&["log"], &more[..]].concat(), 0);
    verified(&scene, &["log", "--chain-only"], 0);
}

#[test]
fn the_sample_is_what_the_head_chooses() {
    use retinanet::evidence::{Log, Sample};
    let scene = Scene::new(20);
    scene.logged("out", "log", &[]);
    let log = Log::open(scene.path("log")).unwrap();
    let sample: Sample = "20%".parse().unwrap();
    let chosen = sample.choose(log.head(), "", log.len());
    assert_eq!((log.len(), chosen.len()), (24, 5));
    // Every image but the chosen ones is gone: nobody looks for them.
    let names: Vec<String> = (0..24).map(|index| log.line(index).unwrap().image).collect();
    for (index, name) in names.iter().enumerate() {
        if !chosen.contains(&index) {
            std::fs::remove_file(scene.path("images").join(name)).unwrap();
        }
    }
    let told = verified(&scene, &["log", "--sample", "20%"], 0);
    assert!(told.contains("same: all 5 images"), "{told}");
    verified(&scene, &["log", "--sample", "20%", "--beacon", "4 8 15 16 23 42"], 3);
    let told = verified(&scene, &["log", "--sample", "0%"], 2);
    assert!(told.contains("\"0%\" is no sample"), "{told}");
    verified(&scene, &["log", "--beacon", "x"], 2);
}

#[test]
fn pictures_in_their_annotations_frames_verify() {
    let scene = Scene::new(4);
    // A picture that its EXIF data turns, annotated as it is stored.
    let jpeg = concat!(env!("CARGO_MANIFEST_DIR"), "/../jpeg/tests/golden");
    let turned = std::fs::read_dir(jpeg).unwrap().filter_map(|entry| Some(entry.ok()?.path()));
    let mut jpegs: Vec<_> =
        turned.filter(|path| path.extension().is_some_and(|e| e == "jpg")).collect();
    jpegs.sort();
    let content = std::fs::read(jpegs.first().expect("golden JPEGs")).unwrap();
    let exif = b"\xff\xe1\x00\x22Exif\0\0MM\0\x2a\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x06\0\0\0\0\0\0";
    let with_exif = [&content[..2], exif, &content[2..]].concat();
    std::fs::create_dir(scene.path("turned")).unwrap();
    std::fs::write(scene.path("turned/1.jpg"), &with_exif).unwrap();
    let upright = retinanet::Image::decode(&with_exif, "1.jpg").unwrap();
    let stored = retinanet::Image::decode(&content, "1.jpg").unwrap();
    assert_ne!((upright.width(), upright.height()), (stored.width(), stored.height()));
    let annotations = serde_json::json!({
        "images": [{"id": 1, "file_name": "1.jpg", "width": stored.width(), "height": stored.height()}],
        "annotations": [],
    });
    std::fs::write(scene.path("a.json"), annotations.to_string()).unwrap();
    let arguments = ["batch", "turned", "--out", "out", "--receipts", "log", "--format", "coco"];
    let more = ["--annotations", "a.json", "--weights", "model.safetensors"];
    exits(&scene.run(&[&arguments[..], &more[..]].concat()), 0);
    assert_eq!(lines(&scene, "log")[1]["file"]["as_stored"], true);
    verified(&scene, &["log"], 0);
}
