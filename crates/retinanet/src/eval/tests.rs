//! The evaluation against pycocotools' numbers, and what it refuses.

use serde::Deserialize;

use super::*;
use crate::Error;
use crate::detection::Detections;
use crate::image::{DecodeOptions, Image};
use crate::labels::Categories;
use crate::postprocess::{Candidate, ScoredBox};

/// Written by tests/golden/make_coco_eval.py.
const GOLDEN: &str = include_str!("testdata/pycocotools.json");

#[derive(Deserialize)]
struct Case {
    name: String,
    annotations: serde_json::Value,
    detections: Vec<(i64, i64, f64, f64, f64, f64, f64)>,
    only_images: Option<Vec<i64>>,
    only_categories: Option<Vec<i64>>,
    overall: [Option<f64>; 12],
    classes: Vec<(i64, [Option<f64>; 12])>,
}

fn bits(numbers: [Option<f64>; 12]) -> [Option<u64>; 12] {
    numbers.map(|number| number.map(f64::to_bits))
}

fn truth(json: &str) -> Result<GroundTruth> {
    GroundTruth::from_json(json.as_bytes(), "instances.json")
}

/// A data set of two images and two categories.
fn street(annotations: &str) -> Result<GroundTruth> {
    truth(&format!(
        r#"{{"info": 1, "images": [{{"id": 9, "file_name": "b.png", "width": 4, "height": 2}}, {{"id": 3, "file_name": "a/a.png"}}],
        "categories": [{{"id": 44, "name": "dog"}}, {{"id": 1, "name": "person"}}], "annotations": [{annotations}]}}"#
    ))
}

const DOG: &str = r#"{"id": 5, "image_id": 9, "category_id": 44, "bbox": [1, 2, 30, 40]}"#;

#[test]
fn all_numbers_have_pycocotools_bits() {
    let cases: Vec<Case> = serde_json::from_str(GOLDEN).unwrap();
    assert_eq!(cases.len(), 8);
    for case in cases {
        let name = &case.name;
        let mut truth = truth(&case.annotations.to_string()).unwrap();
        let mut detections: Vec<CocoDetection> = case
            .detections
            .iter()
            .map(|&(image_id, category_id, x, y, w, h, score)| {
                let bbox = [x, y, w, h];
                CocoDetection { image_id, category_id, bbox, score }
            })
            .collect();
        if let Some(images) = &case.only_images {
            truth = truth.only_images(images).unwrap();
            detections.retain(|found| images.contains(&found.image_id));
        }
        if let Some(categories) = &case.only_categories {
            let names: Vec<String> = categories.iter().map(|id| format!("thing {id}")).collect();
            truth = truth.only_categories(&names).unwrap();
            detections.retain(|found| categories.contains(&found.category_id));
        }
        let (evaluation, curves) = truth.evaluate_with_curves(&detections).unwrap();
        let to_be_found = evaluation.classes.iter().filter(|class| class.scores.ap.is_some());
        assert_eq!(curves.len(), to_be_found.clone().count(), "{name}");
        for (curve, class) in curves.iter().zip(to_be_found) {
            let all = curve.precision.concat();
            assert_eq!(all.len(), 10 * PrecisionRecall::LEVELS);
            let mean = all.iter().sum::<f64>() / all.len() as f64;
            assert!((mean - class.scores.ap.unwrap()).abs() < 1e-12, "{name}");
            assert!(curve.precision.iter().all(|levels| levels.is_sorted_by(|a, b| a >= b)));
        }
        assert_eq!(bits(evaluation.overall.to_array()), bits(case.overall), "{name}");
        assert_eq!(evaluation.classes.len(), case.classes.len(), "{name}");
        for (class, (id, expected)) in evaluation.classes.iter().zip(case.classes) {
            assert_eq!(class.category_id, id, "{name}");
            assert_eq!(bits(class.scores.to_array()), bits(expected), "{name}, category {id}");
        }
        let counted: usize = evaluation.classes.iter().map(|class| class.detections).sum();
        assert_eq!(counted, evaluation.detections, "{name}");
    }
}

