//! Strict loading: what is accepted, and what the refusals say.

use std::collections::BTreeMap;
use std::path::Path;

use retinanet::weights::{
    Checkpoint, ExpectedTensor, IdentifiedAs, Naming, StoredDtype, TensorData, save_safetensors,
};

type Tensor = (String, StoredDtype, Vec<usize>, Vec<u8>);

fn tensor(name: &str, shape: &[usize]) -> Tensor {
    let count: usize = shape.iter().product();
    let bytes = (0..count).flat_map(|i| (i as f32).to_le_bytes()).collect();
    (name.into(), StoredDtype::F32, shape.into(), bytes)
}

fn checkpoint(tensors: &[Tensor], metadata: &[(&str, &str)]) -> Checkpoint {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model.safetensors");
    let metadata = metadata.iter().map(|(k, v)| (k.to_string(), v.to_string())).collect();
    let views: Vec<TensorData<'_>> = tensors
        .iter()
        .map(|(name, dtype, shape, bytes)| TensorData { name, dtype: *dtype, shape, bytes })
        .collect();
    save_safetensors(&path, &views, &metadata).unwrap();
    Checkpoint::open(&path).unwrap()
}

fn expected(tensors: &[(&str, &[usize])]) -> Vec<ExpectedTensor> {
    tensors.iter().map(|(name, shape)| ExpectedTensor::new(*name, *shape)).collect()
}

fn refusal(checkpoint: Checkpoint, tensors: &[(&str, &[usize])]) -> String {
    checkpoint.load(&expected(tensors)).expect_err("a refusal").to_string()
}

fn contains(message: &str, parts: &[&str]) {
    for part in parts {
        assert!(message.contains(part), "no {part:?} in {message}");
    }
}

/// The tensors by which v1 and v2 are told apart, with their real shapes, sides cut where it does
/// not matter.
fn retinanet(v2: bool, classes: usize) -> Vec<Tensor> {
    let mut tensors = vec![
        tensor("backbone.body.layer3.5.conv3.weight", &[1]),
        tensor("backbone.body.layer4.2.conv3.weight", &[1]),
        tensor("backbone.fpn.inner_blocks.2.0.weight", &[256, 1]),
        tensor("backbone.fpn.extra_blocks.p6.weight", &[1, if v2 { 2048 } else { 256 }]),
        tensor("head.classification_head.cls_logits.weight", &[9 * classes]),
        tensor("head.classification_head.cls_logits.bias", &[9 * classes]),
        tensor("head.regression_head.bbox_reg.weight", &[36]),
    ];
    tensors.push(match v2 {
        true => tensor("head.classification_head.conv.0.1.weight", &[256]),
        false => tensor("head.classification_head.conv.0.0.bias", &[256]),
    });
    tensors
}

fn as_expected(tensors: &[Tensor]) -> Vec<ExpectedTensor> {
    tensors.iter().map(|(name, _, shape, _)| ExpectedTensor::new(name, shape.clone())).collect()
}

#[test]
fn a_fitting_file_loads_whole_and_tensors_are_taken_one_by_one() {
    let mut counter = tensor("bn1.num_batches_tracked", &[]);
    (counter.1, counter.3) = (StoredDtype::I64, vec![0; 8]);
    let file = checkpoint(&[tensor("a", &[2]), tensor("b", &[2, 2]), counter], &[]);
    let mut loaded = file.load(&expected(&[("a", &[2]), ("b", &[2, 2])])).unwrap();
    assert_eq!(loaded.report().applied, ["a", "b"]);
    assert_eq!(loaded.report().ignored[0].stored_name, "bn1.num_batches_tracked");
    assert_eq!(loaded.shape("b").unwrap(), [2, 2]);
    assert_eq!(loaded.tensor("b").unwrap(), [0.0, 1.0, 2.0, 3.0]);
    assert_eq!(loaded.take("b").unwrap(), [0.0, 1.0, 2.0, 3.0]);
    let error = loaded.take("b").unwrap_err().to_string();
    assert!(error.contains("\"b\" is not among the loaded"), "{error}");
    assert_eq!(loaded.names().collect::<Vec<_>>(), ["a"]);
}

#[test]
fn every_difference_is_listed_at_once_with_names_that_look_alike() {
    let file =
        checkpoint(&[tensor("layer.wieght", &[2]), tensor("b", &[3]), tensor("c\u{7}", &[1])], &[]);
    let message = refusal(file, &[("layer.weight", &[2]), ("b", &[4]), ("d", &[])]);
    contains(
        &message,
        &[
            "2 missing: \"d\" [], \"layer.weight\" [2] (similar: \"layer.wieght\")",
            "2 unexpected: \"c\\u{7}\" [1], \"layer.wieght\" [2] (similar: \"layer.weight\")",
            "1 mis-shaped: \"b\" is [3] but must be [4]",
        ],
    );
}

#[test]
fn long_lists_are_cut() {
    let file: Vec<_> = (0..50).map(|i| tensor(&format!("t{i}"), &[1])).collect();
    let message = refusal(checkpoint(&file, &[]), &[]);
    contains(&message, &["50 unexpected", "and 44 more"]);
    assert!(message.len() < 1000, "{message}");
}

#[test]
fn the_wrong_architecture_and_the_wrong_class_count_are_named() {
    let (v1, v2) = (retinanet(false, 91), retinanet(true, 91));
    let error = checkpoint(&v2, &[]).load(&as_expected(&v1)).unwrap_err().to_string();
    contains(
        &error,
        &[
            "The file is a retinanet_resnet50_fpn_v2 with 91 classes, the model is a retinanet_resnet50_fpn with 91",
        ],
    );
    let error =
        checkpoint(&v1, &[]).load(&as_expected(&retinanet(false, 2))).unwrap_err().to_string();
    contains(
        &error,
        &["The file has 91 classes (the background counts), the model 2: set num_classes to 91"],
    );
}

