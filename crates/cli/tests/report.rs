//! `retinanet report` as a user runs it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::json;
use sha2::{Digest, Sha256};

fn assets() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/assets")
}

/// Two photos, one under a name that is markup, a file that is no image, and annotations of the photos.
fn scene() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir(folder.path().join("in")).unwrap();
    for name in ["<script>alert('1')<script> & \"2\".png", "b.png"] {
        fs::copy(assets().join("astronaut.png"), folder.path().join("in").join(name)).unwrap();
    }
    let annotations = json!({"images": [{"id": 1, "file_name": "b.png", "width": 512, "height": 512},
            {"id": 2, "file_name": "gone.png"}],
        "categories": [{"id": 3, "name": "person"}, {"id": 4, "name": "a <b>"}],
        "annotations": [{"id": 1, "image_id": 1, "category_id": 3, "bbox": [0, 0, 450, 512]},
                        {"id": 2, "image_id": 1, "category_id": 4, "bbox": [5, 5, 20, 20]}]});
    fs::write(folder.path().join("a.json"), annotations.to_string()).unwrap();
    folder
}

fn run(folder: &Path, arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_retinanet"));
    command.current_dir(folder).args(arguments).output().unwrap()
}

#[track_caller]
fn ended(output: &Output, code: i32, parts: &[&str]) {
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(code), "{said}");
    for part in parts {
        assert!(said.contains(part), "{part:?} is not in: {said}");
    }
}

fn page(folder: &Path, name: &str) -> String {
    fs::read_to_string(folder.join(name)).unwrap()
}

/// Everything between a start and an end, in order.
fn between<'a>(text: &'a str, start: &str, end: &str) -> Vec<&'a str> {
    text.split(start).skip(1).map(|rest| rest.split(end).next().unwrap()).collect()
}

/// The tags that are opened and not closed, or closed and not opened.
fn unbalanced(html: &str) -> Vec<String> {
    const EMPTY: [&str; 3] = ["meta", "input", "!DOCTYPE"];
    let body = html.split("<script>").next().unwrap();
    let mut open = Vec::new();
    let mut wrong = Vec::new();
    for tag in between(body, "<", ">") {
        let name = tag.split([' ', '/', '\n']).find(|part| !part.is_empty()).unwrap();
        if tag.starts_with('/') {
            if open.pop() != Some(name.to_owned()) {
                wrong.push(tag.to_owned());
            }
        } else if !tag.ends_with('/') && !EMPTY.contains(&name) {
            open.push(name.to_owned());
        }
    }
    // Cut off at the script, inside <body> of <html>.
    assert_eq!(open, ["html", "body"], "{wrong:?}");
    wrong
}

#[test]
fn the_page_stands_alone_and_its_policy_allows_nothing_else() {
    let folder = scene();
    ended(
        &run(folder.path(), &["report", "in", "--out", "r.html", "--annotations", "a.json"]),
        0,
        &[],
    );
    let html = page(folder.path(), "r.html");
    for outside in [
        "http:", "https:", "=\"//", "url(", "@import", " src=", "<link", "<iframe", " style=",
        "onclick",
    ] {
        assert!(!html.contains(outside), "{outside}");
    }
    let policy = between(&html, "Content-Security-Policy\" content=\"", "\"")[0];
    assert!(policy.starts_with("default-src 'none'; img-src data:;"), "{policy}");
    assert!(!policy.contains("unsafe"), "{policy}");
    for (tag, kind) in [("style", "style-src"), ("script", "script-src")] {
        let texts = between(&html, &format!("<{tag}>"), &format!("</{tag}>"));
        assert_eq!(texts.len(), 1);
        let hash = between(policy, &format!("{kind} 'sha256-"), "'")[0];
        let expected = Sha256::digest(texts[0]);
        assert_eq!(base64(&expected), hash, "{tag}");
    }
    assert_eq!(unbalanced(&html), Vec::<String>::new());
    assert!(
        html.contains("&lt;script&gt;alert(&#39;1&#39;)&lt;script&gt; &amp; &quot;2&quot;.png")
    );
    assert!(html.contains("annotated: a &lt;b&gt;"));
}

/// By hand, so that the command's own is checked.
fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::new();
    for three in bytes.chunks(3) {
        let group = three.iter().fold(0u32, |group, &byte| group << 8 | u32::from(byte));
        let group = group << (8 * (3 - three.len()));
        for place in 0..4 {
            let digit = (group >> (18 - 6 * place) & 63) as usize;
            text.push(if place <= three.len() { DIGITS[digit] as char } else { '=' });
        }
    }
    text
}