#[test]
fn the_names_are_those_in_json() {
    let evaluation = street("").unwrap().evaluate(&[]).unwrap();
    let json = serde_json::to_value(evaluation.overall).unwrap();
    for name in CocoScores::NAMES {
        assert!(json.get(name).is_some_and(serde_json::Value::is_null), "{name}: {json}");
    }
}

#[test]
fn images_and_categories_come_in_order_of_id_with_defaults_filled_in() {
    let street = street(DOG).unwrap();
    assert_eq!(street.images().iter().map(|image| image.id).collect::<Vec<_>>(), [3, 9]);
    assert_eq!(street.categories()[0].name, "person");
    let Annotation { area, iscrowd, .. } = street.annotations()[0];
    assert_eq!((area, iscrowd), (1200.0, false));
}

#[test]
fn broken_annotations_are_refused_with_their_id() {
    for (annotations, part) in [
        (format!("{DOG}, {DOG}"), "two annotations have the id 5"),
        (DOG.replace("9,", "8,"), "annotation 5 is of image 8, which the file does not list"),
        (DOG.replace("44", "45"), "annotation 5 is of category 45"),
        (DOG.replace("30", "-30"), "annotation 5 has bbox [1.0, 2.0, -30.0, 40.0]"),
        (DOG.replace("30", "1e400"), "number out of range"),
        (DOG.replace("30", "1e200").replace("40", "1e200"), "annotation 5 has area inf"),
        (DOG.replace("}", r#", "area": -1}"#), "annotation 5 has area -1"),
        (DOG.replace("}", r#", "iscrowd": 2}"#), "iscrowd must be 0 or 1"),
        (DOG.replace("[1, 2, 30, 40]", "[1, 2, 30]"), "expected an array of length 4"),
        (DOG.replace("\"id\": 5", "\"id\": \"five\""), "invalid type: string"),
    ] {
        let error = street(&annotations).unwrap_err();
        assert!(matches!(error, Error::Eval(_)));
        let error = error.to_string();
        assert!(error.contains(part) && error.contains("instances.json"), "{error}");
    }
    let error = truth("{\"images\": \"\\u0007\"}").unwrap_err().to_string();
    assert!(!error.contains('\u{7}'), "{error:?}");
    let error = GroundTruth::open("no/such/file.json").unwrap_err().to_string();
    assert!(error.contains("no/such/file.json"), "{error}");
}

#[test]
fn detections_that_do_not_fit_the_annotations_are_refused() {
    let good = CocoDetection { image_id: 9, category_id: 44, bbox: [0.0; 4], score: 0.5 };
    for (found, part) in [
        (CocoDetection { image_id: 1, ..good }, "detection 1: image_id is 1"),
        (CocoDetection { category_id: 7, ..good }, "detection 1: category_id is 7"),
        (
            CocoDetection { bbox: [0.0, f64::NAN, 0.0, 0.0], ..good },
            "detection 1: bbox is [0.0, NaN",
        ),
        (CocoDetection { score: f64::INFINITY, ..good }, "detection 1: score is inf"),
    ] {
        let error = street(DOG).unwrap().evaluate(&[good, found]).unwrap_err().to_string();
        assert!(error.contains(part), "{error}");
    }
}

#[test]
fn unlisted_images_and_categories_cannot_be_selected() {
    let street = street(DOG).unwrap();
    let error = street.only_images(&[9, 4]).unwrap_err().to_string();
    assert!(error.contains("no image 4"), "{error}");
    let error = street.only_categories(&["cat\n"]).unwrap_err().to_string();
    assert!(error.contains(r#"no category "cat\n""#), "{error}");
    assert_eq!(street.only_images(&[3]).unwrap().annotations().len(), 0);
    assert_eq!(street.only_categories(&["dog"]).unwrap().categories().len(), 1);
}

#[test]
fn coco_labels_keep_their_ids() {
    let coco = Categories::coco_v1();
    let listed: Vec<String> = coco
        .names()
        .iter()
        .enumerate()
        .filter(|(_, name)| !["N/A", "__background__"].contains(&name.as_str()))
        .map(|(id, name)| format!(r#"{{"id": {id}, "name": "{name}"}}"#))
        .collect();
    assert_eq!(listed.len(), 80);
    let json = listed.join(",");
    let truth =
        truth(&format!(r#"{{"images": [], "annotations": [], "categories": [{json}]}}"#)).unwrap();
    let map = CategoryMap::new(&coco, &truth).unwrap();
    for id in 0..coco.len() {
        let name = coco.name(id).unwrap();
        let expected = (name != "N/A" && name != "__background__").then_some(id as i64);
        assert_eq!(map.category_id(id), expected, "{name}");
    }
    assert!(map.only_in_model().is_empty() && map.only_in_annotations().is_empty());
    assert_eq!(map.category_id(91), None);
}

#[test]
fn other_labels_match_by_name_and_the_rest_is_reported() {
    let model = Categories::new(["__background__", "dog", "cat"]).unwrap();
    let map = CategoryMap::new(&model, &street(DOG).unwrap()).unwrap();
    assert_eq!([0, 1, 2].map(|id| map.category_id(id)), [None, Some(44), None]);
    assert_eq!(map.only_in_model(), ["cat"]);
    assert_eq!(map.only_in_annotations(), ["person"]);

    let found = |label_id, score| ScoredBox {
        bounding_box: [1.5, 2.0, 31.0, 42.25].into(),
        label_id,
        candidate: Candidate { score, level: 0, index: 0 },
    };
    let found = [found(2, 0.75), found(1, 0.1)];
    let detections = Detections::new([50, 60], model.into(), &found).unwrap();
    let bbox = [1.5, 2.0, 29.5, 40.25];
    let score = f64::from(0.1f32);
    assert_eq!(
        map.translate(9, &detections),
        [CocoDetection { image_id: 9, category_id: 44, bbox, score }]
    );
}

#[test]
fn nothing_in_common_or_a_name_twice_is_an_error() {
    let model = Categories::new(["__background__", "cat"]).unwrap();
    let error = CategoryMap::new(&model, &street(DOG).unwrap()).unwrap_err().to_string();
    assert!(error.contains(r#"the model knows "cat", the annotations "person", "dog""#), "{error}");

    let twice = r#"{"images": [], "annotations": [],
        "categories": [{"id": 1, "name": "cat"}, {"id": 2, "name": "cat"}]}"#;
    let error = CategoryMap::new(&model, &truth(twice).unwrap()).unwrap_err().to_string();
    assert!(
        error.contains(r#"categories 1 and 2 of the annotations are both called "cat""#),
        "{error}"
    );
}

#[test]
fn an_image_stays_in_its_folder() {
    let folder = std::path::Path::new("images");
    let mut image = street("").unwrap().images()[0].clone();
    assert_eq!(image.path(folder).unwrap(), folder.join("a").join("a.png"));
    for name in ["../a.png", "/etc/passwd", "a/../../b", "", "a\0b"] {
        image.file_name = name.to_owned();
        assert!(image.path(folder).is_err(), "{name:?}");
    }
}

#[test]
fn an_image_is_opened_in_the_frame_of_its_annotations() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/src/image/testdata");
    let folder = std::path::Path::new(folder);
    let options = DecodeOptions::default();
    let upright = Image::open(folder.join("exif_6.jpg")).unwrap();
    let (width, height) = (upright.width() as u64, upright.height() as u64);
    assert_ne!(width, height);
    let listed = |width, height| CocoImage {
        id: 1,
        file_name: "exif_6.jpg".to_owned(),
        width: Some(width),
        height: Some(height),
    };
    assert_eq!(listed(width, height).open(folder, &options).unwrap(), upright);
    let stored = listed(height, width).open(folder, &options).unwrap();
    assert_eq!((stored.width() as u64, stored.height() as u64), (height, width));
    let error = listed(width, width).open(folder, &options).unwrap_err().to_string();
    assert!(error.contains("is this the right folder?"), "{error}");
}
