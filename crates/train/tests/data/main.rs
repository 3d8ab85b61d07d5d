//! Training data: sets, samples, loading; against torchvision by tolerance, against the detector by bits, and bad
//! input.

mod loading;
mod order;
mod samples;
mod set;
mod torchvision;

use std::path::Path;

use retinanet::Image;
use retinanet::eval::GroundTruth;
use retinanet::image::TransformConfig;
use retinanet_train::data::{
    AugmentConfig, DataError, RunShape, SampleSource, TrainingSet, TrainingSetConfig,
};
use serde_json::{Value, json};

/// A picture that no other number makes.
fn picture(width: usize, height: usize, number: usize) -> Image {
    let rgb = (0..width * height * 3).map(|i| {
        let (x, y, c) = (i / 3 % width, i / 3 / width, i % 3);
        ((17 + number) * x + 31 * y + 57 * c + x * y + 40 * number) as u8
    });
    Image::from_rgb8(width, height, rgb.collect()).unwrap()
}

/// Width and height of picture `number`.
fn sides(number: usize) -> (usize, usize) {
    (40 + number % 5 * 9, 30 + number % 7 * 6)
}

/// A folder with the pictures 0 to `count` as `N.png`, and their annotations: two classes, ids from 100 downwards.
fn photos(folder: &Path, count: usize) -> Value {
    let mut images = vec![];
    let mut annotations = vec![];
    for number in 0..count {
        let (width, height) = sides(number);
        picture(width, height, number).save_png(folder.join(format!("{number}.png"))).unwrap();
        let (id, file_name) = (100 - number, format!("{number}.png"));
        images.push(json!({"id": id, "file_name": file_name, "width": width, "height": height}));
        for object in 0..1 + number % 3 {
            let category_id = [7, 3][object % 2];
            let bbox = [2.5 + object as f64 * 6.0, 3.25, 20.125, 18.0 + number as f64 % 5.0];
            annotations.push(json!({
                "id": annotations.len() + 1, "image_id": id, "category_id": category_id, "bbox": bbox,
            }));
        }
    }
    let categories = json!([{"id": 7, "name": "dog"}, {"id": 3, "name": "cat"}]);
    json!({"images": images, "categories": categories, "annotations": annotations})
}

fn set_of(annotations: &Value, folder: &Path) -> Result<TrainingSet, DataError> {
    let truth = GroundTruth::from_json(annotations.to_string().as_bytes(), "made.json").unwrap();
    TrainingSet::new(&truth, folder, &TrainingSetConfig::default(), "made.json")
}

/// A small model's transform.
fn transform() -> TransformConfig {
    TransformConfig { min_size: 64, max_size: 100, ..TransformConfig::default() }
}

const RUN: RunShape = RunShape { seed: 5, batch: 4, steps: 6 };

fn source(folder: &Path, count: usize, augment: AugmentConfig, cache: usize) -> SampleSource {
    let set = set_of(&photos(folder, count), folder).unwrap();
    SampleSource::new(set, transform(), augment, RUN, cache).unwrap()
}
