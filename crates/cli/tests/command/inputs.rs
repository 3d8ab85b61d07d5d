//! Which images are meant, and images that cannot be used.

use std::fs;

use super::{photo, run, run_in};

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
    // Root may read everything, so the test cannot be made as root.
    if fs::read_dir(&locked).is_err() {
        run(&["detect".as_ref(), folder.path()]).failed(3, &["/a\""]);
    }
    fs::set_permissions(&locked, fs::Permissions::from_mode(0o755)).unwrap();
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
