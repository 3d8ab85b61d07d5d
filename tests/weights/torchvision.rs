//! Checkpoints of torchvision's own models, made by tests/golden/make_torchvision_pth.py.

use std::collections::BTreeMap;
use std::path::Path;

use retinanet::weights::{Checkpoint, ExpectedTensor, IdentifiedAs, Naming, convert};
use sha2::{Digest, Sha256};

/// sha256 over name and f32 bytes of every tensor but the step counters, by name.
fn digest(checkpoint: Checkpoint) -> String {
    let needed: Vec<_> = checkpoint
        .tensors()
        .filter(|tensor| !tensor.name.ends_with("num_batches_tracked"))
        .map(|tensor| ExpectedTensor::new(tensor.name, tensor.shape))
        .collect();
    let mut loaded = checkpoint.load(&needed).unwrap();
    let mut hasher = Sha256::new();
    for tensor in &needed {
        hasher.update(&tensor.name);
        let values = loaded.take(&tensor.name).unwrap();
        hasher.update(values.iter().flat_map(|value| value.to_le_bytes()).collect::<Vec<u8>>());
    }
    hasher.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Runs where `RETINANET_TORCHVISION_PTH` names the folder that the script writes: the files are too large
/// to keep here.
#[test]
fn every_container_and_spelling_gives_torchvision_s_tensors() {
    let Ok(folder) = std::env::var("RETINANET_TORCHVISION_PTH") else {
        println!("SKIPPED: RETINANET_TORCHVISION_PTH names no folder of torchvision's checkpoints");
        return;
    };
    let folder = Path::new(&folder);
    let text = std::fs::read_to_string(folder.join("expected.json")).unwrap();
    let expected: BTreeMap<String, String> = serde_json::from_str(&text).unwrap();
    assert_eq!(expected.len(), 5);
    for (name, digest_of_torch) in expected {
        let output = tempfile::NamedTempFile::new().unwrap();
        let source = convert(folder.join(&name), output.path()).unwrap();
        let identity = source.identity();
        let naming = match name.as_str() {
            "v1_old_names_legacy.pth" => Naming::TorchvisionOld,
            "v1_mirror_names.pth" => Naming::HubMirror,
            _ => Naming::Torchvision,
        };
        assert_eq!((source.naming(), identity.num_classes), (naming, Some(91)), "{name}");
        match name.starts_with("v2") {
            true => assert_eq!(identity.architecture, IdentifiedAs::RetinanetResnet50FpnV2),
            false => assert_eq!(identity.architecture, IdentifiedAs::RetinanetResnet50Fpn),
        }
        assert_eq!(digest(source), digest_of_torch, "{name}");
        let converted = Checkpoint::open(output.path()).unwrap();
        assert_eq!(converted.naming(), Naming::Torchvision);
        assert_eq!(digest(converted), digest_of_torch, "{name} converted");
    }
}
