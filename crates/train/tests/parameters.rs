//! Parameters: what trains, what they start from, and bad files.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use retinanet::determinism::Determinism;
use retinanet::model::{RetinaNet, RetinaNetConfig, expected_tensors};
use retinanet::weights::{Checkpoint, StoredDtype, TensorData, save_safetensors};
use retinanet_train::architecture::{self, resnet18_c4_fpn_gn};
use retinanet_train::parameters::{Classes, Parameters, Role};

fn seed() -> Determinism {
    Determinism::strict(5)
}

fn bundled() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/assets/person_r18.safetensors")
}

/// Writes tensors of the given names and shapes.
fn write(path: &Path, tensors: &[(String, Vec<usize>)], value: f32) {
    let bytes: Vec<Vec<u8>> = tensors
        .iter()
        .map(|(_, shape)| value.to_le_bytes().repeat(shape.iter().product()))
        .collect();
    let data: Vec<TensorData<'_>> = tensors
        .iter()
        .zip(&bytes)
        .map(|((name, shape), bytes)| TensorData { name, dtype: StoredDtype::F32, shape, bytes })
        .collect();
    save_safetensors(path, &data, &BTreeMap::new()).unwrap();
}

fn backbone(config: &RetinaNetConfig) -> Vec<(String, Vec<usize>)> {
    let tensors = expected_tensors(config).unwrap().into_iter();
    tensors
        .filter_map(|(name, shape)| Some((name.strip_prefix("backbone.body.")?.to_owned(), shape)))
        .collect()
}

#[test]
fn the_small_architecture_is_the_bundled_checkpoints() {
    let checkpoint = Checkpoint::open(bundled()).unwrap();
    let mut config = RetinaNetConfig::from_json(&checkpoint.metadata()["config"]).unwrap();
    config.categories = None;
    assert_eq!(config, resnet18_c4_fpn_gn(2));
    for name in architecture::NAMES {
        let config = architecture::by_name(name, 3).unwrap();
        assert_eq!(config.num_classes, 3);
        config.validate().unwrap();
    }
    assert_eq!(architecture::by_name("yolo", 3), None);
}

#[test]
fn trainable_layers_are_torchvisions() {
    let trains = |config: &RetinaNetConfig, layers| {
        let parameters = Parameters::initialised(config, layers, &seed()).unwrap();
        let names = parameters.trainable().map(|tensor| tensor.name().to_owned());
        names.collect::<Vec<String>>()
    };
    let mut config = resnet18_c4_fpn_gn(2);
    config.fpn.out_channels = 32;
    let without = trains(&config, 0);
    assert!(without.iter().all(|name| !name.starts_with("backbone.body.")));
    // layer4 does not exist: the first place is its all the same.
    assert_eq!(trains(&config, 1), without);
    let body = |layers| {
        let names = trains(&config, layers).into_iter();
        let parts = names.filter_map(|name| {
            Some(name.strip_prefix("backbone.body.")?.split('.').next()?.to_owned())
        });
        let mut parts: Vec<String> = parts.collect();
        parts.dedup();
        parts
    };
    assert_eq!(body(2), ["layer3"]);
    assert_eq!(body(3), ["layer2", "layer3"]);
    assert_eq!(body(4), ["layer1", "layer2", "layer3"]);
    assert_eq!(body(5), ["conv1", "layer1", "layer2", "layer3"]);
    let error = Parameters::initialised(&config, 6, &seed()).unwrap_err().to_string();
    assert!(error.contains("`trainable_layers` is 6; expected 0 to 5"), "{error}");
}

#[test]
fn batch_norm_never_trains_and_every_tensor_has_its_role() {
    let mut config = architecture::by_name("retinanet_resnet50_fpn_v2", 2).unwrap();
    config.fpn.out_channels = 32;
    let parameters = Parameters::initialised(&config, 5, &seed()).unwrap();
    let role = |name: &str| {
        let tensor = parameters.get(name).unwrap();
        (tensor.role(), tensor.trains(), tensor.is_backbone())
    };
    assert_eq!(role("backbone.body.conv1.weight"), (Role::Matrix, true, true));
    for of_norm in ["weight", "bias", "running_mean", "running_var"] {
        let name = format!("backbone.body.layer4.0.bn1.{of_norm}");
        assert_eq!(role(&name), (Role::BatchNorm, false, true));
        let name = format!("backbone.body.layer2.0.downsample.1.{of_norm}");
        assert_eq!(role(&name), (Role::BatchNorm, false, true));
    }
    assert_eq!(role("backbone.fpn.inner_blocks.0.0.bias"), (Role::Bias, true, false));
    assert_eq!(role("backbone.fpn.extra_blocks.p6.weight"), (Role::Matrix, true, false));
    assert_eq!(role("head.classification_head.conv.0.1.weight"), (Role::Norm, true, false));
    assert_eq!(role("head.classification_head.conv.0.1.bias"), (Role::Norm, true, false));
    assert_eq!(role("head.regression_head.bbox_reg.bias"), (Role::Bias, true, false));
    let v1 = architecture::by_name("retinanet_resnet50_fpn", 2).unwrap();
    let v1 = Parameters::initialised(&v1, 0, &seed()).unwrap();
    let bias = v1.get("head.classification_head.conv.0.0.bias").unwrap();
    assert_eq!(bias.role(), Role::Bias);
}

