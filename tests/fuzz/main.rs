//! Bytes from strangers: no input may panic, hang or take more memory than its limits say.
//!
//! One program; the environment variable `FUZZ_TARGET` names what it feeds. run.sh builds and runs it.
#![no_main]

use std::io::{Cursor, Write};
use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use retinanet::receipt::Receipt;
use retinanet::eval::{CocoDetection, GroundTruth};
use retinanet::image::{DecodeLimits, DecodeOptions, ImageRows};
use retinanet::model::RetinaNetConfig;
use retinanet::weights::{Checkpoint, Manifest};
use retinanet::{Detections, Image};
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipWriter};

static TARGET: LazyLock<fn(&[u8])> = LazyLock::new(|| {
    let name = std::env::var("FUZZ_TARGET").unwrap_or_default();
    match name.as_str() {
        "checkpoint" => checkpoint,
        "pickle" => pickle,
        "manifest" => manifest,
        "receipt" => receipt,
        "json" => json,
        "image" => image,
        _ => panic!("FUZZ_TARGET is {name:?}; see tests/fuzz/run.sh"),
    }
});

fuzz_target!(|input: &[u8]| TARGET(input));

/// A weights file: safetensors, or .pth in either container.
fn checkpoint(bytes: &[u8]) {
    let Ok(checkpoint) = Checkpoint::from_bytes("input", bytes) else { return };
    for tensor in checkpoint.tensors() {
        if let Ok(values) = checkpoint.tensor_f32(&tensor.name) {
            assert_eq!(values.len(), tensor.shape.iter().product::<usize>());
        }
    }
    let _ = (checkpoint.identity(), checkpoint.batch_norm_eps(None), checkpoint.ignored());
}

/// The pickle in a .pth whose zip, checksums included, is sound.
fn pickle(bytes: &[u8]) {
    let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
    let options = SimpleFileOptions::default().compression_method(CompressionMethod::Stored);
    let storage = [0x3f; 64];
    let files = [
        ("m/data.pkl", bytes),
        ("m/byteorder", b"little"),
        ("m/data/0", &storage),
        ("m/data/1", b""),
    ];
    for (name, content) in files {
        zip.start_file(name, options).expect("the name is short");
        zip.write_all(content).expect("memory holds it");
    }
    checkpoint(zip.finish().expect("memory holds it").get_ref());
}

/// A manifest of checkpoints.
fn manifest(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let Ok(manifest) = Manifest::parse(text, "input") else { return };
    for entry in manifest.entries() {
        for source in &entry.sources {
            let _ = source.cache_file();
        }
        manifest.get(&entry.name).expect("a listed name is found");
    }
}

/// A receipt; one that is accepted is written and read again without a change.
fn receipt(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let Ok(receipt) = Receipt::from_json(text, "input") else { return };
    let written = receipt.to_json().expect("what was read can be written");
    let again = Receipt::from_json(&written, "input").expect("what was written can be read");
    assert_eq!(again.digest(), receipt.digest());
}

/// The other JSON files: configurations, detections, COCO annotations.
fn json(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    if let Ok(config) = RetinaNetConfig::from_json(text) {
        let written = config.to_json().expect("what was read can be written");
        RetinaNetConfig::from_json(&written).expect("what was written can be read");
    }
    if let Ok(found) = serde_json::from_str::<Detections>(text) {
        let _ = found.digest();
        let written = serde_json::to_string(&found).expect("what was read can be written");
        assert_eq!(serde_json::from_str::<Detections>(&written).expect("and read"), found);
    }
    if let Ok(truth) = GroundTruth::from_json(bytes, "input") {
        let found: Vec<CocoDetection> = truth
            .annotations()
            .iter()
            .map(|one| {
                let (image_id, category_id) = (one.image_id, one.category_id);
                CocoDetection { image_id, category_id, bbox: one.bbox, score: one.area }
            })
            .collect();
        let evaluation = truth.evaluate(&found).expect("the annotations' own boxes fit them");
        assert_eq!(evaluation.detections, found.len());
        for image in truth.images() {
            let _ = image.path("images".as_ref());
        }
    }
}

/// An image file, strictly and leniently, with limits that a small file can break; and row by row, with the
/// same pixels.
fn image(bytes: &[u8]) {
    let limits =
        DecodeLimits { max_file_bytes: 1 << 20, max_pixels: 1 << 20, max_memory_bytes: 64 << 20 };
    let mut options = DecodeOptions { limits, ..DecodeOptions::default() };
    for lenient in [false, true] {
        options.accept_damaged_jpeg = lenient;
        options.apply_exif_orientation = !lenient;
        let image = Image::decode_with(bytes, "input", &options);
        if let Ok(image) = &image {
            assert!(image.width() * image.height() <= 1 << 20);
            assert_eq!(image.as_rgb8().len(), image.width() * image.height() * 3);
        }
        let Ok(mut rows) = ImageRows::decode(bytes, "input", &options) else { continue };
        for top in (0..rows.height()).step_by(7) {
            let (width, bottom) = (rows.width(), rows.height().min(top + 7));
            let Ok(some) = rows.rows(top..bottom) else { break };
            assert_eq!(some.len(), (bottom - top) * width * 3);
            if let Ok(image) = &image {
                assert!(some == &image.as_rgb8()[top * width * 3..bottom * width * 3]);
            }
        }
    }
}
