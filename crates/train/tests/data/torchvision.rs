//! The flip and the resize of torchvision, with their boxes.

use retinanet::Image;
use retinanet::image::TransformConfig;
use retinanet_train::data::{AugmentConfig, RunShape, SampleSource};
use serde::Deserialize;
use serde_json::json;

use crate::set_of;

#[derive(Deserialize)]
struct Golden {
    height: usize,
    width: usize,
    min_size: usize,
    max_size: usize,
    bboxes: Vec<[f64; 4]>,
    /// Which of the canvas' values are given: each of this number.
    every: usize,
    cases: Vec<Case>,
}

#[derive(Deserialize)]
struct Case {
    flip: f64,
    canvas_size: [usize; 2],
    content: [usize; 2],
    values: Vec<f32>,
    boxes: Vec<[f32; 4]>,
}

#[test]
fn flipped_and_resized_pixels_and_boxes_are_torchvisions() {
    let golden: Golden = serde_json::from_str(include_str!("../testdata/augmented.json")).unwrap();
    let Golden { height, width, min_size, max_size, .. } = golden;
    let rgb = (0..height * width * 3).map(|i| {
        let (x, y, c) = (i / 3 % width, i / 3 / width, i % 3);
        (17 * x + 31 * y + 57 * c + x * y) as u8
    });
    let folder = tempfile::tempdir().unwrap();
    let picture = Image::from_rgb8(width, height, rgb.collect()).unwrap();
    picture.save_png(folder.path().join("a.png")).unwrap();
    let annotations: Vec<_> = golden
        .bboxes
        .iter()
        .enumerate()
        .map(|(id, bbox)| json!({"id": id, "image_id": 1, "category_id": 1, "bbox": bbox}))
        .collect();
    let annotations = json!({
        "images": [{"id": 1, "file_name": "a.png", "width": width, "height": height}],
        "categories": [{"id": 1, "name": "a"}],
        "annotations": annotations,
    });
    let transform = TransformConfig { min_size, max_size, ..TransformConfig::default() };
    assert_eq!(golden.cases.len(), 2);
    for case in golden.cases {
        let set = set_of(&annotations, folder.path()).unwrap();
        let augment = AugmentConfig { flip: case.flip, ..AugmentConfig::default() };
        let run = RunShape { seed: 1, batch: 1, steps: 1 };
        let source = SampleSource::new(set, transform.clone(), augment, run, 0).unwrap();
        let sample = source.sample(0).unwrap();
        assert_eq!((sample.size, sample.content), (case.canvas_size, case.content));
        let values: Vec<f32> = sample.canvas.iter().step_by(golden.every).copied().collect();
        assert_eq!(values.len(), case.values.len());
        // Neighbouring pixels differ by up to 4.4, and torch may round a coordinate below 64 by 4e-6 otherwise.
        for (i, (ours, theirs)) in values.iter().zip(&case.values).enumerate() {
            assert!(
                (ours - theirs).abs() <= 2e-5,
                "flip {}, value {i}: {ours} {theirs}",
                case.flip
            );
        }
        assert_eq!(sample.objects.len(), case.boxes.len());
        for (ours, theirs) in sample.objects.iter().zip(&case.boxes) {
            for (ours, theirs) in ours.corners.iter().zip(theirs) {
                assert!((ours - theirs).abs() <= 1e-5, "flip {}: {ours} {theirs}", case.flip);
            }
        }
    }
}
