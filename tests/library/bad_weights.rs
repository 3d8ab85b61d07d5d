//! What a user is told about weights that cannot be used.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use retinanet::model::RetinaNetConfig;
use retinanet::weights::{Architecture, Checkpoint, StoredDtype, TensorData, save_safetensors};
use retinanet::{Detector, DetectorBuilder};
use retinanet_examples::WEIGHTS;
use retinanet_tests::demo::builder;

#[track_caller]
fn refused(builder: DetectorBuilder, parts: &[&str]) {
    let message = builder.build().expect_err("a refusal").to_string();
    for part in parts {
        assert!(message.contains(part), "no {part:?} in {message}");
    }
    assert!(!message.contains(|c: char| c.is_control() && c != '\n'), "{message:?}");
}

/// Name to shape and f16 bits.
type Tensors = BTreeMap<String, (Vec<usize>, Vec<u8>)>;

/// A copy of the bundled checkpoint, changed by `edit`.
fn edited(folder: &Path, name: &str, edit: impl FnOnce(&mut Tensors)) -> PathBuf {
    let bytes = std::fs::read(WEIGHTS).unwrap();
    let metadata = Checkpoint::open(WEIGHTS).unwrap().metadata().clone();
    let file = safetensors::SafeTensors::deserialize(&bytes).unwrap();
    let copy = |(name, view): (String, safetensors::tensor::TensorView<'_>)| {
        assert_eq!(view.dtype(), safetensors::Dtype::F16);
        (name, (view.shape().to_vec(), view.data().to_vec()))
    };
    let mut tensors: Tensors = file.tensors().into_iter().map(copy).collect();
    edit(&mut tensors);
    let dtype = StoredDtype::F16;
    let views =
        tensors.iter().map(|(name, (shape, bytes))| TensorData { name, dtype, shape, bytes });
    let path = folder.join(name);
    save_safetensors(&path, &views.collect::<Vec<_>>(), &metadata).unwrap();
    path
}

const BIAS: &str = "head.classification_head.cls_logits.bias";

#[test]
fn tensors_that_are_missing_unexpected_or_mis_shaped_are_listed() {
    let folder = tempfile::tempdir().unwrap();
    let path = edited(folder.path(), "missing.safetensors", |tensors| {
        tensors.remove(BIAS).unwrap();
    });
    refused(builder().weights(path), &["missing.safetensors", "1 missing", BIAS, "[18]"]);
    let path = edited(folder.path(), "renamed.safetensors", |tensors| {
        let tensor = tensors.remove(BIAS).unwrap();
        tensors.insert("head.classification_head.cls_logit.bias".into(), tensor);
    });
    let parts =
        ["1 missing", "1 unexpected", "similar: \"head.classification_head.cls_logit.bias\""];
    refused(builder().weights(path), &parts);
    let path = edited(folder.path(), "extra.safetensors", |tensors| {
        tensors.insert("mask_head.weight".into(), (vec![2], vec![0; 4]));
    });
    refused(
        builder().weights(path),
        &["extra.safetensors", "1 unexpected: \"mask_head.weight\" [2]"],
    );
    let path = edited(folder.path(), "shape.safetensors", |tensors| {
        tensors.get_mut(BIAS).unwrap().0 = vec![9, 2];
    });
    refused(builder().weights(path), &["1 mis-shaped", BIAS, "is [9, 2] but must be [18]"]);
}

#[test]
fn weights_that_are_not_numbers_are_named() {
    let folder = tempfile::tempdir().unwrap();
    let path = edited(folder.path(), "nan.safetensors", |tensors| {
        tensors.get_mut(BIAS).unwrap().1[6..8].copy_from_slice(&0x7e00u16.to_le_bytes());
    });
    refused(builder().weights(path), &["nan.safetensors", BIAS, "holds NaN at index 3"]);
}

#[test]
fn another_architecture_than_the_files_is_refused() {
    for architecture in [Architecture::RetinanetResnet50Fpn, Architecture::RetinanetResnet50FpnV2] {
        let parts = ["person_r18.safetensors", architecture.as_str(), "leave the architecture out"];
        refused(builder().architecture(architecture), &parts);
    }
    refused(
        builder().config(RetinaNetConfig::resnet50_fpn_v2()),
        &["194 missing", "55 mis-shaped", "the model is a retinanet_resnet50_fpn_v2 with 91"],
    );
}

#[test]
fn a_wrong_number_of_classes_or_names_is_refused() {
    let checkpoint = Checkpoint::open(WEIGHTS).unwrap();
    let mut config = RetinaNetConfig::from_json(&checkpoint.metadata()["config"]).unwrap();
    (config.num_classes, config.categories) = (3, None);
    let parts = ["has 2 classes (the background counts), the model 3: set num_classes to 2"];
    refused(builder().config(config), &parts);
    let names = retinanet::labels::Categories::new(["person"]).unwrap();
    refused(builder().categories(names), &["1 category names", "a model of 2 classes"]);
}

#[test]
fn files_that_are_no_checkpoint_are_each_told_apart() {
    let folder = tempfile::tempdir().unwrap();
    let whole = std::fs::read(WEIGHTS).unwrap();
    let mut huge = whole.clone();
    huge[..8].copy_from_slice(&(1u64 << 60).to_le_bytes());
    let file = |name: &str, content: &[u8]| {
        let path = folder.path().join(name);
        std::fs::write(&path, content).unwrap();
        path
    };
    let pth = Path::new(env!("CARGO_MANIFEST_DIR")).join("golden/checkpoints");
    for (path, parts) in [
        (file("cut.safetensors", &whole[..whole.len() / 2]), ["cut.safetensors", "follow"]),
        (file("header.safetensors", &whole[..1000]), ["header.safetensors", "the file has 1000"]),
        (file("huge.safetensors", &huge), ["huge.safetensors", "over the limit of"]),
        (file("empty.safetensors", b""), ["empty.safetensors", "the file is empty"]),
        (file("page.pth", b"<!DOCTYPE html>"), ["page.pth", "web page"]),
        (pth.join("foreign.pth"), ["\"posix.system\"", "nothing was executed"]),
        (pth.join("bad_compressed.pth"), ["bad_compressed.pth", "is compressed"]),
        (folder.path().join("none.safetensors"), ["none.safetensors", "cannot find it"]),
        (folder.path().to_owned(), ["not a regular file", "give the path of a .safetensors"]),
    ] {
        refused(builder().weights(path), &parts);
    }
}

#[test]
fn weights_that_nobody_knows_are_refused_with_the_known_names() {
    refused(Detector::builder(), &["no weights were given", "retinanet_resnet50_fpn_v2.coco_v1"]);
    let parts = ["no file here", "retinanet_resnet50_fpn_v2.coco_v1"];
    refused(builder().weights("retinanet_resnet50_fpn_v2.coco_v2"), &parts);
}

#[test]
fn a_file_that_does_not_describe_itself_asks_for_a_configuration() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("plain.safetensors");
    let bytes = 0f32.to_le_bytes();
    let tensor = TensorData { name: "a", dtype: StoredDtype::F32, shape: &[1], bytes: &bytes };
    save_safetensors(&path, &[tensor], &BTreeMap::new()).unwrap();
    refused(builder().weights(&path), &["plain.safetensors", "give the configuration (`config`)"]);
    let own =
        [("config".to_owned(), r#"{"model": "torchvision.models.detection.SSD"}"#.to_owned())];
    save_safetensors(&path, &[tensor], &own.into()).unwrap();
    refused(
        builder().weights(&path),
        &["plain.safetensors", "its own configuration cannot be used"],
    );
}
