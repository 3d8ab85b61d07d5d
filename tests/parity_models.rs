//! The models of `golden/models.py`.

use std::collections::HashMap;

use candle_core::{DType, Device, Tensor};
use candle_nn::VarBuilder;
use retinanet::image::TransformConfig;
use retinanet::model::{
    AnchorConfig, BatchNormConfig, ExtraLevels, FpnConfig, GroupNormConfig, HeadConfig,
    ResNetConfig, ResNetDepth, RetinaNet, RetinaNetConfig, expected_tensors,
};
use retinanet::ops::Arithmetic;
use retinanet::postprocess::PostprocessConfig;
use retinanet::weights::{Checkpoint, ExpectedTensor};

use crate::parity_data::{DrawnWeights, ParityData, in_repository};

/// The model that the data is about, with the weights torchvision had.
///
/// # Panics
/// For data of no known model, or a GPU without room.
pub fn model(data: &ParityData, arithmetic: Arithmetic<'_>) -> RetinaNet {
    match &data.weights {
        Some(weights) => drawn(&data.model, weights, arithmetic),
        None => demo(arithmetic),
    }
}

fn drawn(name: &str, weights: &DrawnWeights, arithmetic: Arithmetic<'_>) -> RetinaNet {
    let config = match name {
        "v1" => RetinaNetConfig::resnet50_fpn(),
        "v2" => RetinaNetConfig::resnet50_fpn_v2(),
        "odd" => odd(),
        "fixed" => fixed(),
        _ => panic!("no model {name}"),
    };
    let drawn = weights.tensors();
    let mut expected = expected_tensors(&config).unwrap();
    expected.sort();
    let shapes = drawn.iter().map(|(name, (shape, _))| (name.clone(), shape.clone()));
    assert_eq!(expected, shapes.collect::<Vec<_>>(), "names and shapes of {name}");

    let tensors: HashMap<String, Tensor> = drawn
        .into_iter()
        .map(|(name, (shape, values))| {
            (name, Tensor::from_vec(values, shape, &Device::Cpu).unwrap())
        })
        .collect();
    let vb = VarBuilder::from_tensors(tensors, DType::F32, &Device::Cpu);
    RetinaNet::with_arithmetic(&config, arithmetic, vb).unwrap()
}

/// The bundled checkpoint's model.
fn demo(arithmetic: Arithmetic<'_>) -> RetinaNet {
    let path = in_repository("examples/assets/person_r18.safetensors");
    let checkpoint = Checkpoint::open(path).unwrap();
    let config = RetinaNetConfig::from_json(&checkpoint.metadata()["config"]).unwrap();
    let expected: Vec<ExpectedTensor> = expected_tensors(&config)
        .unwrap()
        .into_iter()
        .map(|(name, shape)| ExpectedTensor::new(name, shape))
        .collect();
    let loaded = checkpoint.load(&expected).unwrap();
    let vb = loaded.into_var_builder(DType::F32, &Device::Cpu);
    RetinaNet::with_arithmetic(&config, arithmetic, vb).unwrap()
}

fn odd() -> RetinaNetConfig {
    RetinaNetConfig {
        backbone: ResNetConfig {
            depth: ResNetDepth::ResNet50,
            returned_layers: vec![1, 3],
            batch_norm: BatchNormConfig { frozen: false, eps: 1e-3 },
        },
        fpn: FpnConfig { out_channels: 40, extra_levels: ExtraLevels::MaxPool },
        anchors: AnchorConfig {
            sizes: vec![vec![12.0, 20.0], vec![40.0, 56.0, 72.5], vec![150.0]],
            aspect_ratios: vec![
                vec![0.4, 1.0, 2.2],
                vec![0.7, 1.6],
                vec![0.25, 0.5, 1.0, 1.5, 2.0, 4.0],
            ],
        },
        head: HeadConfig {
            num_convs: 4,
            group_norm: Some(GroupNormConfig { groups: 8, eps: 1e-4 }),
        },
        num_classes: 7,
        transform: TransformConfig {
            min_size: 250,
            max_size: 420,
            fixed_size: None,
            size_divisible: 64,
            image_mean: [0.5, 0.25, 0.375],
            image_std: [0.25, 0.5, 0.3],
        },
        postprocess: PostprocessConfig {
            score_thresh: 0.11,
            nms_thresh: 0.4,
            detections_per_img: 120,
            topk_candidates: 400,
            box_coder_weights: [2.0, 2.0, 1.5, 1.25],
        },
        categories: None,
    }
}

fn fixed() -> RetinaNetConfig {
    RetinaNetConfig {
        backbone: ResNetConfig {
            depth: ResNetDepth::ResNet34,
            returned_layers: vec![1, 2, 3, 4],
            batch_norm: BatchNormConfig::PLAIN,
        },
        fpn: FpnConfig { out_channels: 48, extra_levels: ExtraLevels::None },
        anchors: AnchorConfig {
            sizes: [10.0, 20.0, 40.0, 80.0].map(|size| vec![size]).to_vec(),
            aspect_ratios: vec![vec![0.5, 1.0, 2.0]; 4],
        },
        head: HeadConfig { num_convs: 4, group_norm: None },
        num_classes: 5,
        transform: TransformConfig { fixed_size: Some([200, 310]), ..TransformConfig::default() },
        postprocess: PostprocessConfig::default(),
        categories: None,
    }
}
