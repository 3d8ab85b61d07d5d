//! Checkpoints that PyTorch wrote (tests/golden/make_checkpoints.py), and hostile ones.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use retinanet::weights::{Checkpoint, Format, Naming, StoredDtype, convert};
use sha2::{Digest, Sha256};

fn asset(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("golden/checkpoints").join(name)
}

/// The values that the script writes.
fn ramp(count: i32) -> Vec<f32> {
    (0..count).map(|i| (i * 37 % 101 - 50) as f32 / 64.0).collect()
}

fn pick(values: &[f32], indices: impl IntoIterator<Item = usize>) -> Vec<f32> {
    indices.into_iter().map(|index| values[index]).collect()
}

fn refusal(name: &str) -> String {
    Checkpoint::open(asset(name)).expect_err(name).to_string()
}

#[test]
fn both_containers_give_the_tensors_that_pytorch_saved() {
    for (name, format) in [("zip.pth", Format::PthZip), ("legacy.pth", Format::PthLegacy)] {
        let checkpoint = Checkpoint::open(asset(name)).unwrap();
        assert_eq!(checkpoint.format(), format);
        let bytes = std::fs::read(asset(name)).unwrap();
        let hash: String = Sha256::digest(&bytes).iter().map(|b| format!("{b:02x}")).collect();
        assert_eq!(checkpoint.sha256(), hash);

        let of = |name: &str| checkpoint.tensor_f32(name).unwrap();
        assert_eq!(of("full"), ramp(24));
        assert_eq!(of("half"), ramp(5));
        assert_eq!(of("brain"), ramp(5));
        assert_eq!(of("parameter"), ramp(4));
        assert!(of("empty").is_empty());
        assert_eq!(of("transposed"), pick(&ramp(12), [0, 4, 8, 1, 5, 9, 2, 6, 10, 3, 7, 11]));
        assert_eq!(of("channels_last"), ramp(24));
        assert_eq!(of("every_other"), pick(&ramp(9), [1, 3, 5, 7]));
        assert_eq!(of("shared_start"), pick(&ramp(24), 0..6));
        assert_eq!(of("shared_rest"), pick(&ramp(24), 6..24));

        let tensors: BTreeMap<_, _> = checkpoint.tensors().map(|t| (t.name.clone(), t)).collect();
        assert_eq!(tensors.len(), 12);
        assert_eq!(tensors["transposed"].shape, [4, 3]);
        assert_eq!(tensors["half"].dtype, StoredDtype::F16);
        assert_eq!(tensors["scalar"].dtype, StoredDtype::I64);
        assert_eq!(tensors["scalar"].shape, [0usize; 0]);
        let error = checkpoint.tensor_f32("double").unwrap_err().to_string();
        assert!(error.contains("\"double\" is F64; only F32, F16 and BF16"), "{error}");
        let error = checkpoint.tensor_f32("parametre").unwrap_err().to_string();
        assert!(error.contains("did you mean \"parameter\"?"), "{error}");
    }
}

#[test]
fn a_nested_state_dict_is_found_and_its_wrapper_stripped() {
    for name in ["zip_nested.pth", "legacy_nested.pth"] {
        let checkpoint = Checkpoint::open(asset(name)).unwrap();
        let tensors: Vec<_> = checkpoint.tensors().collect();
        assert_eq!(tensors.len(), 1);
        assert_eq!((&*tensors[0].name, &*tensors[0].stored_name), ("a", "module.a"));
        assert_eq!(checkpoint.tensor_f32("a").unwrap(), ramp(2));
    }
}

#[test]
fn later_pickle_protocols_and_files_without_checksums_are_read() {
    for name in ["zip_protocol_4.pth", "zip_no_checksums.pth"] {
        assert_eq!(Checkpoint::open(asset(name)).unwrap().tensor_f32("a").unwrap(), ramp(3));
    }
}

/// The entry of `data.pkl` is then as long as the zip64 record behind the zip directory.
#[test]
fn a_file_saved_under_a_name_of_21_letters_is_read() {
    let checkpoint = Checkpoint::open(asset("name_of_21_characters.pth")).unwrap();
    assert_eq!(checkpoint.tensor_f32("a").unwrap(), ramp(3));
}

#[test]
fn a_foreign_callable_is_named_and_never_called() {
    for name in ["foreign.pth", "foreign_legacy.pth"] {
        let message = refusal(name);
        assert!(message.contains("asks for the callable \"posix.system\""), "{message}");
        assert!(message.contains("nothing was executed"), "{message}");
    }
    assert!(!Path::new("/tmp/executed").exists());
}

