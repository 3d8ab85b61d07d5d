//! Damaged checkpoints: each is refused with a message, quickly and in little memory.

use std::collections::BTreeMap;
use std::path::Path;

use retinanet::weights::{Checkpoint, StoredDtype, TensorData, TensorInfo, save_safetensors};

fn open(bytes: &[u8]) -> Result<Checkpoint, String> {
    Checkpoint::from_bytes("damaged.safetensors", bytes).map_err(|error| error.to_string())
}

fn refused(bytes: &[u8], part: &str) {
    let message = open(bytes).expect_err(part);
    assert!(message.contains(part) && message.contains("damaged.safetensors"), "{message}");
}

fn with_header(header: &str, data: &[u8]) -> Vec<u8> {
    [&(header.len() as u64).to_le_bytes(), header.as_bytes(), data].concat()
}

fn valid() -> Vec<u8> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("valid.safetensors");
    let bytes = [0; 64];
    let of =
        |name, dtype, shape, size: usize| TensorData { name, dtype, shape, bytes: &bytes[..size] };
    let tensors = [
        of("head.a", StoredDtype::F32, &[2, 3], 24),
        of("backbone.body.b", StoredDtype::F16, &[5], 10),
        of("c", StoredDtype::I64, &[], 8),
        of("d", StoredDtype::BF16, &[0, 4], 0),
    ];
    let metadata =
        BTreeMap::from([("config", "{}"), ("format", "pt")].map(|(k, v)| (k.into(), v.into())));
    save_safetensors(&path, &tensors, &metadata).unwrap();
    std::fs::read(path).unwrap()
}

#[test]
fn paths_that_are_no_checkpoint_say_what_they_are() {
    let folder = tempfile::tempdir().unwrap();
    let message = |path: &Path| Checkpoint::open(path).unwrap_err().to_string();
    assert!(message(&folder.path().join("none.pth")).contains("none.pth\": cannot find it"));
    assert!(message(folder.path()).contains("not a regular file"));
    let file = folder.path().join("x.pth");
    for (content, part) in [
        (&b""[..], "the file is empty"),
        (b"hello", "neither safetensors nor a PyTorch .pth"),
        (b"<!DOCTYPE html>", "web page"),
        (b"version https://git-lfs.github.com/spec/v1", "Git LFS pointer"),
        (b"\x80\x02}q\0.", "a bare pickle"),
        (b"PK\x03\x04 and no more", "zip directory"),
        (b"\x80\x02\x8a\x0al\xfc\x9cF\xf9 j\xa8P\x19.", "pickle byte 0"),
    ] {
        std::fs::write(&file, content).unwrap();
        assert!(message(&file).contains(part), "{}", message(&file));
    }
}

