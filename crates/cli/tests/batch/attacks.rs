//! What was done to a log after it was written, and what finds it.

use retinanet::determinism::Digest;
use serde_json::Value;
use sha2::{Digest as _, Sha256};

use crate::scene::{Scene, exits};

/// A log and its head.
struct Attacked {
    scene: Scene,
    lines: Vec<String>,
    head: String,
}

impl Attacked {
    fn new() -> Self {
        let scene = Scene::new(4);
        let head = scene.logged("out", "log", &[]);
        let text = String::from_utf8(scene.read("log")).unwrap();
        Self { scene, lines: text.lines().map(str::to_owned).collect(), head }
    }

    fn write(&self, lines: &[String]) {
        std::fs::write(self.scene.path("log"), lines.join("\n") + "\n").unwrap();
    }

    /// The log with these lines is refused with the code, and each part is in what is said.
    #[track_caller]
    fn refused(&self, lines: &[String], more: &[&str], code: i32, parts: &[&str]) {
        self.write(lines);
        self.said(more, code, parts);
    }

    #[track_caller]
    fn said(&self, more: &[&str], code: i32, parts: &[&str]) {
        let output = self.scene.run(&[&["verify", "log"], more].concat());
        let said = exits(&output, code) + &String::from_utf8(output.stdout).unwrap();
        for part in parts {
            assert!(said.contains(part), "{part:?} is not in {said}");
        }
    }
}

/// Chains lines anew, as one who knows how would.
fn chained(lines: &[String]) -> Vec<String> {
    let mut chained: Vec<String> = vec![lines[0].clone()];
    for line in &lines[1..] {
        let before = chained.last().unwrap().clone() + "\n";
        let hash = Digest::from_bytes(Sha256::digest(before).into()).to_string();
        let start = r#"{"previous":""#;
        let rest = line.strip_prefix(start).unwrap();
        chained.push(format!("{start}{hash}{}", &rest[64..]));
    }
    chained
}

#[test]
fn a_removed_line_is_found() {
    let log = Attacked::new();
    for index in 1..log.lines.len() - 1 {
        let mut lines = log.lines.clone();
        lines.remove(index);
        let line = format!("line {} says that the line before hashes to", index + 1);
        log.refused(&lines, &[], 1, &[&line, "a line was removed, added, altered or moved here"]);
    }
    let mut lines = log.lines.clone();
    lines.remove(0);
    log.refused(&lines, &["--chain-only"], 3, &["does not begin a log"]);
    // Chained anew, the count does not fit, and after that the list.
    let mut lines = log.lines.clone();
    lines.remove(3);
    log.refused(&chained(&lines), &[], 1, &["counts 8 images and 4 failures, but there are 7"]);
    let last = lines.len() - 1;
    lines[last] = lines[last].replace("\"images\":8", "\"images\":7");
    log.refused(&chained(&lines), &[], 1, &["ends after 7 of 8 images"]);
    lines[0] = lines[0].replace("\"images\":8", "\"images\":7");
    log.refused(&chained(&lines), &[], 1, &["the names of its images are not those"]);
}

#[test]
fn an_added_line_is_found() {
    let log = Attacked::new();
    for index in 1..log.lines.len() {
        let mut lines = log.lines.clone();
        lines.insert(index, lines[index].clone());
        log.refused(&lines, &[], 1, &["the log \"log\" was changed: line "]);
    }
    let mut lines = log.lines.clone();
    lines.push(lines[1].clone());
    log.refused(&lines, &[], 1, &["comes after the end: a line was added"]);
    let mut lines = log.lines.clone();
    lines.insert(2, lines[1].clone());
    log.refused(&chained(&lines), &[], 1, &["is about one image more than the 8 listed"]);
    // In place of another.
    lines.remove(4);
    let last = lines.len() - 1;
    let failed = lines[1..last].iter().filter(|line| line.contains("\"error\"")).count();
    lines[last] = lines[last].replace("\"failed\":4", &format!("\"failed\":{failed}"));
    log.refused(&chained(&lines), &[], 1, &["the names of its images are not those"]);
}

