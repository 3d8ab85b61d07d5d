//! Gradients through whole networks.

use std::collections::HashMap;

use candle_core::backprop::GradStore;
use candle_core::{DType, Device, Tensor, Var};
use candle_nn::{VarBuilder, VarMap};
use retinanet::candle::vars_in_name_order;
use retinanet::determinism::Determinism;
use retinanet::model::{
    AnchorConfig, BatchNormConfig, ExtraLevels, FpnConfig, GroupNormConfig, HeadConfig,
    ResNetConfig, ResNetDepth, RetinaNet, RetinaNetConfig, tensor_specs,
};
use retinanet::ops::Level;
use retinanet::training::{Memory, TrainableNetwork};
use retinanet::{Detector, Image};

use crate::{assert_same_bits, list, of, relative, same_everywhere, tensor, values, var};

pub fn config(frozen: bool, extra_levels: ExtraLevels) -> RetinaNetConfig {
    let levels = 2 + extra_levels.count();
    let mut config = RetinaNetConfig::resnet50_fpn_v2();
    config.backbone = ResNetConfig {
        depth: ResNetDepth::ResNet18,
        returned_layers: vec![1, 2],
        batch_norm: BatchNormConfig { frozen, eps: 1e-5 },
    };
    config.fpn = FpnConfig { out_channels: 20, extra_levels };
    let group_norm = Some(GroupNormConfig { groups: 4, eps: 1e-5 });
    config.head = HeadConfig { num_convs: 1, group_norm };
    config.anchors = AnchorConfig {
        sizes: vec![vec![16.0, 24.0]; levels],
        aspect_ratios: vec![vec![1.0]; levels],
    };
    config.num_classes = 2;
    config
}

/// A network of variables from a seed, its batch norms unlike those of a new one.
pub fn variables(config: &RetinaNetConfig) -> (VarMap, RetinaNet) {
    let variables = VarMap::new();
    let vb =
        Determinism::strict(7).trainable_var_builder(&variables, DType::F32, &Device::Cpu).unwrap();
    let model = RetinaNet::new(config, vb).unwrap();
    for (seed, (name, var)) in (100..).zip(vars_in_name_order(&variables)) {
        if name.contains(".bn") || name.contains("downsample.1") {
            let small: Vec<f32> = values(seed, var.elem_count()).iter().map(|v| v * 0.2).collect();
            let small = Tensor::from_vec(small, var.shape(), &Device::Cpu).unwrap();
            var.set(&(var.as_tensor() + small).unwrap()).unwrap();
        }
    }
    (variables, model)
}

fn tensors(variables: &VarMap, trains: impl Fn(&str) -> bool) -> HashMap<String, Tensor> {
    let vars = vars_in_name_order(variables).into_iter();
    let tensors = vars.map(|(name, var)| {
        let tensor = if trains(&name) { var.as_tensor().clone() } else { var.as_detached_tensor() };
        (name, tensor)
    });
    tensors.collect()
}

fn built(config: &RetinaNetConfig, tensors: HashMap<String, Tensor>) -> RetinaNet {
    RetinaNet::new(config, VarBuilder::from_tensors(tensors, DType::F32, &Device::Cpu)).unwrap()
}

/// Gradients of a loss that is linear in the answer.
fn gradients(model: &RetinaNet, images: &Tensor) -> GradStore {
    let (logits, boxes) = model.forward(images).unwrap().flattened().unwrap();
    let loss = |values: &Tensor, seed| {
        let n = values.dims()[0];
        // The same for each image, so that a batch can be compared with its images.
        let one = tensor(seed, &values.dims()[1..]);
        let all = Tensor::stack(&vec![one; n], 0).unwrap();
        (values * all).unwrap().sum_all().unwrap()
    };
    (loss(&logits, 1) + loss(&boxes, 2)).unwrap().backward().unwrap()
}

