//! Draws the first samples of a training run, with their boxes, into a folder: look at what you train on.
//!
//!     cargo run -p retinanet-train --example preview_samples -- annotations.json photos out 16 augment.toml
//!
//! The last argument is optional: a TOML file with the fields of `AugmentConfig`, such as
//!
//!     flip = 0.5
//!     [square]
//!     side = 384
//!     [mosaic]
//!     until = 0.8

use std::path::Path;

use retinanet::eval::{GroundTruth, VocOrigin};
use retinanet::image::TransformConfig;
use retinanet_train::data::{
    AugmentConfig, RunShape, SampleSource, TrainingSet, TrainingSetConfig, write_preview,
};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [annotations, photos, out, count, rest @ ..] = &arguments[..] else {
        return Err("usage: preview_samples ANNOTATIONS PHOTOS OUT COUNT [AUGMENT.toml]".into());
    };
    let augment = match rest.first() {
        Some(path) => toml::from_str(&std::fs::read_to_string(path)?)?,
        None => AugmentConfig::default(),
    };
    let config = TrainingSetConfig::default();
    // A folder holds Pascal VOC's files, which need retinanet's feature `voc`.
    let set = match Path::new(annotations).is_dir() {
        true => {
            let truth = GroundTruth::from_voc(Path::new(annotations), VocOrigin::default())?;
            TrainingSet::new(&truth, Path::new(photos), &config, annotations)?
        }
        false => TrainingSet::open(Path::new(annotations), Path::new(photos), &config)?,
    };
    println!("{set}");
    let run = RunShape { seed: 3407, batch: 4, steps: 1000 };
    let source = SampleSource::new(set, TransformConfig::default(), augment, run, 256 << 20)?;
    for file in write_preview(&source, count.parse()?, Path::new(out))? {
        println!("{}: images {:?}, {} objects", file.path.display(), file.image_ids, file.objects);
    }
    Ok(())
}
