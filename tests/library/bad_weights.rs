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
    let parts = ["1 category names", "a model of 2 classes", "put `__background__` in front"];
    refused(builder().categories(names), &parts);
    let names = retinanet::labels::Categories::unnamed(3).unwrap();
    refused(builder().categories(names), &["3 category names", "leave it out"]);
}

#[test]
fn an_eps_that_is_none_or_contradicts_the_file_is_refused() {
    for eps in [-1e-5, 1.0, f64::NAN, f64::INFINITY] {
        let parts = ["batch_norm_eps is", "at least 0 and less than 1"];
        refused(builder().batch_norm_eps(eps), &parts);
    }
    let parts = ["person_r18.safetensors", "stated as 1e-5", "its own configuration says 0.0"];
    refused(builder().batch_norm_eps(1e-5), &parts);
    builder().batch_norm_eps(0.0).build().unwrap();
    let checkpoint = Checkpoint::open(WEIGHTS).unwrap();
    let config = RetinaNetConfig::from_json(&checkpoint.metadata()["config"]).unwrap();
    let parts = ["stated as 1e-5", "the configuration given says 0.0"];
    refused(builder().config(config).batch_norm_eps(1e-5), &parts);
    // Also in the form in which converted files have it.
    let folder = tempfile::tempdir().unwrap();
    let converted = folder.path().join("converted.safetensors");
    builder().save_weights(&converted).unwrap();
    let parts = ["converted.safetensors", "its own configuration says 0.0"];
    refused(Detector::builder().weights(&converted).batch_norm_eps(0.5), &parts);
}

#[test]
fn nothing_is_written_where_the_weights_do_not_fit() {
    let folder = tempfile::tempdir().unwrap();
    let output = folder.path().join("out.safetensors");
    let damaged = edited(folder.path(), "missing.safetensors", |tensors| {
        tensors.remove(BIAS).unwrap();
    });
    let names = || retinanet::labels::Categories::unnamed(2).unwrap();
    for (builder, part) in [
        (builder().weights(&damaged), "1 missing"),
        (builder().config(RetinaNetConfig::resnet50_fpn_v2()), "194 missing"),
        (builder().categories(names()).score_threshold(f64::NAN), "score_thresh"),
    ] {
        let error = builder.save_weights(&output).unwrap_err().to_string();
        assert!(error.contains(part), "{error}");
        assert!(!output.exists());
    }
}

#[test]
fn retinanets_of_other_frameworks_are_refused_by_name() {
    let folder = tempfile::tempdir().unwrap();
    // Names as `state_dict()` gives them there, and the shapes of 80 classes.
    let detectron2: [(&str, &[usize]); 6] = [
        ("backbone.bottom_up.stem.conv1.weight", &[64, 3, 7, 7]),
        ("backbone.fpn_lateral3.weight", &[256, 512, 1, 1]),
        ("backbone.top_block.p6.weight", &[256, 2048, 3, 3]),
        ("head.cls_subnet.0.weight", &[256, 256, 3, 3]),
        ("head.cls_score.bias", &[720]),
        ("head.bbox_pred.bias", &[36]),
    ];
    let mmdetection: [(&str, &[usize]); 6] = [
        ("backbone.conv1.weight", &[64, 3, 7, 7]),
        ("neck.lateral_convs.0.conv.weight", &[256, 512, 1, 1]),
        ("neck.fpn_convs.3.conv.weight", &[256, 2048, 3, 3]),
        ("bbox_head.cls_convs.0.conv.weight", &[256, 256, 3, 3]),
        ("bbox_head.retina_cls.weight", &[720, 256, 3, 3]),
        ("bbox_head.retina_reg.bias", &[36]),
    ];
    for (framework, tensors, difference) in
        [("detectron2", detectron2, "BGR"), ("mmdetection", mmdetection, "not rounded")]
    {
        for prefix in ["", "module."] {
            let path = folder.path().join(format!("{framework}.safetensors"));
            let zeros = vec![0; 4 * 256 * 2048 * 9];
            let named = tensors.map(|(name, shape)| (format!("{prefix}{name}"), shape));
            let views = named.each_ref().map(|(name, shape)| TensorData {
                name,
                dtype: StoredDtype::F32,
                shape,
                bytes: &zeros[..4 * shape.iter().product::<usize>()],
            });
            save_safetensors(&path, &views, &BTreeMap::new()).unwrap();
            let checkpoint = Checkpoint::open(&path).unwrap();
            let identity = checkpoint.identity().to_string();
            assert!(identity.contains(&format!("a RetinaNet of {framework}")), "{identity}");
            assert_eq!(checkpoint.naming().to_string(), "not recognised");
            let parts = [
                &format!("{framework}.safetensors\" is a RetinaNet of {framework}"),
                difference,
                "so it is not loaded",
                &format!("Run it with {framework}"),
            ];
            refused(builder().weights(&path), &parts);
            // Whatever else is said about it.
            let config = RetinaNetConfig::resnet50_fpn_v2();
            refused(builder().weights(&path).config(config), &parts);
            let v1 = Architecture::RetinanetResnet50Fpn;
            refused(builder().weights(&path).architecture(v1).batch_norm_eps(0.0), &parts);
        }
    }
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