#[test]
fn old_names_load_as_current_ones() {
    let file = checkpoint(
        &[
            tensor("head.regression_head.conv.2.weight", &[1]),
            tensor("backbone.fpn.layer_blocks.1.bias", &[2]),
        ],
        &[],
    );
    assert_eq!(file.naming(), Naming::TorchvisionOld);
    let loaded = file
        .load(&expected(&[
            ("head.regression_head.conv.1.0.weight", &[1]),
            ("backbone.fpn.layer_blocks.1.0.bias", &[2]),
        ]))
        .unwrap();
    assert_eq!(loaded.report().renamed.len(), 2);
}

#[test]
fn two_spellings_of_one_tensor_are_a_collision() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("twice.safetensors");
    let (_, dtype, shape, bytes) = tensor("", &[1]);
    let of = |name| TensorData { name, dtype, shape: &shape, bytes: &bytes };
    let tensors =
        [of("backbone.fpn.inner_blocks.0.bias"), of("backbone.fpn.inner_blocks.0.0.bias")];
    save_safetensors(&path, &tensors, &BTreeMap::new()).unwrap();
    let error = Checkpoint::open(&path).unwrap_err().to_string();
    contains(&error, &["are both named \"backbone.fpn.inner_blocks.0.0.bias\""]);
}

#[test]
fn a_weight_that_is_not_finite_is_named_with_its_index() {
    for (bits, shown) in [(f32::NAN, "NaN"), (f32::INFINITY, "inf"), (f32::NEG_INFINITY, "-inf")] {
        let mut bad = tensor("head.x", &[3]);
        bad.3[4..8].copy_from_slice(&bits.to_le_bytes());
        let message = refusal(checkpoint(&[bad], &[]), &[("head.x", &[3])]);
        contains(&message, &[&format!("tensor \"head.x\" holds {shown} at index 1")]);
    }
    let mut double = tensor("d", &[1]);
    (double.1, double.3) = (StoredDtype::F64, vec![0; 8]);
    contains(&refusal(checkpoint(&[double], &[]), &[("d", &[1])]), &["tensor \"d\" is F64"]);
}

#[test]
fn the_batch_norm_eps_is_known_or_asked_for_but_never_guessed() {
    let v1 = checkpoint(&retinanet(false, 91), &[]);
    let error = v1.batch_norm_eps(None).unwrap_err().to_string();
    let parts =
        ["which batch-norm eps", "a retinanet_resnet50_fpn with 91 classes", "batch_norm_eps`"];
    contains(&error, &parts);
    assert_eq!(v1.batch_norm_eps(Some(0.0)).unwrap(), 0.0);
    assert_eq!(checkpoint(&retinanet(true, 91), &[]).batch_norm_eps(None).unwrap(), 1e-5);
    let own = [("config", r#"{"backbone": {"norm_eps": 0.001}}"#)];
    assert_eq!(checkpoint(&[], &own).batch_norm_eps(Some(1e-5)).unwrap(), 0.001);
    let converted = format!("eeacb38b{}", "0".repeat(56));
    let converted = checkpoint(&retinanet(false, 91), &[("source_sha256", &converted)]);
    assert_eq!(converted.batch_norm_eps(None).unwrap(), 0.0);
    converted.check_batch_norm_eps(0.0).unwrap();
    let error = converted.check_batch_norm_eps(1e-5).unwrap_err().to_string();
    contains(&error, &["stated as 1e-5", "known by its hash) says 0.0"]);
    v1.check_batch_norm_eps(0.5).unwrap();
}

#[test]
fn loaded_tensors_serve_a_candle_var_builder() {
    use candle_core::{DType, Device};
    let file = checkpoint(&[tensor("head.w", &[2, 3])], &[]);
    let loaded = file.load(&expected(&[("head.w", &[2, 3])])).unwrap();
    let builder = loaded.into_var_builder(DType::F32, &Device::Cpu).pp("head");
    let w = builder.get((2, 3), "w").unwrap().to_vec2::<f32>().unwrap();
    assert_eq!(w, [[0.0, 1.0, 2.0], [3.0, 4.0, 5.0]]);
    assert!(builder.get((3, 2), "w").is_err());
    assert!(builder.get((2, 3), "v").is_err());
    assert!(builder.contains_tensor("w") && !builder.contains_tensor("v"));
}

#[test]
fn the_bundled_checkpoint_describes_itself() {
    let path =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples/assets/person_r18.safetensors");
    let file = Checkpoint::open(path).unwrap();
    let published = "d711e2bf073d2ce38029f2c2d0edc326398a087ffeeaccfad8b7afdf43618c41";
    assert_eq!((file.sha256(), file.file_size()), (published, 9_650_292));
    let identity = file.identity();
    assert_eq!(identity.architecture, IdentifiedAs::SelfDescribed);
    assert_eq!((identity.num_classes, identity.anchors_per_location), (Some(2), Some(9)));
    assert_eq!((file.naming(), file.batch_norm_eps(None).unwrap()), (Naming::Torchvision, 0.0));
    let needed: Vec<_> = file.tensors().map(|t| ExpectedTensor::new(t.name, t.shape)).collect();
    assert_eq!(file.load(&needed).unwrap().report().applied.len(), 115);
}
