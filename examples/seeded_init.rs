//! How do I start from random weights that are the same bits at every run, on every machine?

use candle_core::{DType, Device};
use retinanet::determinism::{Determinism, Purpose, digest_tensor};
use retinanet::model::{ResNetDepth, RetinaNet, RetinaNetConfig};
use retinanet::{Detector, Image};
use retinanet_examples::{Failure, PHOTO};

fn main() -> Result<(), Failure> {
    let determinism = Determinism::strict(3407);

    // Each tensor is drawn from the seed and its own name: the order of the layers does not matter.
    let vb = determinism.var_builder(DType::F32, &Device::Cpu)?;
    let layer = candle_nn::linear(256, 2, vb.pp("my_head"))?;
    println!("a layer   {}", digest_tensor("my_head.weight", layer.weight())?);

    // A whole network, built twice. Untrained, it finds whatever its threshold lets through.
    let mut config = RetinaNetConfig::resnet50_fpn_v2();
    config.backbone.depth = ResNetDepth::ResNet18;
    config.num_classes = 2;
    (config.transform.min_size, config.transform.max_size) = (256, 256);
    let photo = Image::open(PHOTO)?;
    let answer = || -> retinanet::Result<_> {
        let vb = determinism.var_builder(DType::F32, &Device::Cpu)?;
        let model = RetinaNet::new(&config, vb)?;
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