#[test]
fn every_hostile_pth_is_refused_for_its_own_reason() {
    for (name, reason) in [
        ("bad_outside.pth", "reach outside its storage of 2 elements"),
        ("bad_huge_shape.pth", "overflows"),
        ("bad_negative.pth", "tensor \"a\" is described in an unknown way"),
        ("bad_repeated.pth", "needs 1099511627776 elements, but its storage has 2"),
        ("bad_short_storage.pth", "should have 2 elements of F32 but has 6 bytes"),
        ("bad_missing_storage.pth", "entry \"x/data/9\" is missing"),
        ("bad_many_shares.pth", "share storages so often"),
        ("bad_big_endian.pth", "big-endian"),
        ("bad_no_tensors.pth", "holds no dict of tensors"),
        ("bad_two_states.pth", "several of"),
        ("bad_compressed.pth", "entry \"x/data.pkl\" is compressed"),
        ("bad_no_pickle.pth", "without a data.pkl"),
        ("bad_two_pickles.pth", "more than one data.pkl"),
        ("bad_nesting.pth", "containers within each other"),
        ("bad_cycle.pth", "holds no dict of tensors"),
    ] {
        let message = refusal(name);
        assert!(message.contains(reason) && message.contains(name), "{message}");
    }
}

#[test]
fn conversion_keeps_every_bit_and_says_what_it_came_from() {
    let folder = tempfile::tempdir().unwrap();
    let mut outputs = Vec::new();
    for name in ["zip.pth", "legacy.pth"] {
        let output = folder.path().join(name).with_extension("safetensors");
        let source = convert(asset(name), &output).unwrap();
        let copy = Checkpoint::open(&output).unwrap();
        assert_eq!(copy.format(), Format::Safetensors);
        assert_eq!(copy.metadata()["source_sha256"], source.sha256());
        assert!(copy.tensors().eq(source.tensors()));
        for tensor in source.tensors() {
            if let Ok(values) = source.tensor_f32(&tensor.name) {
                assert_eq!(copy.tensor_f32(&tensor.name).unwrap(), values);
            }
        }
        let bytes = std::fs::read(&output).unwrap();
        let parsed = safetensors::SafeTensors::deserialize(&bytes).unwrap();
        assert_eq!(parsed.tensor("scalar").unwrap().data(), 7i64.to_le_bytes());
        let thirds: Vec<u8> = ramp(3).iter().flat_map(|&v| f64::from(v).to_le_bytes()).collect();
        assert_eq!(parsed.tensor("double").unwrap().data(), thirds);
        outputs.push(bytes);

        // Again from the converted file: the same bytes, as nothing is left to change.
        let again = folder.path().join("again.safetensors");
        convert(&output, &again).unwrap();
        assert_eq!(std::fs::read(&again).unwrap(), *outputs.last().unwrap());
    }
    let data = |bytes: &[u8]| {
        let header = u64::from_le_bytes(*bytes.first_chunk().unwrap()) as usize;
        bytes[8 + header..].to_vec()
    };
    assert_eq!(data(&outputs[0]), data(&outputs[1]));
}

#[test]
fn an_output_that_cannot_be_written_leaves_nothing_behind() {
    let folder = tempfile::tempdir().unwrap();
    let error =
        convert(asset("zip.pth"), folder.path().join("no/such/out.safetensors")).unwrap_err();
    assert!(error.to_string().contains("cannot write"), "{error}");
    let taken = folder.path().join("taken.safetensors");
    std::fs::create_dir(&taken).unwrap();
    let error = convert(asset("zip.pth"), &taken).unwrap_err();
    assert!(error.to_string().contains("taken.safetensors"), "{error}");
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
}

/// A public CIFAR-10 ResNet-20 in the pre-2020 container, where a copy is at hand.
#[test]
fn a_real_file_of_2018_gives_the_tensors_that_pytorch_reads() {
    let beside =
        concat!(env!("CARGO_MANIFEST_DIR"), "/../../shared/checkpoints/legacy-resnet20.th");
    let path = std::env::var("RETINANET_LEGACY_RESNET20").unwrap_or_else(|_| beside.into());
    if !Path::new(&path).exists() {
        println!(
            "SKIPPED: set RETINANET_LEGACY_RESNET20 to pytorch_resnet_cifar10's resnet20-12fca82f.th"
        );
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let output = folder.path().join("resnet20.safetensors");
    let source = convert(path, &output).unwrap();
    assert_eq!((source.format(), source.naming()), (Format::PthLegacy, Naming::Unrecognised));
    let published = "12fca82f0bebc4135bf1f32f6e3710e61d5108578464b84fd6d7f5c1b04036c8";
    assert_eq!(source.sha256(), published);
    for checkpoint in [source, Checkpoint::open(&output).unwrap()] {
        let mut hasher = Sha256::new();
        let mut count = 0;
        for tensor in checkpoint.tensors() {
            hasher.update(&tensor.name);
            for value in checkpoint.tensor_f32(&tensor.name).unwrap() {
                hasher.update(value.to_le_bytes());
            }
            count += 1;
        }
        let hash: String = hasher.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(
            (count, &*hash),
            (97, "bb7e61c258999630df5b6fc9bf4e6cba1f6cc694ed0749a0719082a2e8022cde")
        );
    }
}
