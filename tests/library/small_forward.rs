//! Three small odd networks against torchvision's numbers (golden/make_small_forward.py), and what
//! a batch may not change.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};

use candle_core::{DType, Device, Result, Shape, Tensor};
use candle_nn::var_builder::SimpleBackend;
use candle_nn::{Init, VarBuilder};
use retinanet::model::{
    AnchorConfig, BatchNormConfig, ExtraLevels, FpnConfig, GroupNormConfig, HeadConfig,
    ResNetConfig, ResNetDepth, RetinaNet, RetinaNetConfig, expected_tensors,
};
use retinanet::ops::Level;

/// The golden script's `values`.
fn values(name: &str) -> impl Iterator<Item = i64> {
    let hash = name.bytes().fold(0xCBF2_9CE4_8422_2325u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01B3)
    });
    (1u64..).map(move |index| {
        let z = hash.wrapping_add(index.wrapping_mul(0x9E37_79B9_7F4A_7C15));
        let z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        ((z ^ (z >> 31)) >> 52) as i64 * 2 - 4095
    })
}

/// The golden script's `tensor`, times 2^`shift`.
fn tensor(name: &str, shape: &[usize], shift: i32) -> Tensor {
    let fan_in: usize = shape[1..].iter().product();
    let (centre, exponent) = if shape.len() == 4 {
        (0.0, -11 - (usize::BITS - fan_in.leading_zeros()) as i32 / 2)
    } else if name.ends_with("running_var") || name.ends_with("weight") {
        (1.0, -13)
    } else {
        (0.0, -14)
    };
    let scale = f64::from_bits(((1023 + i64::from(exponent + shift)) as u64) << 52);
    let values = values(name).map(|value| (centre + value as f64 * scale) as f32);
    let values: Vec<f32> = values.take(shape.iter().product()).collect();
    Tensor::from_vec(values, shape, &Device::Cpu).unwrap()
}

/// Names and shapes.
type Asked = BTreeSet<(String, Vec<usize>)>;

/// Makes each tensor from its name and remembers who was asked for.
#[derive(Default)]
struct Generated {
    asked: Arc<Mutex<Asked>>,
}

impl SimpleBackend for Generated {
    fn get(&self, s: Shape, name: &str, _: Init, _: DType, _: &Device) -> Result<Tensor> {
        let asked = (name.to_owned(), s.dims().to_vec());
        assert!(self.asked.lock().unwrap().insert(asked), "{name} is read twice");
        Ok(tensor(name, s.dims(), 0))
    }

    fn get_unchecked(&self, name: &str, _: DType, _: &Device) -> Result<Tensor> {
        panic!("{name} is asked for without its shape")
    }

    fn contains_tensor(&self, _: &str) -> bool {
        true
    }
}

fn config(
    (depth, layers, batch_norm): (ResNetDepth, &[usize], BatchNormConfig),
    (out_channels, extra_levels): (usize, ExtraLevels),
    (anchors, num_classes): (usize, usize),
    groups: Option<usize>,
) -> RetinaNetConfig {
    let levels = layers.len() + extra_levels.count();
    let mut config = RetinaNetConfig::resnet50_fpn_v2();
    config.backbone = ResNetConfig { depth, returned_layers: layers.to_vec(), batch_norm };
    config.fpn = FpnConfig { out_channels, extra_levels };
    config.head = HeadConfig {
        num_convs: 4,
        group_norm: groups.map(|groups| GroupNormConfig { groups, eps: 1e-5 }),
    };
    config.anchors = AnchorConfig {
        sizes: vec![vec![16.0; anchors]; levels],
        aspect_ratios: vec![vec![1.0]; levels],
    };
    config.num_classes = num_classes;
    config
}

fn pool() -> RetinaNetConfig {
    let backbone = (ResNetDepth::ResNet18, &[1, 2][..], BatchNormConfig::FROZEN_EPS_0);
    config(backbone, (12, ExtraLevels::MaxPool), (2, 3), Some(4))
}

fn pyramid() -> RetinaNetConfig {
    let backbone = (ResNetDepth::ResNet50, &[1, 2][..], BatchNormConfig::PLAIN);
    config(backbone, (16, ExtraLevels::P6P7FromPyramid), (3, 2), None)
}

fn backbone() -> RetinaNetConfig {
    let backbone = (ResNetDepth::ResNet34, &[2][..], BatchNormConfig::PLAIN);
    config(backbone, (12, ExtraLevels::P6P7FromBackbone), (1, 1), Some(3))
}

fn build(config: &RetinaNetConfig, level: Level) -> RetinaNet {
    let backend = Generated::default();
    let asked = Arc::clone(&backend.asked);
    let vb = VarBuilder::from_backend(Box::new(backend), DType::F32, Device::Cpu);
    let model = RetinaNet::with_level(config, level, vb).unwrap();
    let expected: BTreeSet<_> = expected_tensors(config).unwrap().into_iter().collect();
    assert_eq!(*asked.lock().unwrap(), expected, "what is read is what is expected");
    model
}