#[test]
fn a_network_of_variables_is_that_of_its_values() {
    let config = config(false, ExtraLevels::P6P7FromPyramid);
    let (variables, model) = variables(&config);
    let constant = built(&config, tensors(&variables, |_| false));
    let packed = model.clone().packed().unwrap();
    let images = var(1, &[2, 3, 61, 75]);
    let answer = |model: &RetinaNet| {
        let (logits, boxes) = model.forward(&images).unwrap().flattened().unwrap();
        [list(&logits), list(&boxes)].concat()
    };
    let expected = answer(&constant);
    assert_same_bits(&answer(&model), &expected, "variables");
    assert_same_bits(&answer(&packed), &expected, "packed");
    let expected = of(&gradients(&constant, &images), &images);
    assert_same_bits(&of(&gradients(&model, &images), &images), &expected, "variables");
    assert_same_bits(&of(&gradients(&packed, &images), &images), &expected, "packed");
    // Each image's gradient is the one it has alone.
    let alone: Vec<f32> = (0..2)
        .flat_map(|i| {
            let one = Var::from_tensor(&images.narrow(0, i, 1).unwrap()).unwrap();
            of(&gradients(&constant, &one), &one)
        })
        .collect();
    assert_same_bits(&alone, &expected, "alone");
}

#[test]
fn gradients_are_the_same_everywhere_and_near_those_of_the_tape() {
    for extra in [ExtraLevels::P6P7FromBackbone, ExtraLevels::MaxPool] {
        let config = config(false, extra);
        let (variables, _) = variables(&config);
        let map = tensors(&variables, |_| true);
        let specs = tensor_specs(&config).unwrap();
        let names: Vec<String> = specs
            .iter()
            .filter(|spec| spec.is_parameter)
            .map(|spec| spec.name.clone())
            .filter(|name| !name.contains(".bn") && !name.contains("downsample.1"))
            .collect();
        let images = tensor(1, &[1, 3, 61, 75]);
        let ours = same_everywhere(|level| {
            let vb = VarBuilder::from_tensors(map.clone(), DType::F32, &Device::Cpu);
            let model = RetinaNet::with_level(&config, level, vb).unwrap();
            let gradients = gradients(&model, &images);
            names.iter().flat_map(|name| of(&gradients, &map[name])).collect()
        });

        let vb = VarBuilder::from_tensors(map.clone(), DType::F32, &Device::Cpu);
        let level = Level::from_env().unwrap();
        let network = TrainableNetwork::new(&config, level, &vb, &names).unwrap();
        let mut memory = Memory::default();
        let forward = network.forward(&mut memory, &list(&images), [61, 75]).unwrap();
        let (logits, boxes) = (forward.logits().len(), forward.regression().len());
        let by_boxes = values(2, boxes * 4);
        let tape = forward.backward(&values(1, logits), by_boxes.as_chunks().0).unwrap();
        let mut rest = &ours[..];
        for (name, expected) in names.iter().zip(&tape) {
            let (own, others) = rest.split_at(expected.len());
            rest = others;
            let difference = relative(own, expected);
            assert!(difference < 2e-5, "{name}: {difference:e}");
        }
        assert!(rest.is_empty());
    }
}

#[test]
fn parameters_have_gradients_and_buffers_have_none() {
    for frozen in [false, true] {
        let config = config(frozen, ExtraLevels::None);
        let (variables, model) = variables(&config);
        let gradients = gradients(&model, &tensor(1, &[1, 3, 61, 75]));
        let vars: HashMap<String, Var> = vars_in_name_order(&variables).into_iter().collect();
        let specs = tensor_specs(&config).unwrap();
        assert_eq!(specs.len(), vars.len());
        for spec in &specs {
            let gradient = gradients.get(&vars[&spec.name]);
            assert_eq!(gradient.is_some(), spec.is_parameter, "{}", spec.name);
            if let Some(gradient) = gradient {
                assert_eq!(gradient.dims(), spec.shape);
                assert!(list(gradient).iter().any(|value| *value != 0.0), "{}", spec.name);
            }
        }
    }
}