#[test]
fn every_altered_digit_is_found() {
    let log = Attacked::new();
    let whole = log.lines.join("\n") + "\n";
    let digits: Vec<usize> = whole
        .bytes()
        .enumerate()
        .filter(|(_, byte)| byte.is_ascii_hexdigit())
        .map(|(at, _)| at)
        .collect();
    for at in digits.iter().step_by(digits.len() / 60) {
        let mut bytes = whole.clone().into_bytes();
        bytes[*at] = if bytes[*at] == b'1' { b'2' } else { b'1' };
        std::fs::write(log.scene.path("log"), &bytes).unwrap();
        let output = log.scene.run(&["verify", "log", "--chain-only"]);
        // In the first line it may be no header any more.
        let said = String::from_utf8(output.stderr).unwrap();
        assert!(matches!(output.status.code(), Some(1 | 3)), "{at}: {said}");
        assert!(said.contains("was changed: line ") || said.contains("is not a usable"), "{said}");
    }
    // Programs are told, too.
    let mut lines = log.lines.clone();
    lines[2] = lines[2].replacen("\"bytes\":", "\"bytes\":1", 1);
    log.refused(&lines, &["--json", "verdict.json"], 1, &["was changed: line 4"]);
    let verdict: Value = serde_json::from_slice(&log.scene.read("verdict.json")).unwrap();
    assert_eq!(verdict["same"], false);
    assert!(verdict["error"].as_str().unwrap().contains("was changed: line 4"));
    // A blank more says the same, and is still another log.
    let mut lines = log.lines.clone();
    lines[2].push(' ');
    log.refused(&lines, &[], 1, &["line 4 says that the line before hashes to"]);
    let mut lines = log.lines.clone();
    let last = lines.len() - 1;
    lines[last] = lines[last].replace("\"failed\":4", "\"failed\":3");
    log.refused(&lines, &[], 1, &["counts 8 images and 3 failures, but there are 8 and 4"]);
}

#[test]
fn lines_in_another_order_are_found() {
    let log = Attacked::new();
    for index in 1..log.lines.len() - 1 {
        let mut lines = log.lines.clone();
        lines.swap(index, index + 1);
        log.refused(&lines, &[], 1, &["was changed: line "]);
    }
    let mut lines = log.lines.clone();
    lines.swap(1, 2);
    log.refused(&chained(&lines), &[], 1, &["the names of its images are not those"]);
}

#[test]
fn a_log_that_was_cut_is_found() {
    let log = Attacked::new();
    let whole = log.lines.join("\n") + "\n";
    // In the middle of a line.
    let cut = whole.len() / 2;
    std::fs::write(log.scene.path("log"), &whole[..cut]).unwrap();
    log.said(&[], 1, &["has no end, and breaks off in the middle of a line", "of 8 images"]);
    std::fs::write(log.scene.path("log"), whole.trim_end()).unwrap();
    log.said(&[], 1, &["breaks off in the middle of a line: it has lines about 8 of 8 images"]);
    // At the end.
    for count in 1..log.lines.len() {
        let parts = [format!("it has lines about {} of 8 images", count - 1)];
        log.refused(&log.lines[..count], &[], 1, &[&parts[0], "or it was cut"]);
    }
    // Within the first line.
    std::fs::write(log.scene.path("log"), &whole[..100]).unwrap();
    log.said(&[], 3, &["it ends before its first line does"]);
    std::fs::write(log.scene.path("log"), "").unwrap();
    log.said(&["--chain-only"], 3, &["it ends before its first line does"]);
}

#[test]
fn a_log_cut_with_a_new_list_and_chain_is_found_by_the_head_alone() {
    let log = Attacked::new();
    let good = ["--chain-only", "--head", &log.head];
    log.said(&good, 0, &["no line was changed", &log.head]);
    // Without its last image, and with everything else made to fit.
    let mut lines = log.lines.clone();
    let removed: Value = serde_json::from_str(&lines.remove(8)).unwrap();
    assert!(removed["error"].is_string());
    let last = lines.len() - 1;
    lines[last] = lines[last].replace("\"images\":8,\"failed\":4", "\"images\":7,\"failed\":3");
    let header: Value = serde_json::from_str(&lines[0]).unwrap();
    let mut names = retinanet::data::ListDigest::new();
    for line in &lines[1..last] {
        let line: Value = serde_json::from_str(line).unwrap();
        names.push(line["image"].as_str().unwrap());
    }
    let (before, now) = (header["list_sha256"].as_str().unwrap(), names.finish().to_string());
    lines[0] = lines[0].replace("\"images\":8", "\"images\":7").replace(before, &now);
    log.refused(&chained(&lines), &["--chain-only"], 0, &["7 images", "no line was changed"]);
    log.said(&good, 1, &["the head of the log \"log\" is ", &format!("expected {}", log.head)]);
    for wrong in ["x", &log.head[1..], ""] {
        log.said(&["--head", wrong], 2, &["is no hash: it has 64 hexadecimal digits"]);
    }
}