#[test]
fn headers_that_lie_are_refused_before_anything_is_allocated() {
    for claimed in [1u64 << 60, u64::MAX, 100_000_001] {
        refused(&[&claimed.to_le_bytes()[..], b"{}"].concat(), "over the limit of 100000000");
    }
    refused(&[&99u64.to_le_bytes()[..], b"{}"].concat(), "claims 99 bytes, but the file has 10");
    refused(&with_header("{not json", b""), "its header");
    refused(&with_header("{\"a\":\u{7f}}", b""), "its header");
    refused(&[&3u64.to_le_bytes()[..], b"{\xff}"].concat(), "not UTF-8");
    refused(&with_header(&"{\"a\":".repeat(5000), b""), "its header");
    let entry = |shape: &str, start: u64, end: u64| {
        format!("{{\"dtype\":\"F32\",\"shape\":{shape},\"data_offsets\":[{start},{end}]}}")
    };
    let one = |shape: &str, start, end| format!("{{\"a\":{}}}", entry(shape, start, end));
    refused(&with_header(&one("[2]", 0, 8), &[0; 7]), "describes 8 bytes of tensors, but 7 follow");
    refused(&with_header(&one("[2]", 0, 8), &[0; 9]), "describes 8 bytes of tensors, but 9 follow");
    refused(&with_header(&one("[3]", 0, 8), &[0; 8]), "invalid shape");
    refused(&with_header(&one("[2]", 8, 0), &[0; 8]), "offset");
    refused(&with_header(&one("[2]", 4, 12), &[0; 12]), "offset");
    refused(&with_header(&one("[4294967296,4294967296,4]", 0, 8), &[0; 8]), "overflow");
    refused(&with_header(&one("[2]", 0, 1 << 62), &[0; 8]), "its header");
    let sides = format!("[{}]", String::from("2,1") + &",1".repeat(20));
    refused(&with_header(&one(&sides, 0, 8), &[0; 8]), "tensor \"a\" has 22 sides");
    let two = |a: &str, b: &str| format!("{{\"a\":{a},\"{}\":{b}}}", "b");
    refused(&with_header(&two(&entry("[2]", 0, 8), &entry("[2]", 4, 12)), &[0; 12]), "offset");
    let twice = format!("{{\"a\":{0},\"a\":{0}}}", entry("[2]", 0, 8));
    refused(&with_header(&twice, &[0; 8]), "a appears twice");
    refused(&with_header(r#"{"__metadata__":{"k":"1","k":"2"}}"#, b""), "k appears twice");
    let odd = one("[8]", 0, 8).replace("F32", "F8_E4M3");
    refused(&with_header(&odd, &[0; 8]), "tensor \"a\" is F8_E4M3");
}

#[test]
fn a_file_cut_anywhere_is_refused() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("golden/checkpoints");
    let read = |name: &str| std::fs::read(folder.join(name)).unwrap();
    for bytes in [valid(), read("zip.pth"), read("legacy.pth")] {
        assert!(open(&bytes).is_ok());
        for length in 0..bytes.len() {
            assert!(open(&bytes[..length]).is_err(), "{length} of {}", bytes.len());
        }
    }
}

#[test]
fn a_changed_byte_of_a_storage_is_found_and_the_first_is_named() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("golden/checkpoints/zip.pth");
    let whole = std::fs::read(file).unwrap();
    let changed = |places: &[usize]| {
        let mut bytes = whole.clone();
        places.iter().for_each(|place| bytes[*place] ^= 0x10);
        open(&bytes).err().filter(|message| message.contains("a wrong checksum"))
    };
    let found: Vec<_> = (0..whole.len()).filter_map(|at| Some((at, changed(&[at])?))).collect();
    let intact = open(&whole).unwrap();
    let size = |t: TensorInfo| t.shape.iter().product::<usize>() * t.dtype.size();
    let stored: usize = intact.tensors().map(size).sum();
    assert!(stored > 0 && found.len() >= stored, "{} of {stored}", found.len());
    let of = |key: &str| {
        found.iter().find(|(_, message)| message.contains(&format!("/data/{key}\""))).unwrap()
    };
    let (first, second) = (of("0"), of("1"));
    for _ in 0..20 {
        assert_eq!(changed(&[second.0, first.0]).as_ref(), Some(&first.1));
    }
}

#[test]
fn equal_content_gives_equal_bytes() {
    let first = valid();
    assert!((0..20).all(|_| valid() == first));
}

/// A small generator, so that a failure can be repeated.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % limit as u64) as usize
    }
}

/// The largest resident size so far, in KiB; Linux only.
fn peak_memory() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    status.lines().find_map(|l| l.strip_prefix("VmHWM:")?.trim().strip_suffix(" kB")?.parse().ok())
}

#[test]
fn random_damage_never_panics_nor_fills_the_memory() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("golden/checkpoints");
    let mut files: Vec<Vec<u8>> = vec![valid()];
    for name in ["zip.pth", "legacy.pth", "zip_nested.pth", "legacy_nested.pth"] {
        files.push(std::fs::read(folder.join(name)).unwrap());
    }
    let before = peak_memory();
    let mut random = Random(0x9e37_79b9_7f4a_7c15);
    let interesting = [0, 1, 0x7f, 0x80, 0xff, b'(', b'.', b'R', b'h', b't'];
    let (mut read, mut refused) = (0, 0);
    for round in 0..6000 {
        let mut bytes = files[round % files.len()].clone();
        for _ in 0..1 + random.below(4) {
            let at = random.below(bytes.len());
            match random.below(5) {
                0 => bytes[at] ^= 1 << random.below(8),
                1 => bytes[at] = interesting[random.below(interesting.len())],
                2 => bytes.truncate(at.max(1)),
                3 => bytes.insert(at, interesting[random.below(interesting.len())]),
                _ => drop(bytes.remove(at)),
            }
            if bytes.is_empty() {
                bytes.push(0);
            }
        }
        match open(&bytes) {
            Ok(checkpoint) => {
                read += 1;
                let total: usize =
                    checkpoint.tensors().map(|t| t.shape.iter().product::<usize>()).sum();
                assert!(total <= 4 * bytes.len(), "round {round}: {total} elements");
            }
            Err(message) => {
                refused += 1;
                assert!(message.len() < 2000, "round {round}: {message}");
            }
        }
    }
    assert!(read > 100 && refused > 1000, "{read} read, {refused} refused");
    if let (Some(before), Some(after)) = (before, peak_memory()) {
        assert!(after - before < 64 << 10, "{} KiB more than before", after - before);
    }
}