/// With W' = W * s and b' = beta - mean * s, where s = gamma / deviation, and g and h their gradients:
/// deviation * (gradient of gamma) + mean * h is the sum of g * W, which is that of (gradient of W) * W / s.
#[test]
fn a_batch_norms_gradients_belong_to_its_convolutions() {
    let config = config(false, ExtraLevels::None);
    let (variables, model) = variables(&config);
    let gradients = gradients(&model, &tensor(1, &[2, 3, 61, 75]));
    let vars: HashMap<String, Var> = vars_in_name_order(&variables).into_iter().collect();
    for (conv, norm) in [
        ("conv1", "bn1"),
        ("layer1.1.conv2", "layer1.1.bn2"),
        ("layer2.0.downsample.0", "layer2.0.downsample.1"),
    ] {
        let var = |name: &str| &vars[&format!("backbone.body.{name}")];
        let weight = var(&format!("{conv}.weight"));
        let [gamma, beta, mean, variance] = ["weight", "bias", "running_mean", "running_var"]
            .map(|part| var(&format!("{norm}.{part}")));
        let (of_gamma, of_beta) = (of(&gradients, gamma), of(&gradients, beta));
        let (weights, of_weights) = (list(weight), of(&gradients, weight));
        let taps = weights.len() / of_gamma.len();
        let (mut left, mut right) = (Vec::new(), Vec::new());
        for (c, (gamma, (mean, variance))) in
            list(gamma).iter().zip(list(mean).iter().zip(list(variance))).enumerate()
        {
            let deviation = (f64::from(variance) + 1e-5).sqrt();
            left.push(
                (deviation * f64::from(of_gamma[c]) + f64::from(of_beta[c]) * f64::from(*mean))
                    as f32,
            );
            let pairs = weights[c * taps..][..taps].iter().zip(&of_weights[c * taps..]);
            let sum: f64 = pairs.map(|(w, g)| f64::from(*w) * f64::from(*g)).sum();
            right.push((sum * deviation / f64::from(*gamma)) as f32);
        }
        assert!(relative(&left, &right) < 1e-5, "{conv}");
    }
}

#[test]
fn only_variables_train_and_the_rest_stays_packed() {
    let config = config(true, ExtraLevels::None);
    let (variables, model) = variables(&config);
    let head = |name: &str| name.starts_with("head.classification_head");
    let map = tensors(&variables, head);
    let part = built(&config, map.clone());
    let images = tensor(1, &[2, 3, 61, 75]);
    let (of_all, of_part) = (gradients(&model, &images), gradients(&part, &images));
    for (name, tensor) in &map {
        assert_eq!(of_part.get(tensor).is_some(), head(name), "{name}");
    }
    for (name, var) in vars_in_name_order(&variables).iter().filter(|(name, _)| head(name)) {
        assert_same_bits(&of(&of_part, var), &of(&of_all, var), name);
    }
}

#[test]
fn a_network_whose_weights_were_not_kept_says_so() {
    let config = config(false, ExtraLevels::None);
    let model = RetinaNet::new(&config, Determinism::strict(7)).unwrap();
    let images = var(1, &[1, 3, 61, 75]);
    let output = model.forward(&images).unwrap();
    let error = output.cls_logits[0].sum_all().unwrap().backward().unwrap_err().to_string();
    assert!(error.contains("build it from a `VarBuilder`"), "{error}");
}

#[test]
fn a_detector_takes_the_values_that_the_variables_have() {
    let config = config(false, ExtraLevels::None);
    let (variables, model) = variables(&config);
    let image = Image::from_rgb8(64, 48, (0..64 * 48 * 3).map(|i| (i * 31 % 251) as u8).collect());
    let image = image.unwrap();
    let found = |model: RetinaNet| {
        let builder = Detector::builder().score_threshold(0.001);
        builder.build_with_model(model).unwrap().detect(&image).unwrap()
    };
    let before = found(model.clone());
    for (name, var) in vars_in_name_order(&variables) {
        if name.starts_with("head") {
            var.set(&(var.as_tensor() * 1.5).unwrap()).unwrap();
        }
    }
    let after = found(model);
    assert_ne!(after, before);
    assert_eq!(after, found(built(&config, tensors(&variables, |_| false))));
}