#[test]
fn a_forged_answer_in_a_new_chain_is_found_by_running_it_again() {
    let log = Attacked::new();
    let mut lines = log.lines.clone();
    let (line, stages) = lines
        .iter()
        .enumerate()
        .find_map(|(at, line)| {
            let value: Value = serde_json::from_str(line).unwrap();
            Some((at, value["answer"]["stages"].as_array()?.clone()))
        })
        .unwrap();
    let digest_of = |name: &str| {
        let stage = stages.iter().find(|stage| stage["stage"] == name).unwrap();
        stage["digest"].as_str().unwrap().to_owned()
    };
    lines[line] = lines[line].replace(&digest_of("P3"), &"00".repeat(32));
    let parts = ["1 of 8 images", "the first stage that differs is \"P3\""];
    log.refused(&chained(&lines), &[], 1, &parts);
    let lines = log.lines.clone();
    let count = |line: &str| line.replacen("\"detections\":", "\"detections\":1", 1);
    let mut forged = lines.clone();
    forged[line] = count(&forged[line]);
    let parts = ["width, height or number of detections"];
    log.refused(&chained(&forged), &[], 1, &parts);
}

#[test]
fn a_log_that_names_files_elsewhere_is_refused() {
    let log = Attacked::new();
    for name in ["../secret.png", "/etc/hostname", "a/../../x"] {
        let mut lines = log.lines.clone();
        lines[1] = lines[1].replace("\"000.png\"", &format!("{name:?}"));
        let mut names = retinanet::data::ListDigest::new();
        for line in &lines[1..lines.len() - 1] {
            let line: Value = serde_json::from_str(line).unwrap();
            names.push(line["image"].as_str().unwrap());
        }
        let header: Value = serde_json::from_str(&lines[0]).unwrap();
        let before = header["list_sha256"].as_str().unwrap();
        lines[0] = lines[0].replace(before, &names.finish().to_string());
        log.refused(&chained(&lines), &[], 1, &["which is no file below a folder"]);
    }
}

#[test]
fn a_log_of_another_model_is_found() {
    let log = Attacked::new();
    let other =
        concat!(env!("CARGO_MANIFEST_DIR"), "/../../examples/assets/person_r18.safetensors");
    log.said(&["--weights", other], 1, &["the log is of another model", "nothing was re-run"]);
    // Damaged, so that it does not even load.
    let mut bytes = log.scene.read("model.safetensors");
    bytes[8] ^= 1;
    std::fs::write(log.scene.path("model.safetensors"), bytes).unwrap();
    log.said(&[], 1, &["the log is of another model", "nothing was re-run"]);
    std::fs::remove_file(log.scene.path("model.safetensors")).unwrap();
    log.said(&[], 3, &["model.safetensors"]);
}

#[test]
fn files_that_are_no_logs_end_with_3() {
    let log = Attacked::new();
    let first = &log.lines[0];
    for (content, part) in [
        ("{}".to_owned(), "is not a usable"),
        ("[".repeat(100_000), "is not a usable"),
        (first.replace("\"version\":1", "\"version\":2") + "\n", "its `version` is 2"),
        (first.replace("\"shard\":\"0/1\"", "\"shard\":\"1/1\"") + "\n", "0/4"),
        (first.replacen('{', "{\"extra\":1,", 1) + "\n", "is not a usable"),
        (first.replacen("\"images\"", "\"extra\":1,\"images\"", 1) + "\n", "unknown field"),
    ] {
        std::fs::write(log.scene.path("log"), &content).unwrap();
        log.said(&["--chain-only"], 3, &["\"log\"", part]);
    }
    std::fs::remove_file(log.scene.path("log")).unwrap();
    log.said(&["--chain-only"], 3, &["cannot read \"log\""]);
    log.said(&[], 3, &["\"log\""]);
    log.write(&log.lines);
    log.said(&["--image", "images/000.png"], 2, &["--only NAME"]);
    // A receipt with an option of logs.
    let arguments = ["detect", "images/000.png", "--weights", "model.safetensors"];
    exits(&log.scene.run(&[&arguments[..], &["--receipt", "r"]].concat()), 0);
    let output = log.scene.run(&["verify", "r/000.png.receipt.json", "--chain-only"]);
    assert!(exits(&output, 3).contains("is not a usable log"));
}
