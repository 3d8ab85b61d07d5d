//! The plan behind [`Detector`](retinanet::Detector) computes the same bits as the layers that
//! [`RetinaNet::forward`](retinanet::model::RetinaNet::forward) calls one by one.

use candle_core::{Device, Tensor};
use retinanet::Image;
use retinanet::candle::digest_tensor;
use retinanet::determinism::digest_f32;
use retinanet_tests::demo::{cut, detector, photo};

fn compare(image: &Image) {
    let detector = detector();
    let (found, stages) = detector.detect_traced(image).unwrap();
    assert_eq!(found, detector.detect(image).unwrap(), "tracing changes nothing");

    let model = detector.model();
    let input = model.config().transform.apply(image).unwrap();
    let [height, width] = input.padded;
    let shape = [1, 3, height, width];
    assert_eq!(stages.get("input"), digest_f32("input", &shape, &input.data).ok());

    let images = Tensor::from_vec(input.data, &shape[..], &Device::Cpu).unwrap();
    let features = model.features(&images).unwrap();
    let mut names = vec!["decoded".to_owned(), "input".to_owned()];
    for (name, map) in features.backbone.iter().chain(&features.pyramid) {
        assert_eq!(stages.get(name), digest_tensor(name, map).ok(), "{name}");
        names.push(name.clone());
    }
    let output = model.forward(&images).unwrap();
    for (kind, maps) in [("logits", &output.cls_logits), ("regression", &output.bbox_regression)] {
        for (level, map) in model.pyramid_names().iter().zip(maps) {
            let name = format!("{kind}/{level}");
            assert_eq!(stages.get(&name), digest_tensor(&name, map).ok(), "{name}");
            names.push(name);
        }
    }
    names.push("detections".to_owned());
    let traced: Vec<&str> = stages.iter().map(|stage| stage.stage.as_str()).collect();
    assert_eq!(traced, names);
    assert_eq!(stages.get("detections"), found.digest().ok());
}

#[test]
fn every_stage_of_the_photo_is_that_of_the_layers() {
    compare(&photo());
}

#[test]
fn every_stage_of_an_odd_size_is_that_of_the_layers() {
    compare(&cut(&photo(), [100, 30], [211, 97]));
}
