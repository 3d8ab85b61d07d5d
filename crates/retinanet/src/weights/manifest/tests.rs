use super::*;

const GOOD: &str = r#"
version = 1
[[checkpoint]]
name = "mine"
architecture = "retinanet_resnet50_fpn_v2"
norm_eps = 1e-5
categories = ["__background__", "cat"]
licence = "MIT"
[[checkpoint.source]]
url = "https://example.org/models/mine.pth"
format = "pth"
size_mib = 1.5
sha256 = "0123abcd"
"#;

fn problem(text: &str) -> String {
    Manifest::parse(text, "test.toml").expect_err(text).to_string()
}

fn problem_with(from: &str, to: &str) -> String {
    assert!(GOOD.contains(from));
    problem(&GOOD.replacen(from, to, 1))
}

#[test]
fn the_builtin_manifest_names_both_coco_checkpoints_and_the_demo() {
    let manifest = Manifest::builtin();
    let names: Vec<&str> = manifest.entries().iter().map(|entry| entry.name.as_str()).collect();
    assert_eq!(
        names,
        ["retinanet_resnet50_fpn.coco_v1", "retinanet_resnet50_fpn_v2.coco_v1", "person_r18"]
    );
    let v1 = manifest.get(names[0]).unwrap();
    assert_eq!(v1.architecture, Architecture::RetinanetResnet50Fpn);
    assert_eq!((v1.norm_eps, v1.reference.as_ref().unwrap().box_ap), (Some(0.0), 36.4));
    assert_eq!(v1.sources.len(), 2);
    assert!(!v1.sources[0].sha256.is_full() && v1.sources[1].sha256.is_full());
    let v2 = manifest.get(names[1]).unwrap();
    assert_eq!((v2.norm_eps, v2.reference.as_ref().unwrap().box_ap), (Some(1e-5), 41.5));
    assert_eq!(v2.categories, ManifestCategories::CocoV1);
}

#[test]
fn the_manifest_at_the_top_level_is_the_embedded_one() {
    let top = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../weights-manifest.toml");
    match std::fs::read_to_string(&top) {
        // A checkout without symbolic links has the link's text there.
        Ok(text) if text.trim() == "crates/retinanet/weights-manifest.toml" => {}
        Ok(text) => assert_eq!(text, BUILTIN_MANIFEST),
        Err(_) => eprintln!("not in the repository: there is no {}", top.display()),
    }
}

#[test]
fn an_unknown_name_suggests_the_near_ones() {
    let manifest = Manifest::builtin();
    let error = manifest.get("retinanet_resnet50_fpn_v2.coco").unwrap_err().to_string();
    assert!(error.contains("did you mean retinanet_resnet50_fpn_v2.coco_v1"), "{error}");
    let error = manifest.get("zebra\u{1b}[2J").unwrap_err().to_string();
    assert!(error.contains("it has ") && error.contains("person_r18"), "{error}");
    assert!(!error.contains('\u{1b}'), "control characters are escaped: {error:?}");
}

#[test]
fn a_manifest_of_ones_own_is_read_from_its_path() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("own.toml");
    let text =
        GOOD.replace("url = \"https://example.org/models/mine.pth\"", "bundled = \"sub/mine.pth\"");
    std::fs::write(&path, text).unwrap();
    let manifest = Manifest::from_path(&path).unwrap();
    let Location::Bundled { path, beside } = &manifest.get("mine").unwrap().sources[0].location
    else {
        panic!("{manifest:?}");
    };
    assert_eq!(
        (path.as_path(), beside.as_deref()),
        (Path::new("sub/mine.pth"), Some(folder.path()))
    );
    let missing = Manifest::from_path(folder.path().join("none.toml")).unwrap_err().to_string();
    assert!(missing.contains("none.toml"), "{missing}");
    assert!(Manifest::from_path(folder.path()).is_err(), "a folder is not a manifest");
}

#[test]
fn file_names_with_separators_are_refused() {
    for file in [
        "../mine.pth",
        "a/b.pth",
        "a\\\\b.pth",
        "..",
        ".hidden",
        "a\\u0000b",
        "",
        "C:evil.pth",
        "x.part",
    ] {
        let line = format!("format = \"pth\"\nfile = \"{file}\"");
        let error = problem_with("format = \"pth\"", &line);
        assert!(error.contains("file"), "{file}: {error}");
    }
    assert!(problem_with("\"mine\"", "\"a/b\"").contains("name"));
    assert!(problem_with("models/mine.pth", "models/").contains("file"));
    for path in ["../mine.pth", "/etc/passwd", "a/../b", "", "a\\\\b"] {
        let line = format!("bundled = \"{path}\"");
        let error = problem_with("url = \"https://example.org/models/mine.pth\"", &line);
        assert!(error.contains("below the manifest's folder"), "{path}: {error}");
    }
}

#[test]
fn plain_http_is_refused_but_for_the_loopback() {
    assert!(problem_with("https://", "http://").contains("loopback"));
    let local = GOOD.replace("https://example.org", "http://127.0.0.1:8000");
    assert!(Manifest::parse(&local, "test").is_ok());
}

#[test]
fn every_wrong_field_is_named() {
    assert!(problem_with("licence", "license").contains("license"));
    assert!(problem_with("version = 1", "version = 2").contains("version"));
    assert!(problem_with("0123abcd", "0123abc").contains("sha256"));
    assert!(problem_with("0123abcd", "0123abcg").contains("sha256"));
    assert!(problem_with("1e-5", "-1.0").contains("norm_eps"));
    assert!(problem_with("1e-5", "nan").contains("norm_eps"));
    assert!(problem_with("size_mib = 1.5", "size_mib = inf").contains("size_mib"));
    assert!(problem_with("[\"__background__\", \"cat\"]", "\"coco_v9\"").contains("coco_v1"));
    assert!(problem_with("retinanet_resnet50_fpn_v2", "yolo").contains("yolo"));
    assert!(
        problem_with("format = \"pth\"", "format = \"pth\"\nrevision = \"main\"")
            .contains("one of the three")
    );
    assert!(problem("version = 1\n[[checkpoint]]\nname = 3").contains("line 3"));
}

#[test]
fn hub_parts_that_leave_their_folder_are_refused() {
    let hub = |repo: &str, revision: &str| {
        let line = format!("hub = \"{repo}\"\nrevision = \"{revision}\"\nfile = \"m.safetensors\"");
        Manifest::parse(
            &GOOD.replace("url = \"https://example.org/models/mine.pth\"", &line),
            "test",
        )
    };
    assert!(hub("owner/name", "refs/pr-1").is_ok());
    for (repo, revision) in [
        ("owner", "main"),
        ("a/b/c", "main"),
        ("../b", "main"),
        ("a/b", "../../x"),
        ("a/b", "a//b"),
    ] {
        assert!(hub(repo, revision).is_err(), "{repo} {revision}");
    }
}

#[test]
fn a_name_given_twice_is_refused() {
    let twice =
        format!("{GOOD}{}", GOOD.replace("version = 1", "").replace("\"mine\"", "\"Mine\""));
    assert!(problem(&twice).contains("twice"), "names share a folder where case does not count");
}

#[test]
fn control_characters_in_parse_errors_are_escaped() {
    let error = problem(&format!("{GOOD}\n\"\\u001b[2J\" = 1\n"));
    assert!(!error.contains('\u{1b}'), "{error:?}");
    let error = problem("version = 1\n\u{1b}[2J = 3");
    assert!(!error.contains('\u{1b}'), "{error:?}");
}