#[test]
fn the_network_is_built_from_them() {
    let config = resnet18_c4_fpn_gn(2);
    let parameters = Parameters::initialised(&config, 3, &seed()).unwrap();
    let names: Vec<&str> = parameters.tensors().iter().map(|tensor| tensor.name()).collect();
    let expected = expected_tensors(&config).unwrap();
    assert_eq!(names, expected.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>());
    RetinaNet::new(&config, &parameters).unwrap();
    // Another model asks for what is not there.
    let other = resnet18_c4_fpn_gn(3);
    let error = RetinaNet::new(&other, &parameters).unwrap_err().to_string();
    assert!(error.contains("cls_logits.weight\" has shape [18, 128, 3, 3]"), "{error}");
    // What a network fills from the same seed is the same.
    let logits = parameters.get("head.classification_head.cls_logits.bias").unwrap();
    assert!(logits.values().iter().all(|bias| (bias + 4.595_12).abs() < 1e-5));
}

#[test]
fn a_backbone_alone_starts_a_model() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("backbone.safetensors");
    let config = resnet18_c4_fpn_gn(2);
    let mut tensors = backbone(&config);
    tensors.push(("fc.weight".to_owned(), vec![10, 512]));
    tensors.push(("layer4.0.conv1.weight".to_owned(), vec![512, 256, 3, 3]));
    tensors.push(("bn1.num_batches_tracked".to_owned(), vec![]));
    write(&path, &tensors, 0.5);
    let start = || Parameters::from_backbone(&config, 3, &seed(), &path);
    let (parameters, origin) = start().unwrap();
    assert_eq!(origin.left_out.len(), 3);
    assert!(origin.initialised.iter().all(|name| !name.starts_with("backbone.body.")));
    assert!(origin.initialised.contains(&"backbone.fpn.inner_blocks.0.0.weight".to_owned()));
    let fresh = Parameters::initialised(&config, 3, &seed()).unwrap();
    for (tensor, fresh) in parameters.tensors().iter().zip(fresh.tensors()) {
        if tensor.is_backbone() {
            assert!(tensor.values().iter().all(|value| *value == 0.5), "{}", tensor.name());
        } else {
            assert_eq!(tensor, fresh);
        }
    }
    // The longer names are the same file.
    for tensor in &mut tensors {
        tensor.0.insert_str(0, "backbone.body.");
    }
    write(&path, &tensors, 0.5);
    assert_eq!(start().unwrap().0, parameters);
}

#[test]
fn what_is_wrong_with_a_backbone_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("backbone.safetensors");
    let config = resnet18_c4_fpn_gn(2);
    let mut tensors = backbone(&config);
    tensors.retain(|(name, _)| name != "layer1.0.conv1.weight");
    let conv1 = tensors.iter_mut().find(|(name, _)| name == "conv1.weight").unwrap();
    conv1.1 = vec![64, 1, 7, 7];
    tensors.push(("layer2.9.conv1.weight".to_owned(), vec![1]));
    write(&path, &tensors, 0.5);
    let error = Parameters::from_backbone(&config, 3, &seed(), &path).unwrap_err().to_string();
    for part in [
        "backbone.safetensors",
        "1 missing: \"backbone.body.layer1.0.conv1.weight\"",
        "1 unexpected: \"backbone.body.layer2.9.conv1.weight\"",
        "\"backbone.body.conv1.weight\" is [64, 1, 7, 7] but must be [64, 3, 7, 7]",
    ] {
        assert!(error.contains(part), "{error}");
    }
    // A whole detector is not taken for a backbone.
    let error = Parameters::from_backbone(&config, 3, &seed(), bundled()).unwrap_err().to_string();
    assert!(error.contains("unexpected") && error.contains("give a whole detector"), "{error}");
    let none = folder.path().join("none.safetensors");
    let error = Parameters::from_backbone(&config, 3, &seed(), none).unwrap_err().to_string();
    assert!(error.contains("none.safetensors"), "{error}");
}

#[test]
fn new_classes_replace_the_logits_and_nothing_else() {
    let checkpoint = Checkpoint::open(bundled()).unwrap();
    let start = |classes: usize, kind| {
        let config = resnet18_c4_fpn_gn(classes);
        Parameters::from_checkpoint(&config, 3, &seed(), checkpoint.clone(), kind)
    };
    let (same, origin) = start(2, Classes::Kept).unwrap();
    assert!(origin.initialised.is_empty());
    let first = &same.tensors()[0];
    assert_eq!(first.values(), checkpoint.tensor_f32(first.name()).unwrap());
    let logits =
        ["weight", "bias"].map(|part| format!("head.classification_head.cls_logits.{part}"));
    for classes in [2, 5] {
        let (new, origin) = start(classes, Classes::New).unwrap();
        assert_eq!(origin.initialised, logits);
        for (new, same) in new.tensors().iter().zip(same.tensors()) {
            assert_eq!(new == same, !logits.contains(&new.name().to_owned()), "{}", new.name());
        }
    }
    let error = start(5, Classes::Kept).unwrap_err().to_string();
    assert!(error.contains("The file has 2 classes"), "{error}");
}

#[test]
fn other_values_must_fit() {
    let config = resnet18_c4_fpn_gn(2);
    let parameters = Parameters::initialised(&config, 0, &seed()).unwrap();
    let mut values: Vec<Vec<f32>> =
        parameters.trainable().map(|tensor| vec![0.25; tensor.values().len()]).collect();
    let other = parameters.with_trainable(&values).unwrap();
    for (one, other) in parameters.tensors().iter().zip(other.tensors()) {
        if one.trains() {
            assert!(other.values().iter().all(|value| *value == 0.25));
        } else {
            assert_eq!(one, other);
        }
    }
    values[0].pop();
    assert!(parameters.with_trainable(&values).is_err());
    values.pop();
    assert!(parameters.with_trainable(&values).is_err());
}
