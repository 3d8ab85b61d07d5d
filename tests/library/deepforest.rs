//! DeepForest's models, on a file of the same names, shapes and size as those its publisher has.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use retinanet::labels::Categories;
use retinanet::model::{RetinaNetConfig, expected_tensors};
use retinanet::weights::{
    BUILTIN_MANIFEST, FetchOptions, Manifest, StoredDtype, TensorData, save_safetensors,
};
use retinanet::{Detector, DetectorBuilder, Image};
use retinanet_tests::generator::{Lively, picture, tensor};
use sha2::{Digest, Sha256};

/// Bytes of the published files, by the hub's pages: with the prefix `model.`, and without.
const PUBLISHED_BYTES: [(&str, u64); 2] = [("model.", 129_049_980), ("", 129_048_172)];

/// The published hashes.
const TREE: &str = "d37a7af0b5ba2754282a80d41b4c7b66e8c7149234df5bf3f41bdaf57d329fc8";
const BIRD: &str = "2cff5f208261a9bb5b2dea85b9e6b15163742a64145fa9a10d273be1b4db083a";

/// A v1 file with one class, each name behind `prefix`.
fn write(path: &Path, prefix: &str) {
    let config = RetinaNetConfig { num_classes: 1, ..RetinaNetConfig::resnet50_fpn() };
    let lively = Lively { log2_logits_gain: 2, log2_boxes_gain: -6, last_norm: "bn3".to_owned() };
    let tensors: Vec<(String, Vec<usize>, Vec<u8>)> = expected_tensors(&config)
        .unwrap()
        .into_iter()
        .map(|(name, shape)| {
            let values = tensor(7, &name, &shape, &lively);
            let bytes = values.iter().flat_map(|value| value.to_le_bytes()).collect();
            (format!("{prefix}{name}"), shape, bytes)
        })
        .collect();
    let dtype = StoredDtype::F32;
    let views: Vec<TensorData<'_>> = tensors
        .iter()
        .map(|(name, shape, bytes)| TensorData { name, dtype, shape, bytes })
        .collect();
    save_safetensors(path, &views, &BTreeMap::new()).unwrap();
}

fn sha256(path: &Path) -> String {
    Sha256::digest(std::fs::read(path).unwrap()).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Small on the network's canvas too: 1333 by 32.
fn strip() -> Image {
    Image::from_rgb8(666, 16, picture(1, 666, 16)).unwrap()
}

/// The manifest, with the hash of a file of ours in place of one that is published.
fn manifest(published: &str, ours: &str) -> Manifest {
    assert!(BUILTIN_MANIFEST.contains(published));
    Manifest::parse(&BUILTIN_MANIFEST.replace(published, ours), "test").unwrap()
}

/// A builder that uses the cache in `folder`, and no network.
fn offline(folder: &Path, manifest: Manifest) -> DetectorBuilder {
    let options = FetchOptions { offline: true, ..FetchOptions::in_folder(folder) };
    Detector::builder().manifest(manifest).fetch_options(options)
}

/// It has DeepForest's numbers, finds something, and says what it is called.
#[track_caller]
fn check(detector: &Detector, label: &str) -> retinanet::determinism::Digest {
    let config = detector.model().config();
    assert_eq!((config.num_classes, config.backbone.batch_norm.eps), (1, 1e-5));
    let postprocess = &config.postprocess;
    assert_eq!((postprocess.score_thresh, postprocess.nms_thresh), (0.1, 0.05));
    assert_eq!((postprocess.detections_per_img, postprocess.topk_candidates), (300, 1000));
    assert_eq!((config.transform.min_size, config.transform.max_size), (800, 1333));
    assert_eq!(detector.load_report().unwrap().applied.len(), 301);
    let found = detector.detect(&strip()).unwrap();
    assert!(!found.is_empty());
    assert!(found.iter().all(|one| (one.label_id, one.label.as_ref()) == (0, label)));
    assert!(found.iter().all(|one| one.score > 0.1));
    found.digest().unwrap()
}

#[test]
fn the_published_files_are_used_by_name_by_hash_and_converted() {
    let folder = tempfile::tempdir().unwrap();
    let cache = |name: &str| -> PathBuf {
        std::fs::create_dir_all(folder.path().join(name)).unwrap();
        folder.path().join(name).join("model.safetensors")
    };
    let tree = cache("deepforest_tree");
    let (prefix, bytes) = PUBLISHED_BYTES[0];
    write(&tree, prefix);
    assert_eq!(std::fs::metadata(&tree).unwrap().len(), bytes, "as large as the published ones");
    let ours = sha256(&tree);

    // By its name, as the manifest says it.
    let known = || manifest(TREE, &ours);
    let detector = offline(folder.path(), known()).weights("deepforest_tree").build().unwrap();
    let renamed = &detector.load_report().unwrap().renamed;
    assert_eq!(renamed.len(), 301);
    assert!(renamed.iter().all(|(stored, name)| *stored == format!("model.{name}")));
    let digest = check(&detector, "Tree");
    drop(detector);

    // By its hash, wherever it lies.
    let elsewhere = folder.path().join("download");
    std::fs::rename(&tree, &elsewhere).unwrap();
    let by_path = || offline(folder.path(), known()).weights(&elsewhere);
    assert_eq!(check(&by_path().build().unwrap(), "Tree"), digest);

    // Converted, without any manifest that knows it.
    let converted = folder.path().join("converted.safetensors");
    by_path().save_weights(&converted).unwrap();
    let detector = Detector::builder().weights(&converted).build().unwrap();
    assert_eq!(detector.model().config().backbone.batch_norm.eps, 1e-5);
    assert_eq!(check(&detector, "Tree"), digest);
    drop(detector);

    // DeepForest before 2.0 computed with another eps: what the user says goes before the manifest.
    let before = by_path().batch_norm_eps(0.0).build().unwrap();
    assert_eq!(before.model().config().backbone.batch_norm.eps, 0.0);
    assert_ne!(before.detect(&strip()).unwrap().digest().unwrap(), digest);
    drop(before);

    // A file of ours whose hash nobody knows says too little.
    let error = Detector::builder().weights(&elsewhere).build().unwrap_err().to_string();
    assert!(error.contains("which batch-norm eps belongs to these weights"), "{error}");

    // The birds' file has the same names, shapes and size.
    std::fs::rename(&elsewhere, cache("deepforest_bird")).unwrap();
    let birds = offline(folder.path(), manifest(BIRD, &ours)).weights("deepforest_bird");
    check(&birds.build().unwrap(), "Bird");
}

#[test]
fn the_files_without_the_prefix_are_used_with_what_they_leave_unsaid() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("v2.safetensors");
    let (prefix, bytes) = PUBLISHED_BYTES[1];
    write(&path, prefix);
    assert_eq!(std::fs::metadata(&path).unwrap().len(), bytes);
    let said = Detector::builder().weights(&path).batch_norm_eps(1e-5);
    let detector = said.categories(Categories::new(["Tree"]).unwrap()).build().unwrap();
    let report = detector.load_report().unwrap();
    assert_eq!((report.applied.len(), report.renamed.len()), (301, 0));
    assert_eq!(detector.categories().names(), ["Tree"]);
    assert_eq!(detector.model().config().num_classes, 1);
}