#[test]
fn counts_digests_and_scores_are_those_of_the_other_commands() {
    let folder = scene();
    let arguments = ["--label", "person", "--annotations", "a.json", "--out"];
    ended(&run(folder.path(), &[&["report", "in"], &arguments[..], &["r.html"]].concat()), 0, &[]);
    let html = page(folder.path(), "r.html");
    let json = run(folder.path(), &["detect", "--json", "-", "in/b.png"]);
    let records: serde_json::Value = serde_json::from_slice(&json.stdout).unwrap();
    let (found, digest) =
        (records[0]["detections"].as_array().unwrap(), records[0]["digest"].as_str().unwrap());
    // Once under each of two pictures, and once in each of two rows.
    assert_eq!(html.matches(digest).count(), 4);
    assert_eq!(html.matches("class=\"box\"").count(), 2 * found.len());
    assert_eq!(html.matches("class=\"truth\"").count(), 1);
    assert!(html.contains(&format!("<dt>detections</dt><dd>{}</dd>", 2 * found.len())));
    let eval = [
        "eval",
        "--images",
        "in",
        "--skip-missing",
        "--label",
        "person",
        "--annotations",
        "a.json",
        "--json",
        "-",
    ];
    let scores: serde_json::Value =
        serde_json::from_slice(&run(folder.path(), &eval).stdout).unwrap();
    for name in ["AP", "AP50", "AR_100"] {
        let value = scores["overall"][name].as_f64().unwrap();
        assert!(html.contains(&format!("<dt>{name}</dt><dd>{value:.4}</dd>")), "{name} {value}");
    }
    assert!(html.contains("version 2") && html.contains("weights, SHA-256"));
    // One of the photos is not annotated, and one of the annotations has no photo.
    assert!(
        html.contains("shown, but not scored (1)")
            && html.contains("left out (1): &quot;gone.png&quot;")
    );
    // No date, no path.
    ended(
        &run(folder.path(), &[&["report", "in"], &arguments[..], &["again.html"]].concat()),
        0,
        &[],
    );
    assert!(html == page(folder.path(), "again.html"));
    assert!(!html.contains(folder.path().to_str().unwrap()));
}

#[test]
fn a_batchs_results_make_the_page_that_the_detector_makes() {
    let folder = scene();
    ended(&run(folder.path(), &["batch", "in", "--out", "b.jsonl"]), 0, &[]);
    let annotated = ["--annotations", "a.json", "--out"];
    ended(&run(folder.path(), &[&["report", "in"], &annotated[..], &["r.html"]].concat()), 0, &[]);
    let results = ["report", "in", "--results", "b.jsonl"];
    ended(&run(folder.path(), &[&results[..], &annotated, &["b.html"]].concat()), 0, &[]);
    assert!(page(folder.path(), "r.html") == page(folder.path(), "b.html"));

    let text = page(folder.path(), "b.jsonl");
    let cases = [
        (text.replacen("\"score\":0.", "\"score\":0.0", 1), "line 1 "),
        (text.replacen("person", "dog", 1), "line 1 "),
        (text.lines().next().unwrap().to_owned() + "\n", "has 1 of the 2 images"),
        (text.replace("b.png", "c.png"), "\"c.png\" of \"b.jsonl\" is not among the images"),
        ("{}\n".to_owned(), "line 1 is no line of `retinanet batch"),
        ("{\"image\": \"b.png\"}\n".to_owned(), "neither an answer nor an error"),
    ];
    for (changed, part) in cases {
        fs::write(folder.path().join("b.jsonl"), changed).unwrap();
        ended(&run(folder.path(), &[&results[..], &["--out", "x.html"]].concat()), 3, &[part]);
    }
    assert!(!folder.path().join("x.html").exists());
    fs::write(folder.path().join("b.jsonl"), text).unwrap();
    let labelled = |label| {
        run(folder.path(), &[&results[..], &["--out", "x.html", "--label", label]].concat())
    };
    ended(&labelled("persn"), 2, &["did you mean \"person\"?"]);
    ended(&labelled("person"), 0, &[]);
    fs::remove_file(folder.path().join("x.html")).unwrap();
    fs::remove_file(folder.path().join("b.jsonl.run.json")).unwrap();
    ended(&run(folder.path(), &[&results[..], &["--out", "x.html"]].concat()), 0, &[]);
    assert!(page(folder.path(), "x.html").contains("not recorded"));
    ended(&labelled("person"), 3, &["leave out --label"]);
    ended(
        &run(folder.path(), &[&results[..], &annotated, &["y.html"]].concat()),
        3,
        &[".run.json"],
    );
    ended(
        &run(folder.path(), &[&results[..], &["--weights", "w", "--out", "y.html"]].concat()),
        2,
        &["no model is run"],
    );
}

#[test]
fn pictures_are_bounded_and_what_failed_is_named() {
    let folder = scene();
    fs::write(folder.path().join("in/c.jpg"), "no image").unwrap();
    let report =
        |more: &[&str]| run(folder.path(), &[&["report", "in", "--out", "r.html"], more].concat());
    ended(&report(&["--pictures", "1", "--picture-size", "64"]), 3, &["c.jpg"]);
    let html = page(folder.path(), "r.html");
    assert_eq!(html.matches("class=\"card\"").count(), 1);
    assert!(html.contains("viewBox=\"0 0 64 64\"") && html.contains("1 of 3 images are shown"));
    assert!(
        html.contains("<dt>images that failed</dt><dd>1</dd>") && html.contains("class=\"error\"")
    );
    let small = html.len();
    assert!(small < 60_000, "{small}");
    ended(&report(&["--max-picture-bytes", "1000"]), 3, &[]);
    assert!(page(folder.path(), "r.html").contains("No picture is shown."));
    ended(&report(&["--picture-size", "10"]), 2, &["64..=4096"]);
    ended(&run(folder.path(), &["report", "in", "--out", "no/r.html"]), 3, &["folder exists"]);
    ended(&run(folder.path(), &["report", "in", "--out", "-"]), 2, &["a report is a file"]);
    ended(&run(folder.path(), &["report", "in"]), 2, &["--out"]);
    fs::write(
        folder.path().join("n.json"),
        r#"{"images": [], "annotations": [], "categories": [{"id": 1, "name": "person"}]}"#,
    )
    .unwrap();
    ended(&report(&["--annotations", "n.json"]), 3, &["none of the images is in the annotations"]);
}
