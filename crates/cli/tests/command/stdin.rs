//! One image from standard input, and URLs.

use std::fs::{self, File};
use std::io::Write;
use std::path::Path;
use std::process::Stdio;

use serde_json::Value;

use super::{Ran, command, names_in, photo, run_in};

/// As `run_in`, with a file's content on standard input.
fn run_with(input: &Path, folder: &Path, arguments: &[&str]) -> Ran {
    let mut command = command();
    command.stdin(File::open(input).unwrap()).current_dir(folder).args(arguments);
    command.output().unwrap().into()
}

#[test]
fn an_image_from_standard_input_has_the_answer_of_its_file() {
    let folder = tempfile::tempdir().unwrap();
    let file = photo();
    let arguments = ["detect", "--json", "-", file.to_str().unwrap()];
    let expected: Value =
        serde_json::from_str(&run_in(folder.path(), &arguments).succeeded().out).unwrap();
    // A pipe, whose length nobody knows.
    let mut child = command();
    child.args(["detect", "--json", "-", "-"]).stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut child = child.stderr(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(&fs::read(&file).unwrap()).unwrap();
    let ran = Ran::from(child.wait_with_output().unwrap()).succeeded();
    let found: Value = serde_json::from_str(&ran.out).unwrap();
    assert_eq!(found[0]["image"], "-");
    assert_eq!(found[0]["digest"], expected[0]["digest"]);
    assert_eq!(found[0]["detections"], expected[0]["detections"]);
    let table = run_with(&file, folder.path(), &["detect", "-"]).succeeded().out;
    assert!(table.starts_with("-  512 x 512  "), "{table}");
}

#[test]
fn what_is_made_of_standard_input_is_called_stdin_and_verifies() {
    let folder = tempfile::tempdir().unwrap();
    let outputs = ["--overlay", "out", "--masks", "masks", "--receipt", "out"];
    let arguments = [&["detect", "--score-threshold", "0.5"][..], &outputs, &["-"]].concat();
    run_with(&photo(), folder.path(), &arguments).succeeded();
    let names = names_in(folder.path());
    assert!(names[0].starts_with("masks/stdin/000-"), "{names:?}");
    assert_eq!(names[names.len() - 2..], ["out/stdin.png", "out/stdin.receipt.json"]);
    let receipt = "out/stdin.receipt.json";
    run_in(folder.path(), &["verify", receipt]).failed(3, &["standard input", "--image FILE"]);
    fs::copy(photo(), folder.path().join("1.png")).unwrap();
    run_in(folder.path(), &["verify", "--image", "1.png", receipt]).succeeded();
}

#[test]
fn standard_input_that_is_no_image_ends_with_3() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("input");
    for (content, part) in [
        (&b""[..], "standard input is empty (0 bytes)"),
        (b"<!DOCTYPE html>", "\"-\" is not an image: it starts with \"<!DOCTYPE html>\""),
        (b"\x89PNG\r\n\x1a\nnot really", "image \"-\" (Png) is damaged"),
    ] {
        fs::write(&path, content).unwrap();
        run_with(&path, folder.path(), &["detect", "-"]).failed(3, &[part]);
    }
    #[cfg(unix)]
    run_with(folder.path(), folder.path(), &["detect", "-"])
        .failed(3, &["cannot read standard input"]);
}

/// `script` gives the command a terminal to read from.
#[cfg(target_os = "linux")]
#[test]
fn a_terminal_is_no_image() {
    let line = format!("{} detect -", env!("CARGO_BIN_EXE_retinanet"));
    let mut script = std::process::Command::new("script");
    script.args(["-qec", &line, "/dev/null"]).stdin(Stdio::null());
    match script.output() {
        Ok(output) if output.status.code() == Some(3) => {
            let said = String::from_utf8_lossy(&output.stdout).into_owned();
            assert!(said.contains("standard input is a terminal"), "{said}");
        }
        Ok(output) if output.status.success() => panic!("{output:?}"),
        other => println!("SKIPPED: no `script` that works: {other:?}"),
    }
}

#[test]
fn standard_input_stands_alone_and_only_where_one_image_is_meant() {
    let folder = tempfile::tempdir().unwrap();
    fs::copy(photo(), folder.path().join("1.png")).unwrap();
    for (arguments, part) in [
        (&["detect", "-", "1.png"][..], "stands alone"),
        (&["detect", "-", "-"], "stands alone"),
        (&["batch", "--out", "out", "-"], "`retinanet detect`"),
        (&["batch", "--out", "out", "1.png", "-"], "`retinanet detect`"),
        (&["eval", "--annotations", "-", "--images", "."], "`retinanet detect`"),
        (&["eval", "--annotations", "a.json", "--images", "-"], "`retinanet detect`"),
        (&["verify", "-"], "`retinanet detect`"),
        (&["verify", "--image", "-", "receipt.json"], "`retinanet detect`"),
    ] {
        run_with(&photo(), folder.path(), arguments).failed(2, &[part]);
    }
    assert!(!folder.path().join("out").exists());
    // A file may be called so.
    fs::rename(folder.path().join("1.png"), folder.path().join("-")).unwrap();
    run_in(folder.path(), &["detect", "--receipt", ".", "./-"]).succeeded();
    run_in(folder.path(), &["verify", "./-.receipt.json"]).succeeded();
}

#[test]
fn a_url_is_to_be_downloaded_first_where_files_are_meant() {
    let folder = tempfile::tempdir().unwrap();
    fs::copy(photo(), folder.path().join("1.png")).unwrap();
    let url = "HTTPS://example.org/a.jpg?b=1&c='d'";
    let shell = "'HTTPS://example.org/a.jpg?b=1&c=%27d%27'";
    let to_file = format!("curl -L -o photo.jpg {shell}");
    let to_detect = format!("retinanet detect {shell}");
    for arguments in [
        &["report", "--out", "out", "1.png", url][..],
        &["batch", "--out", "out", "1.png", url],
        &["verify", "--image", url, "receipt.json"],
    ] {
        let ran = run_in(folder.path(), arguments).failed(3, &["is a URL", "curl -L"]);
        assert!(ran.out.is_empty(), "{}", ran.out);
        if arguments[0] != "verify" {
            ran.failed(3, &[&to_file, &to_detect]);
        }
    }
    let url = "http://example.org/instances.json";
    let coco = ["--format", "coco", "--annotations", url, "1.png"];
    for arguments in [
        &["eval", "--annotations", url, "--images", "."][..],
        &["eval", "--annotations", "a.json", "--images", url],
        &["eval", "--annotations", "a.json", "--detections", url],
        &["verify", url],
        &[&["batch", "--out", "out"], &coco[..]].concat(),
    ] {
        let advice = format!("curl -L -O '{url}'");
        run_in(folder.path(), arguments).failed(3, &["is a URL", &advice]);
    }
    assert!(!folder.path().join("out").exists());
}
