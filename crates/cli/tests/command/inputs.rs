//! Which images are meant, and images that cannot be used.

use std::fs;

use std::process::Command;

use super::{command, photo, run_in};

/// A folder with `a/1.png`, `b/1.png` and a text file.
fn tree() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for name in ["a", "b"] {
        fs::create_dir(folder.path().join(name)).unwrap();
        fs::copy(photo(), folder.path().join(name).join("1.png")).unwrap();
    }
    fs::write(folder.path().join("a/notes.md"), "not an image").unwrap();
    folder
}

fn images(ran: &super::Ran) -> Vec<String> {
    let json: serde_json::Value = serde_json::from_str(&ran.out).unwrap();
    let images = json.as_array().unwrap().iter();
    images.map(|image| image["image"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn folders_and_patterns_give_their_images_in_byte_order() {
    let folder = tree();
    for input in [".", "*/*.png", "**/1.png", "[ab]/?.png"] {
        let ran = run_in(folder.path(), &["detect", "--json", "-", input]).succeeded();
        assert_eq!(images(&ran), ["a/1.png", "b/1.png"], "{input}");
    }
    let ran = run_in(folder.path(), &["detect", "--json", "-", "b/1.png", "a"]).succeeded();
    assert_eq!(images(&ran), ["b/1.png", "a/1.png"]);
}

#[test]
fn inputs_that_are_not_there_or_hold_no_image_end_with_3() {
    let folder = tree();
    fs::create_dir(folder.path().join("empty")).unwrap();
    for (input, part) in [("missing.png", "missing.png"), ("empty", "empty"), ("*.tiff", "tiff")] {
        run_in(folder.path(), &["detect", input]).failed(3, &[part]);
    }
}

#[test]
fn a_bad_image_is_named_and_the_others_are_done() {
    let folder = tree();
    fs::write(folder.path().join("a/0.png"), b"\x89PNG\r\n\x1a\nnot really").unwrap();
    let ran = run_in(folder.path(), &["detect", "--json", "-", "a"]).failed(3, &["a/0.png"]);
    let json: serde_json::Value = serde_json::from_str(&ran.out).unwrap();
    assert_eq!(json[0]["image"], "a/0.png");
    assert!(json[0]["error"].as_str().unwrap().contains("0.png"), "{json}");
    assert_eq!(json[1]["image"], "a/1.png");
    assert!(!json[1]["detections"].as_array().unwrap().is_empty());
}

#[cfg(unix)]
#[test]
fn a_folder_that_may_not_be_read_ends_with_3() {
    use std::os::unix::fs::PermissionsExt;
    let folder = tree();
    let locked = folder.path().join("a");
    fs::set_permissions(&locked, fs::Permissions::from_mode(0o000)).unwrap();
    // Root may read everything; what makes it so is taken from the command.
    let root = fs::read_dir(&locked).is_ok();
    let mut restricted = Command::new("setpriv");
    restricted.args(["--bounding-set", "-dac_override,-dac_read_search"]);
    if root && !restricted.arg("true").output().is_ok_and(|output| output.status.success()) {
        println!("SKIPPED: as root, and without a setpriv that works, no folder is unreadable");
    } else {
        let plain = command();
        for arguments in [&["detect"][..], &["batch", "--out", "out.jsonl"]] {
            let mut command = if root {
                let mut command = Command::new("setpriv");
                command.args(["--bounding-set", "-dac_override,-dac_read_search"]);
                command.arg(plain.get_program());
                command
            } else {
                command()
            };
            command.current_dir(folder.path()).args(arguments).arg(".");
            let ran = super::Ran::from(command.output().unwrap());
            ran.failed(3, &["cannot list the folder", "a\": Permission denied"]);
            assert!(!folder.path().join("out.jsonl").exists());
        }
    }
    fs::set_permissions(&locked, fs::Permissions::from_mode(0o755)).unwrap();
}

/// Opening a pipe waits for someone to write to it; a device may have no end.
#[cfg(target_os = "linux")]
#[test]
fn pipes_and_devices_are_refused_at_once() {
    let folder = tree();
    let photo = photo();
    let photo = photo.to_str().unwrap();
    for name in ["pipe", "pipe.txt"] {
        let made = Command::new("mkfifo").arg(folder.path().join(name)).status().unwrap();
        assert!(made.success());
    }
    fs::write(folder.path().join("list.txt"), "pipe\n").unwrap();
    fs::create_dir(folder.path().join("c")).unwrap();
    fs::rename(folder.path().join("pipe"), folder.path().join("c/1.png")).unwrap();
    std::os::unix::fs::symlink("c/1.png", folder.path().join("pipe")).unwrap();
    for arguments in [
        &["detect", "pipe"][..],
        &["detect", "/dev/zero"],
        &["detect", "pipe.txt"],
        &["detect", "--weights", "./pipe", photo],
        &["detect", "--weights", "/dev/zero", photo],
        &["batch", "--out", "out", "list.txt"],
        &["batch", "--out", "pipe", photo],
        &["batch", "--out", "new", "--format", "coco", "--annotations", "pipe", photo],
        &["merge", "new", "pipe"],
        &["verify", "pipe"],
        &["verify", "/dev/zero"],
        &["eval", "--annotations", "pipe", "--images", "."],
        &["weights", "inspect", "pipe"],
        &["weights", "convert", "pipe", "new"],
        &["weights", "verify", "pipe"],
    ] {
        let plain = command();
        let mut command = Command::new("timeout");
        command.arg("30").arg(plain.get_program()).args(arguments).current_dir(folder.path());
        super::Ran::from(command.output().unwrap()).failed(3, &["not a regular file"]);
    }
    // Among images, it is left out as other things that are no images are.
    let ran = run_in(folder.path(), &["detect", "--json", "-", "."]).succeeded();
    assert_eq!(images(&ran), ["a/1.png", "b/1.png"]);
}

/// The few bytes claim to hold 4 GiB of EXIF data.
#[cfg(target_os = "linux")]
#[test]
fn memory_is_not_taken_on_an_images_word() {
    let image = "../retinanet/src/image/testdata/exif_of_4_gib.webp";
    let image = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join(image);
    let plain = command();
    let output = Command::new("sh")
        .args(["-c", "ulimit -v 4000000 && exec \"$@\"", "sh"])
        .arg(plain.get_program())
        .args(["detect", "--threads", "1"])
        .arg(image)
        .output()
        .unwrap();
    let ran = super::Ran::from(output).succeeded();
    assert!(ran.out.contains("9 x 7"), "{}", ran.out);
}

#[test]
fn control_characters_in_names_do_not_reach_the_terminal() {
    let folder = tempfile::tempdir().unwrap();
    let name = "evil\u{1b}[2J.png";
    if fs::copy(photo(), folder.path().join(name)).is_ok() {
        let ran = run_in(folder.path(), &["detect", name]).succeeded();
        assert!(!ran.out.contains('\u{1b}') && ran.out.contains("evil\\u{1b}"), "{}", ran.out);
    }
    let ran = run_in(folder.path(), &["detect", "no\u{1b}[2J.png"]);
    assert!(ran.code == 3 && !ran.err.contains('\u{1b}'), "{}", ran.err);
}
