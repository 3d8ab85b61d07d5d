//! How do I use weights that I trained myself, with another architecture and classes of my own?
//!
//! The file is what `torch.save(model.state_dict(), "mine.pth")` writes, or safetensors. Here the
//! bundled checkpoint takes its place, as if it did not describe itself.

use retinanet::labels::Categories;
use retinanet::model::{AnchorConfig, BatchNormConfig, ResNetConfig, ResNetDepth, RetinaNetConfig};
use retinanet::{Detector, Image};
use retinanet_examples::{Failure, PHOTO, WEIGHTS};

fn main() -> Result<(), Failure> {
    // A fine-tuned retinanet_resnet50_fpn_v2 needs `num_classes` only. This one differs in more:
    let mut config = RetinaNetConfig::resnet50_fpn_v2();
    config.num_classes = 2; // the background counts
    config.backbone = ResNetConfig {
        depth: ResNetDepth::ResNet18,
        returned_layers: vec![2, 3],
        batch_norm: BatchNormConfig::FROZEN_EPS_0,
    };
    config.fpn.out_channels = 128;
    config.anchors = AnchorConfig {
        sizes: vec![
            vec![24.0, 30.0, 38.0],
            vec![48.0, 60.0, 76.0],
            vec![96.0, 120.0, 152.0],
            vec![192.0, 241.0, 304.0],
        ],
        aspect_ratios: vec![vec![1.0, 2.0, 3.0]; 4],
    };
    (config.transform.min_size, config.transform.max_size) = (384, 512);
    // To keep it beside the weights: `config.to_json()`, `RetinaNetConfig::from_json`.

    let detector = Detector::builder()
        .weights(WEIGHTS)
        .config(config)
        .categories(Categories::new(["background", "space traveller"])?)
        .score_threshold(0.5)
        .build()?;

    // Loading is strict: a missing, unexpected or mis-shaped tensor would have been an error.
    let loaded = detector.load_report().map_or(0, |report| report.applied.len());
    println!("{loaded} tensors loaded, classes {:?}", detector.categories().names());
    for one in &detector.detect(&Image::open(PHOTO)?)? {
        println!("{} {:.4} {:?}", one.label.escape_debug(), one.score, one.bounding_box);
    }
    Ok(())
}
