//! No change to a log's bytes goes unseen, and no bytes make the reader panic.

use std::path::Path;
use std::sync::LazyLock;

use proptest::prelude::*;

use super::header::LogHeader;
use super::line::{Answered, FileRecord, LogLine};
use super::scan::{Log, is_log};
use super::writer::LogWriter;
use crate::Device;
use crate::data::{ListDigest, Shard};
use crate::determinism::{Determinism, Digest, Environment, StageDigests};
use crate::model::RetinaNetConfig;

fn digest(byte: u8) -> Digest {
    Digest::from_bytes([byte; 32])
}

fn header(images: usize) -> LogHeader {
    let mut names = ListDigest::new();
    (0..images).for_each(|index| names.push(&name(index)));
    let environment =
        Environment::capture(&Determinism::default(), "portable", Device::Cpu, 1, None);
    serde_json::from_value(serde_json::json!({
        "format": "retinanet.log",
        "version": 1,
        "images": images,
        "list_sha256": names.finish(),
        "shard": Shard::default().to_string(),
        "versions": environment.versions,
        "mode": environment.mode,
        "weights_sha256": digest(7),
        "configuration": RetinaNetConfig::resnet50_fpn(),
        "categories": ["a", "b"],
    }))
    .unwrap()
}

fn name(index: usize) -> String {
    format!("a/{index}.png")
}

fn line(index: usize) -> LogLine {
    let byte = index as u8;
    let mut stages = StageDigests::new();
    stages.push("decoded", digest(byte)).unwrap();
    stages.push("detections", digest(byte ^ 0x55)).unwrap();
    let file = FileRecord { bytes: 10, sha256: digest(byte ^ 0xaa), as_stored: index == 1 };
    let answer = match index % 3 {
        2 => Err("no \"image\"\n".to_owned()),
        _ => Ok(Answered { width: 3, height: 4, detections: index, stages }),
    };
    let file = (index % 4 != 2).then_some(file);
    LogLine { image: name(index), file, answer }
}

/// Writes a log of so many images.
fn write(path: &Path, images: usize) -> Digest {
    let mut log = LogWriter::open(path, false, &header(images), name).unwrap();
    (0..images).for_each(|index| log.push(line(index)).unwrap());
    log.finish().unwrap().head
}

#[test]
fn what_was_written_is_read_back() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("log");
    for images in [0, 1, 5] {
        let head = write(&path, images);
        assert!(is_log(&path));
        let log = Log::open(&path).unwrap();
        assert_eq!((log.head(), log.len(), log.failed()), (head, images, images / 3));
        assert_eq!(log.header(), &header(images));
        for index in 0..images {
            assert_eq!(log.line(index).unwrap(), line(index));
        }
        log.check_head(head).unwrap();
        log.check_head(digest(0)).unwrap_err();
    }
}

#[test]
fn a_log_that_changes_while_it_is_verified_is_not_believed() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("log");
    write(&path, 3);
    let log = Log::open(&path).unwrap();
    let text = std::fs::read_to_string(&path).unwrap();
    std::fs::write(&path, text.replace("\"width\":3", "\"width\":4")).unwrap();
    let error = log.line(0).unwrap_err().to_string();
    assert!(error.contains("line 2 changed while it was read"), "{error}");
    std::fs::write(&path, "").unwrap();
    assert!(log.line(1).unwrap_err().to_string().contains("cannot read"));
}

/// How a log's bytes are changed.
#[derive(Debug, Clone)]
enum Change {
    Replace(usize, u8),
    Insert(usize, u8),
    Remove(usize, usize),
    Repeat(usize, usize),
    Cut(usize),
}

fn change() -> impl Strategy<Value = Change> {
    let at = 0..100_000_usize;
    prop_oneof![
        (at.clone(), any::<u8>()).prop_map(|(at, byte)| Change::Replace(at, byte)),
        (at.clone(), any::<u8>()).prop_map(|(at, byte)| Change::Insert(at, byte)),
        (at.clone(), 1..600_usize).prop_map(|(at, length)| Change::Remove(at, length)),
        (at.clone(), 1..600_usize).prop_map(|(at, length)| Change::Repeat(at, length)),
        at.prop_map(Change::Cut),
    ]
}

fn changed(mut bytes: Vec<u8>, change: &Change) -> Vec<u8> {
    let length = bytes.len();
    let part = |at: usize, size: usize| at % length..(at % length + size).min(length);
    match *change {
        Change::Replace(at, byte) => bytes[at % length] = byte,
        Change::Insert(at, byte) => bytes.insert(at % (length + 1), byte),
        Change::Remove(at, size) => drop(bytes.drain(part(at, size))),
        Change::Repeat(at, size) => {
            let repeated = bytes[part(at, size)].to_vec();
            let at = part(at, size).end;
            bytes.splice(at..at, repeated);
        }
        Change::Cut(at) => bytes.truncate(at % length),
    }
    bytes
}

/// A log of four images.
static FOUR: LazyLock<Vec<u8>> = LazyLock::new(|| {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("log");
    write(&path, 4);
    std::fs::read(&path).unwrap()
});

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn every_change_of_bytes_is_refused(change in change()) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log");
        let bytes = FOUR.clone();
        let other = changed(bytes.clone(), &change);
        std::fs::write(&path, &other).unwrap();
        prop_assert_eq!(Log::open(&path).is_ok(), other == bytes);
        // Nor does it stop a run that goes on from going on from what it wrote, or saying why it cannot.
        if let Ok(log) = LogWriter::open(&path, true, &header(4), name) {
            drop(log);
            let kept = std::fs::read(&path).unwrap();
            prop_assert!(bytes.starts_with(&kept));
        }
    }

    #[test]
    fn no_bytes_make_the_reader_panic(text in r#"(\{"(format|previous|end|image)":("retinanet.log"|[0-9a-f"{}:,]{0,80}),?){0,4}\n?"#) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log");
        std::fs::write(&path, text).unwrap();
        prop_assert!(Log::open(&path).is_err());
    }
}
