//! How do I start from random weights that are the same bits at every run, on every machine?

use retinanet::determinism::{Determinism, Init, Purpose, digest_f32};
use retinanet::model::{ResNetDepth, RetinaNet, RetinaNetConfig};
use retinanet::{Detector, Image};
use retinanet_examples::{Failure, PHOTO};

fn main() -> Result<(), Failure> {
    let determinism = Determinism::strict(3407);

    // Each tensor is drawn from the seed and its own name: the order of the layers does not matter.
    // (With the feature `candle`, `Determinism::var_builder` gives them to candle's layers.)
    let (name, shape, init) = ("my_head.weight", [2, 256], Init::Normal { mean: 0.0, stdev: 0.01 });
    let weight = determinism.initial_values(name, &shape, init)?;
    println!("a layer   {}", digest_f32(name, &shape, &weight)?);

    // A whole network, built twice. Untrained, it finds whatever its threshold lets through.
    let mut config = RetinaNetConfig::resnet50_fpn_v2();
    config.backbone.depth = ResNetDepth::ResNet18;
    config.num_classes = 2;
    (config.transform.min_size, config.transform.max_size) = (256, 256);
    let photo = Image::open(PHOTO)?;
    let answer = || -> retinanet::Result<_> {
        let model = RetinaNet::new(&config, &determinism)?;
        let detector = Detector::builder().score_threshold(0.001).build_with_model(model)?;
        detector.detect_traced(&photo)
    };
    let (found, stages) = answer()?;
    println!("a network {} ({} boxes)", found.digest()?, found.len());
    assert_eq!(answer()?, (found, stages), "another run, the same bits");

    // The order in which an epoch visits the samples.
    let mut order: Vec<usize> = (0..10).collect();
    determinism.stream(Purpose::Shuffle, "my data", 0).shuffle(&mut order);
    println!("epoch 0   {order:?}");
    Ok(())
}