fn close(name: &str, ours: &Tensor) {
    let golden = include_bytes!("../golden/small_forward.safetensors");
    let golden = candle_core::safetensors::load_buffer(golden, &Device::Cpu).unwrap();
    let theirs = &golden[name];
    assert_eq!(ours.dims(), theirs.dims(), "{name}");
    let flat = |tensor: &Tensor| -> Vec<f32> { tensor.flatten_all().unwrap().to_vec1().unwrap() };
    let (ours, theirs) = (flat(ours), flat(theirs));
    let largest = theirs.iter().fold(0f32, |max, v| if v.abs() > max { v.abs() } else { max });
    for (index, (a, b)) in ours.iter().zip(&theirs).enumerate() {
        let difference = (a - b).abs();
        assert!(difference <= 1e-4 * largest, "{name}[{index}]: {a} and torchvision {b}");
    }
}

fn bits(tensor: &Tensor) -> Vec<u32> {
    let values: Vec<f32> = tensor.flatten_all().unwrap().to_vec1().unwrap();
    values.into_iter().map(f32::to_bits).collect()
}

/// Compares the first image with torchvision and both with themselves alone.
fn check(name: &str, config: &RetinaNetConfig, [h, w]: [usize; 2]) {
    let model = build(config, Level::best());
    let images = tensor(&format!("images.{name}"), &[2, 3, h, w], 4);
    let output = model.forward(&images).unwrap();
    assert_eq!(output.input_size, [h, w]);
    let (logits, boxes) = output.flattened().unwrap();
    close(&format!("{name}.cls_logits"), &logits.get(0).unwrap());
    close(&format!("{name}.bbox_regression"), &boxes.get(0).unwrap());
    let anchors = model.anchors([h, w], &output.grid_sizes()).unwrap();
    let count: usize = anchors.iter().map(|level| level.len()).sum();
    assert_eq!(count, logits.dims()[1]);
    for index in 0..2 {
        let alone = model.forward(&images.narrow(0, index, 1).unwrap()).unwrap();
        let (alone, _) = alone.flattened().unwrap();
        assert_eq!(bits(&alone), bits(&logits.get(index).unwrap()), "image {index}");
    }
}

#[test]
fn frozen_norms_max_pool_and_group_norm_heads_match_torchvision() {
    check("pool", &pool(), [37, 53]);
}

#[test]
fn bottlenecks_p6_from_the_pyramid_and_plain_heads_match_torchvision() {
    check("pyramid", &pyramid(), [45, 61]);
}

#[test]
fn a_single_stage_and_p6_from_the_backbone_match_torchvision() {
    check("backbone", &backbone(), [33, 70]);
}

#[test]
fn every_cpu_level_gives_the_same_bits() {
    let images = tensor("images.pool", &[1, 3, 37, 53], 4);
    let answers = Level::available().iter().map(|&level| {
        let output = build(&pool(), level).forward(&images).unwrap();
        let (logits, boxes) = output.flattened().unwrap();
        (level.name(), bits(&logits), bits(&boxes))
    });
    let answers: Vec<_> = answers.collect();
    for (name, logits, boxes) in &answers {
        assert_eq!(logits, &answers[0].1, "{name}");
        assert_eq!(boxes, &answers[0].2, "{name}");
    }
}

#[test]
fn feature_maps_are_named_by_their_stride() {
    let model = build(&pool(), Level::best());
    let images = tensor("images.pool", &[1, 3, 37, 53], 4);
    let features = model.features(&images).unwrap();
    let names: Vec<&str> = features.pyramid.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["P2", "P3", "P4"]);
    assert_eq!(features.get("C3").unwrap().dims(), [1, 128, 5, 7]);
    assert_eq!(features.get("P4").unwrap().dims(), [1, 12, 3, 4]);
    assert!(features.get("C4").is_none());
}

#[test]
fn images_of_another_shape_or_dtype_are_refused() {
    let model = build(&backbone(), Level::best());
    let refuse = |shape: &[usize], dtype| {
        let images = Tensor::zeros(shape, dtype, &Device::Cpu).unwrap();
        model.forward(&images).unwrap_err().to_string()
    };
    assert!(refuse(&[1, 4, 32, 32], DType::F32).contains("(N, 3, H, W)"));
    assert!(refuse(&[3, 32, 32], DType::F32).contains("(N, 3, H, W)"));
    assert!(refuse(&[1, 3, 0, 32], DType::F32).contains("at least one pixel"));
    assert!(refuse(&[1, 3, 32, 32], DType::F16).contains("to_dtype"));
}
