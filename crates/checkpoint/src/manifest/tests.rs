use std::path::Path;

use super::*;

/// A model of which a manifest says its colour.
#[derive(Debug)]
struct Painted {
    colour: String,
}

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct PaintedRow {
    colour: String,
    shine: Option<f64>,
}

impl ManifestModel for Painted {
    type Row = PaintedRow;

    fn from_row(row: PaintedRow) -> Result<Self, String> {
        match row.shine {
            Some(shine) if !(0.0..1.0).contains(&shine) => Err("shine must be below 1".to_owned()),
            _ => Ok(Self { colour: row.colour }),
        }
    }
}

type Manifest = super::Manifest<Painted>;

const GOOD: &str = r#"
version = 1
[[checkpoint]]
name = "mine"
colour = "green"
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
fn an_unknown_name_suggests_the_near_ones() {
    let manifest = Manifest::parse(GOOD, "test").unwrap();
    let error = manifest.get("mime").unwrap_err().to_string();
    assert!(error.contains("did you mean mine"), "{error}");
    let error = manifest.get("zebra\u{1b}[2J").unwrap_err().to_string();
    assert!(error.contains("it has ") && error.contains("mine"), "{error}");
    assert!(!error.contains('\u{1b}'), "control characters are escaped: {error:?}");
    let empty = Manifest::builtin().get("mine").unwrap_err().to_string();
    assert!(empty.contains("it is empty"), "{empty}");
}

#[test]
fn keys_beyond_this_crate_s_are_the_model_s_wherever_they_stand() {
    let manifest = Manifest::parse(GOOD, "test").unwrap();
    assert_eq!(manifest.get("mine").unwrap().model.colour, "green");
    let before = GOOD.replace("name = \"mine\"\ncolour", "shine = 0.5\ncolour");
    let before = before.replace("licence = \"MIT\"", "licence = \"MIT\"\nname = \"mine\"");
    assert!(Manifest::parse(&before, "test").is_ok());
    // Where nobody asks for a model, a model's keys are as unknown as any other.
    let none = super::Manifest::<NoModel>::parse;
    assert!(none(GOOD, "test").unwrap_err().to_string().contains("unknown field `colour`"));
    assert!(none(&GOOD.replace("colour = \"green\"\n", ""), "test").is_ok());
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
    let unknown = problem_with("licence", "license");
    assert!(
        unknown.contains("unknown field `license`") && unknown.contains("`licence`"),
        "{unknown}"
    );
    assert!(unknown.contains("line 6"), "{unknown}");
    assert!(problem_with("licence = \"MIT\"\n", "").contains("missing field `licence`"));
    assert!(problem_with("name = \"mine\"\n", "").contains("missing field `name`"));
    assert!(problem_with("colour = \"green\"\n", "").contains("missing field `colour`"));
    assert!(problem_with("\"green\"", "3").contains("line 5"));
    let unchecked = problem_with("\"green\"", "\"green\"\nshine = 1.0");
    assert!(unchecked.contains("checkpoint \"mine\": shine must be below 1"), "{unchecked}");
    assert!(problem_with("version = 1", "version = 2").contains("version"));
    assert!(problem_with("0123abcd", "0123abc").contains("sha256"));
    assert!(problem_with("0123abcd", "0123abcg").contains("sha256"));
    assert!(problem_with("size_mib = 1.5", "size_mib = inf").contains("size_mib"));
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
