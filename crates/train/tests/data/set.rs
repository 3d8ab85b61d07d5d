//! What a training set takes, leaves out and refuses.

use std::path::Path;

use retinanet::eval::{Annotation, CocoCategory, CocoImage, GroundTruth, VocOrigin};
use retinanet::labels::Categories;
use retinanet_train::data::{DataError, LeftOut, TrainingSet, TrainingSetConfig};
use serde_json::{Value, json};

use crate::{photos, set_of};

/// One image of 60 x 40 with these boxes, `[left, top, width, height]`, and whether each is a crowd.
fn one_image(boxes: &[([f64; 4], u8)]) -> Value {
    let annotations: Vec<Value> = boxes
        .iter()
        .enumerate()
        .map(|(id, (bbox, crowd))| {
            json!({"id": id, "image_id": 5, "category_id": 1, "bbox": bbox, "iscrowd": crowd})
        })
        .collect();
    json!({
        "images": [{"id": 5, "file_name": "a.png", "width": 60, "height": 40}],
        "categories": [{"id": 1, "name": "person"}],
        "annotations": annotations,
    })
}

fn opened(annotations: &Value, config: &TrainingSetConfig) -> Result<TrainingSet, DataError> {
    let folder = tempfile::tempdir().unwrap();
    crate::picture(60, 40, 0).save_png(folder.path().join("a.png")).unwrap();
    let file = folder.path().join("annotations.json");
    std::fs::write(&file, annotations.to_string()).unwrap();
    TrainingSet::open(&file, folder.path(), config)
}

fn message(annotations: &Value) -> String {
    opened(annotations, &TrainingSetConfig::default()).unwrap_err().to_string()
}

#[test]
fn images_come_by_id_and_categories_become_classes_by_id() {
    let folder = tempfile::tempdir().unwrap();
    let set = set_of(&photos(folder.path(), 6), folder.path()).unwrap();
    let ids: Vec<i64> = set.images().iter().map(|one| one.image.id).collect();
    assert_eq!(ids, [95, 96, 97, 98, 99, 100]);
    assert_eq!(set.categories().names(), ["__background__", "cat", "dog"]);
    // Image 98 is number 2: dog, cat, dog.
    let classes: Vec<usize> = set.images()[3].objects.iter().map(|one| one.class).collect();
    assert_eq!(classes, [2, 1, 2]);
    assert_eq!(set.images()[3].objects[1].corners, [8.5, 3.25, 28.625, 23.25]);
    assert_eq!(set.objects_by_class(), [0, 4, 8]);
    assert_eq!(set.to_string(), "6 images, 12 boxes, 2 classes");
}

#[test]
fn crowds_and_boxes_without_area_are_left_out_and_the_rest_is_cut_to_the_image() {
    let annotations = one_image(&[
        ([10.0, 10.0, 20.0, 20.0], 0),
        ([0.0, 0.0, 60.0, 40.0], 1),
        ([10.0, 10.0, 0.0, 20.0], 0),
        ([-5.0, 30.0, 10.0, 30.0], 0),
        ([60.0, 0.0, 10.0, 10.0], 0),
        ([3.0, 3.0, 0.5, 9.0], 0),
    ]);
    let set = opened(&annotations, &TrainingSetConfig::default()).unwrap();
    let corners: Vec<[f32; 4]> = set.images()[0].objects.iter().map(|one| one.corners).collect();
    // The thin one stays where a thick one is.
    let expected = [[10.0, 10.0, 30.0, 30.0], [0.0, 30.0, 5.0, 40.0], [3.0, 3.0, 3.5, 12.0]];
    assert_eq!(corners, expected);
    let left_out = LeftOut { crowds: 1, degenerate: 2, clipped: 1, ..LeftOut::default() };
    assert_eq!(*set.left_out(), left_out);
    assert_eq!(
        set.to_string(),
        "1 images, 3 boxes, 1 classes; 1 boxes cut to their image; 1 crowd regions left out; \
         2 boxes without area left out"
    );
}

#[test]
fn images_without_a_usable_box_are_left_out_or_kept_as_background() {
    let keep = TrainingSetConfig { keep_empty: true, ..TrainingSetConfig::default() };
    let thin = one_image(&[([3.0, 3.0, 0.5, 9.0], 0), ([3.0, 3.0, 9.0, 1.0], 0)]);
    let crowd = one_image(&[([0.0, 0.0, 60.0, 40.0], 1)]);
    let empty = one_image(&[]);
    for annotations in [&thin, &crowd, &empty] {
        let error = message(annotations);
        assert!(error.contains("has nothing to train on: 0 images"), "{error}");
    }
    assert!(message(&crowd).contains("1 images with nothing but crowd regions left out"));
    assert!(message(&thin).contains("1 images without a usable box left out"));
    let set = opened(&empty, &keep).unwrap();
    assert_eq!((set.images().len(), set.images()[0].objects.len()), (1, 0));
    assert!(set.to_string().contains("1 images are pure background"), "{set}");
    // What a crowd region shows is no background, and something thin is there.
    opened(&crowd, &keep).unwrap_err();
    opened(&thin, &keep).unwrap_err();
}

