//! What a detector tells about itself, and the forms its answers take.

use retinanet::determinism::{Determinism, Mode};
use retinanet::labels::Categories;
use retinanet::model::{ResNetDepth, RetinaNet, RetinaNetConfig};
use retinanet::ops::Level;
use retinanet::{Detection, Detections, Detector};
use retinanet_tests::demo::{builder, detector, photo};

const WEIGHTS_SHA256: &str = "d711e2bf073d2ce38029f2c2d0edc326398a087ffeeaccfad8b7afdf43618c41";

#[test]
fn detections_survive_json_to_the_bit() {
    let found = detector().detect(&photo()).unwrap();
    let json = serde_json::to_string_pretty(&found).unwrap();
    let read: Detections = serde_json::from_str(&json).unwrap();
    assert_eq!(read, found);
    assert_eq!(read.digest().unwrap(), found.digest().unwrap());
    assert!(serde_json::from_str::<Detection>(r#"{"label_id": 1}"#).is_err());
}

#[test]
fn detections_become_candles_boxes() {
    let found = detector().detect(&photo()).unwrap();
    let boxes = found.to_bboxes();
    assert_eq!(boxes.len(), found.len());
    for (one, found) in boxes.iter().zip(&found) {
        let corners = [one.xmin, one.ymin, one.xmax, one.ymax];
        assert_eq!(corners, <[f32; 4]>::from(found.bounding_box));
        assert_eq!((one.confidence, one.data), (found.score, 1));
    }
}

#[test]
fn the_environment_names_weights_level_threads_and_mode() {
    let detector = builder().threads(3).level(Level::PORTABLE).build().unwrap();
    let environment = detector.environment();
    assert_eq!(environment.weights_sha256.unwrap().to_string(), WEIGHTS_SHA256);
    assert_eq!((environment.threads, environment.cpu.level.as_str()), (3, "portable"));
    assert_eq!((environment.mode, environment.seed), (Mode::Strict, 3407));
    assert_eq!((environment.device.as_str(), environment.problems.len()), ("cpu", 0));
}

#[test]
fn the_load_report_lists_every_tensor() {
    let detector = detector();
    let report = detector.load_report().unwrap();
    assert_eq!((report.applied.len(), report.renamed.len(), report.ignored.len()), (115, 0, 0));
    assert_eq!(detector.categories().names(), ["__background__", "person"]);
}

#[test]
fn a_score_threshold_leaves_out_what_is_not_above_it() {
    let low = detector().detect(&photo()).unwrap();
    let high = builder().score_threshold(0.5).build().unwrap().detect(&photo()).unwrap();
    assert_eq!(high, low.above(0.5));
    assert!(high.len() < low.len());
}

fn fresh_model() -> RetinaNet {
    let mut config = RetinaNetConfig::resnet50_fpn_v2();
    config.backbone.depth = ResNetDepth::ResNet18;
    config.fpn.out_channels = 32;
    config.num_classes = 3;
    (config.transform.min_size, config.transform.max_size) = (64, 96);
    RetinaNet::new(&config, Determinism::strict(5)).unwrap()
}

#[test]
fn a_detector_is_built_around_a_model_of_ones_own() {
    let detector =
        Detector::builder().score_threshold(0.0).build_with_model(fresh_model()).unwrap();
    assert!(detector.load_report().is_none());
    assert_eq!(detector.environment().weights_sha256, None);
    assert_eq!(detector.model().config().postprocess.score_thresh, 0.0);
    assert_eq!(detector.categories().len(), 3);
    let found = detector.detect(&photo()).unwrap();
    assert!(!found.is_empty());

    let again = Detector::builder().score_threshold(0.0).build_with_model(fresh_model()).unwrap();
    assert_eq!(again.detect(&photo()).unwrap().digest().unwrap(), found.digest().unwrap());

    let names = Categories::new(["background", "cat", "dog"]).unwrap();
    let named = Detector::builder().categories(names).build_with_model(fresh_model()).unwrap();
    assert_eq!(named.categories().id_of("dog").unwrap(), 2);
    let names = Categories::new(["cat", "dog"]).unwrap();
    let error = Detector::builder().categories(names).build_with_model(fresh_model()).unwrap_err();
    assert!(error.to_string().contains("2 category names"), "{error}");
}
