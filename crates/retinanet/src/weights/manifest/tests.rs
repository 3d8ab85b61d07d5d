use std::path::Path;

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
fn the_builtin_manifest_names_coco_s_and_deepforest_s_checkpoints_and_the_demo() {
    let manifest = Manifest::builtin();
    let names: Vec<&str> = manifest.entries().iter().map(|entry| entry.name.as_str()).collect();
    assert_eq!(
        names,
        [
            "retinanet_resnet50_fpn.coco_v1",
            "retinanet_resnet50_fpn_v2.coco_v1",
            "deepforest_tree",
            "deepforest_bird",
            "person_r18"
        ]
    );
    for (name, class) in [("deepforest_tree", "Tree"), ("deepforest_bird", "Bird")] {
        let entry = manifest.get(name).unwrap();
        assert_eq!(entry.model.categories, ManifestCategories::Names(vec![class.to_owned()]));
        assert_eq!((entry.model.score_thresh, entry.model.nms_thresh), (Some(0.1), Some(0.05)));
        assert_eq!(entry.licence, "MIT");
        assert!(entry.sources.iter().all(|source| source.sha256.is_full()));
    }
    let v1 = manifest.get(names[0]).unwrap();
    assert_eq!(v1.model.architecture, Architecture::RetinanetResnet50Fpn);
    assert_eq!((v1.model.norm_eps, v1.model.reference.as_ref().unwrap().box_ap), (Some(0.0), 36.4));
    assert_eq!(v1.sources.len(), 2);
    assert!(!v1.sources[0].sha256.is_full() && v1.sources[1].sha256.is_full());
    let v2 = manifest.get(names[1]).unwrap();
    assert_eq!(
        (v2.model.norm_eps, v2.model.reference.as_ref().unwrap().box_ap),
        (Some(1e-5), 41.5)
    );
    assert_eq!(v2.model.categories, ManifestCategories::CocoV1);
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
fn every_wrong_field_is_named() {
    assert!(problem_with("licence", "license").contains("license"));
    assert!(problem_with("1e-5", "-1.0").contains("norm_eps"));
    assert!(problem_with("1e-5", "nan").contains("norm_eps"));
    for key in ["score_thresh", "nms_thresh"] {
        let threshold = format!("licence = \"MIT\"\n{key} = 1.5");
        assert!(problem_with("licence = \"MIT\"", &threshold).contains(key));
    }
    assert!(problem_with("[\"__background__\", \"cat\"]", "\"coco_v9\"").contains("coco_v1"));
    assert!(problem_with("retinanet_resnet50_fpn_v2", "yolo").contains("yolo"));
    let reference = "licence = \"MIT\"\nreference = { dataset = \"COCO\", box_ap = 101.0 }";
    assert!(problem_with("licence = \"MIT\"", reference).contains("box_ap"));
}