#[test]
fn a_models_classes_are_found_by_name() {
    let folder = tempfile::tempdir().unwrap();
    let truth = photos(folder.path(), 3).to_string();
    let truth = GroundTruth::from_json(truth.as_bytes(), "made.json").unwrap();
    let with = |names: &[&str]| {
        let categories = Some(Categories::new(names.iter().copied()).unwrap());
        let config = TrainingSetConfig { categories, ..TrainingSetConfig::default() };
        TrainingSet::new(&truth, folder.path(), &config, "made.json")
    };
    let set = with(&["__background__", "dog", "bird", "cat"]).unwrap();
    assert_eq!(set.objects_by_class(), [0, 4, 0, 2]);
    for (names, part) in [
        (&["__background__", "dog", "cats"][..], "did you mean \"cats\"?"),
        (&["__background__", "dog", "cat", "cat"], "category 3 of the annotations, \"cat\""),
    ] {
        let error = with(names).unwrap_err();
        assert!(matches!(error, DataError::Category { id: 3, .. }), "{error}");
        assert!(error.to_string().contains(part), "{error}");
    }
}

#[test]
fn all_missing_files_are_named_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let annotations = photos(folder.path(), 5);
    for number in [1, 3] {
        std::fs::remove_file(folder.path().join(format!("{number}.png"))).unwrap();
    }
    // A folder is no file.
    std::fs::create_dir(folder.path().join("3.png")).unwrap();
    let error = set_of(&annotations, folder.path()).unwrap_err();
    assert!(matches!(error, DataError::MissingFiles { missing: 2, images: 5, .. }), "{error}");
    let error = error.to_string();
    assert!(error.contains("\"3.png\" (image 97), \"1.png\" (image 99)"), "{error}");
}

#[test]
fn bad_annotations_are_refused() {
    let good = one_image(&[([10.0, 10.0, 20.0, 20.0], 0)]);
    opened(&good, &TrainingSetConfig::default()).unwrap();
    let with = |pointer: &str, value: Value| {
        let mut changed = good.clone();
        *changed.pointer_mut(pointer).unwrap() = value;
        message(&changed)
    };
    for (pointer, value, part) in [
        ("/annotations/0/category_id", json!(2), "annotation 0 is of category 2, which"),
        ("/annotations/0/image_id", json!(2), "annotation 0 is of image 2, which"),
        ("/annotations/0/bbox", json!([1, 1, -4, 3]), "annotation 0 has bbox"),
        ("/annotations/0/bbox", json!([1, 1, null, 3]), "is not a COCO annotations file"),
        ("/images/0/width", json!(null), "image 5 (\"a.png\") has no `width` and `height`"),
        ("/images/0/width", json!(0), "is 0 x 40 by its annotations"),
        ("/images/0/height", json!(1u64 << 60), "expected sides from 1 to 16777216"),
        ("/images/0/height", json!(10_000_000), "and at most 100000000 pixels"),
        ("/images/0/file_name", json!("../a.png"), "not a path inside the images' folder"),
        ("/categories/0/name", json!("__background__"), "another class has this name"),
        (
            "/images",
            json!([good["images"][0], good["images"][0]]),
            "two images have the id 5; ids must differ",
        ),
        (
            "/categories",
            json!([good["categories"][0], {"id": 2, "name": "person"}]),
            "category 2 of the annotations, \"person\": another class has this name",
        ),
    ] {
        let error = with(pointer, value);
        assert!(error.contains(part), "{part}: {error}");
    }
    let missing = TrainingSet::open(
        Path::new("nowhere/annotations.json"),
        Path::new("."),
        &TrainingSetConfig::default(),
    );
    assert!(matches!(missing, Err(DataError::Annotations { .. })));
}

#[test]
fn boxes_that_are_not_numbers_are_refused_by_the_reader() {
    for value in [f64::NAN, f64::INFINITY] {
        let image = CocoImage { id: 1, file_name: "a".into(), width: Some(9), height: Some(9) };
        let category = CocoCategory { id: 1, name: "a".into() };
        let annotation = Annotation {
            id: 4,
            image_id: 1,
            category_id: 1,
            bbox: [0.0, value, 3.0, 3.0],
            area: 9.0,
            iscrowd: false,
        };
        let error = GroundTruth::from_parts(vec![image], vec![category], vec![annotation], "made");
        assert!(error.unwrap_err().to_string().contains("annotation 4 has bbox"));
    }
}

#[test]
fn pascal_voc_folders_are_training_sets_too() {
    let folder = tempfile::tempdir().unwrap();
    let [xml, images] = ["Annotations", "JPEGImages"].map(|name| folder.path().join(name));
    std::fs::create_dir(&xml).unwrap();
    std::fs::create_dir(&images).unwrap();
    crate::picture(60, 40, 0).save_png(images.join("a.png")).unwrap();
    let object = |name: &str, difficult: u8| {
        format!(
            "<object><name>{name}</name><difficult>{difficult}</difficult><bndbox><xmin>11</xmin><ymin>1</ymin>\
             <xmax>30</xmax><ymax>20</ymax></bndbox></object>"
        )
    };
    let text = format!(
        "<annotation><filename>a.png</filename><size><width>60</width><height>40</height></size>{}{}</annotation>",
        object("RBC", 0),
        object("WBC", 1)
    );
    std::fs::write(xml.join("a.xml"), text).unwrap();
    let truth = GroundTruth::from_voc(&xml, VocOrigin::One).unwrap();
    let config = TrainingSetConfig::default();
    let set = TrainingSet::new(&truth, &images, &config, "Annotations").unwrap();
    assert_eq!(set.categories().names(), ["__background__", "RBC", "WBC"]);
    assert_eq!(set.images()[0].objects[0].corners, [10.0, 0.0, 30.0, 20.0]);
    assert_eq!(set.left_out().crowds, 1);
}
