//! The frozen vectors of `tests/vectors`: what this build computes is what they say.
//!
//! docs/numerics.md says what each part means. The vectors of a numerics number are written once, by
//!
//! ```text
//! cargo test --workspace --test library -- --ignored writes_the_vectors_of_a_new_numerics
//! ```
//!
//! which refuses while the number has vectors.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use retinanet::determinism::{
    DEFAULT_SEED, Determinism, Digest, NUMERICS_VERSION, Purpose, Stream, digest_detections,
    digest_f32, digest_u8,
};
use retinanet::model::{RetinaNetConfig, expected_tensors};
use retinanet::ops::Level;
use retinanet::{Detector, Image};
use retinanet_tests::reduced::{group_norm_heads, plain_heads};
use safetensors::tensor::{Dtype, TensorView};
use serde::{Deserialize, Serialize};
use sha2::Digest as _;

/// One file of vectors. Floats are the hexadecimal digits of their bits, the most significant first.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Vectors {
    numerics: u32,
    digests: Vec<Digested>,
    streams: Vec<Drawn>,
    functions: Functions,
    networks: Vec<Network>,
}

/// Some values and their digest.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "snake_case", tag = "kind")]
enum Digested {
    U8 {
        name: String,
        shape: Vec<usize>,
        values: Vec<u8>,
        digest: Digest,
    },
    F32 {
        name: String,
        shape: Vec<usize>,
        values: Vec<String>,
        digest: Digest,
    },
    Detections {
        /// Height, width.
        image_size: [usize; 2],
        /// Label id, label, and the bits of score, x1, y1, x2, y2.
        detections: Vec<(usize, String, [String; 5])>,
        digest: Digest,
    },
}

/// The start of one stream, drawn in each way from its beginning.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Drawn {
    seed: u64,
    purpose: String,
    name: String,
    index: u64,
    words: [u32; 6],
    uniform_f32: [String; 3],
    uniform_f64: [String; 3],
    normal_f64: [String; 4],
    range_of_10: [u64; 8],
    shuffle_of_10: [usize; 10],
    sample_of_100: [usize; 5],
}

/// Arguments and results of the scalar functions.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Functions {
    /// a, b, c, a * b + c rounded once.
    fma: Vec<[String; 4]>,
    exp: Vec<[String; 2]>,
    sigmoid: Vec<[String; 2]>,
}

/// A picture's way through a network.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Network {
    name: String,
    /// From the root of the repository.
    picture: String,
    picture_sha256: String,
    weights: Weights,
    stages: Vec<StageVector>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "snake_case")]
enum Weights {
    /// A checkpoint that describes itself, from the root of the repository.
    File { path: String, sha256: String },
    /// Every tensor from its stream; see [`drawn_tensor`].
    Drawn { seed: u64, config: serde_json::Value, tensors: Vec<(String, Vec<usize>)> },
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct StageVector {
    stage: String,
    /// (height, width, 3) of `decoded`, (1, channels, height, width) of a map, (number) of `detections`.
    shape: Vec<usize>,
    digest: Digest,
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap()
}

fn file_of(numerics: u32) -> PathBuf {
    root().join(format!("tests/vectors/numerics-{numerics}.json"))
}

fn sha256(bytes: &[u8]) -> String {
    sha2::Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

fn hex(value: f32) -> String {
    format!("{:08x}", value.to_bits())
}

fn hex64(value: f64) -> String {
    format!("{:016x}", value.to_bits())
}

fn digests() -> Vec<Digested> {
    let (pixels, values) = ([0u8, 1, 2, 127, 128, 255], [0.0, -0.0, 1.0e-45, f32::INFINITY]);
    let found: [(usize, &str, f32, [f32; 4]); 2] =
        [(1, "person", 0.75, [0.5, -0.0, 640.0, 479.5]), (7, "Zug \u{1f682}", 0.05, [1.0; 4])];
    let digest = digest_detections([480, 640], found.iter().copied()).unwrap();
    let detections = found.map(|(id, label, score, [x1, y1, x2, y2])| {
        (id, label.to_owned(), [score, x1, y1, x2, y2].map(hex))
    });
    vec![
        Digested::U8 {
            name: "decoded".to_owned(),
            shape: vec![1, 2, 3],
            values: pixels.to_vec(),
            digest: digest_u8("decoded", &[1, 2, 3], &pixels).unwrap(),
        },
        Digested::F32 {
            name: "P3".to_owned(),
            shape: vec![1, 1, 2, 2],
            values: values.map(hex).to_vec(),
            digest: digest_f32("P3", &[1, 1, 2, 2], &values).unwrap(),
        },
        Digested::Detections { image_size: [480, 640], detections: detections.to_vec(), digest },
    ]
}

fn streams() -> Vec<Drawn> {
    let purposes = [
        (Purpose::Initialisation, "initialisation", "backbone.body.conv1.weight", 0),
        (Purpose::Shuffle, "shuffle", "train", 2),
        (Purpose::Sampling, "sampling", "", u64::MAX),
        (Purpose::Augmentation, "augmentation", "train", 1 << 40),
        (Purpose::TestData, "test-data", "\u{e9}t\u{e9}", 1),
    ];
    let drawn = purposes.into_iter().zip([DEFAULT_SEED, 0, 1, u64::MAX, 7]);
    let drawn = drawn.map(|((purpose, tag, name, index), seed)| {
        let start = || Determinism::strict(seed).stream(purpose, name, index);
        let (mut words, mut f32s, mut f64s) = (start(), start(), start());
        let (mut normals, mut ranges) = (start(), start());
        let mut order = std::array::from_fn(|i| i);
        start().shuffle(&mut order);
        Drawn {
            seed,
            purpose: tag.to_owned(),
            name: name.to_owned(),
            index,
            words: std::array::from_fn(|_| words.next_u32()),
            uniform_f32: std::array::from_fn(|_| hex(f32s.uniform_f32())),
            uniform_f64: std::array::from_fn(|_| hex64(f64s.uniform_f64())),
            normal_f64: std::array::from_fn(|_| hex64(normals.normal_f64())),
            range_of_10: std::array::from_fn(|_| ranges.range(10).unwrap()),
            shuffle_of_10: order,
            sample_of_100: start().sample(100, 5).unwrap().try_into().unwrap(),
        }
    });
    drawn.collect()
}

fn functions() -> Functions {
    let one_and = |ulps: u32| f32::from_bits(1.0f32.to_bits() + ulps);
    let fma = [
        [1.5, -2.25, 0.125],
        // The product needs 48 bits and nearly cancels.
        [one_and(1), one_and(1), -1.0],
        [one_and(3), -one_and(5), 1.0],
        // Just below and just above the middle of two f32, where f64 has the middle itself: rounding
        // twice, to f64 and then to f32, gives another answer.
        [f32::from_bits(0x3f7f_fffe), f32::from_bits(0x3380_0001), one_and(1)],
        [f32::from_bits(0x3f80_1001), f32::from_bits(0x337f_e002), 1.0],
        [f32::from_bits(0xbf80_1001), f32::from_bits(0x337f_e002), -1.0],
        [-0.0, 3.0, 0.0],
        [-0.0, 3.0, -0.0],
        [1.0e-30, 1.0e-15, 1.0e-45],
        [f32::MAX, 2.0, f32::NEG_INFINITY],
    ];
    let values = [
        0.0,
        -0.0,
        1.0,
        -1.0,
        0.5,
        3.25,
        -7.625,
        20.0,
        88.7,
        88.8,
        -87.0,
        -95.5,
        -103.9,
        -104.5,
        -4.595_12,
        1.0e-8,
        -2.197_224_6,
    ];
    let of = |f: fn(f32) -> f32| values.map(|x: f32| [hex(x), hex(f(x))]).to_vec();
    Functions {
        fma: fma.map(|[a, b, c]| [a, b, c, retinanet_kernels::fma(a, b, c)].map(hex)).to_vec(),
        exp: of(retinanet_kernels::exp),
        sigmoid: of(retinanet_kernels::sigmoid),
    }
}

/// The values of a tensor in row-major order: `centre + spread * (2 u - 1)`, rounded once, with u from
/// [`Stream::uniform_f32`] of the tensor's name.
///
/// A weight of a convolution has the centre 0 and the spread 2^-s, s being the least number for which
/// 6 * 4^s is at least its inputs times its taps, and 6 more in `cls_logits` and `bbox_reg`. Other weights
/// and variances have 1 and 1/4, biases and means 0 and 1/8.
fn drawn_tensor(seed: u64, name: &str, shape: &[usize]) -> Vec<f32> {
    let mut stream = Stream::new(seed, Purpose::TestData, name, 0);
    let (centre, spread) = if let [_, inputs, height, width] = shape {
        let fan = inputs * height * width;
        let fits = |s: &u32| 6 * 4usize.pow(*s) >= fan;
        let last = name.contains("cls_logits") || name.contains("bbox_reg");
        let s = (0..).find(fits).unwrap() + if last { 6 } else { 0 };
        (0.0, 1.0 / (1u64 << s) as f32)
    } else if name.ends_with("weight") || name.ends_with("running_var") {
        (1.0, 0.25)
    } else {
        (0.0, 0.125)
    };
    let count = shape.iter().product();
    (0..count).map(|_| centre + spread * (2.0 * stream.uniform_f32() - 1.0)).collect()
}

fn drawn(mut config: RetinaNetConfig, classes: &[&str]) -> Weights {
    assert_eq!(config.num_classes, classes.len());
    config.categories = Some(classes.iter().map(|&class| class.to_owned()).collect());
    Weights::Drawn {
        seed: 1,
        config: serde_json::from_str(&config.to_json().unwrap()).unwrap(),
        tensors: expected_tensors(&config).unwrap(),
    }
}

/// The detector of these weights, in a folder of its own.
fn detector(weights: &Weights, level: Level) -> Detector {
    let builder = Detector::builder().level(level).threads(2);
    match weights {
        Weights::File { path, sha256: hash } => {
            let path = root().join(path);
            assert_eq!(sha256(&std::fs::read(&path).unwrap()), *hash, "{path:?}");
            builder.weights(path).build().unwrap()
        }
        Weights::Drawn { seed, config, tensors } => {
            let bytes: Vec<(&String, &Vec<usize>, Vec<u8>)> = tensors
                .iter()
                .map(|(name, shape)| {
                    let values = drawn_tensor(*seed, name, shape);
                    (name, shape, values.iter().flat_map(|value| value.to_le_bytes()).collect())
                })
                .collect();
            let views = bytes.iter().map(|(name, shape, bytes)| {
                (*name, TensorView::new(Dtype::F32, (*shape).clone(), bytes).unwrap())
            });
            let metadata = HashMap::from([("config".to_owned(), config.to_string())]);
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join("drawn.safetensors");
            safetensors::serialize_to_file(views, Some(metadata), &path).unwrap();
            builder.weights(path).build().unwrap()
        }
    }
}

fn network(name: &str, picture: &str, weights: &Weights, level: Level) -> Network {
    let path = root().join(picture);
    let bytes = std::fs::read(&path).unwrap();
    let image = Image::decode(&bytes, picture).unwrap();
    let detector = detector(weights, level);
    let (found, stages) = detector.detect_traced(&image).unwrap();
    assert!(found.len() > 1, "{name}: {} detections show little", found.len());
    let maps = detector.stage_values(&image).unwrap();
    let shape = |stage: &str| match stage {
        "decoded" => vec![image.height(), image.width(), 3],
        "detections" => vec![found.len()],
        _ => {
            let map = maps.iter().find(|map| map.stage == stage).unwrap();
            [&[1], &map.shape[..]].concat()
        }
    };
    let stages = stages.iter().map(|stage| StageVector {
        stage: stage.stage.clone(),
        shape: shape(&stage.stage),
        digest: stage.digest,
    });
    Network {
        name: name.to_owned(),
        picture: picture.to_owned(),
        picture_sha256: sha256(&bytes),
        weights: weights.clone(),
        stages: stages.collect(),
    }
}

fn networks(level: Level) -> Vec<Network> {
    let plain = drawn(plain_heads(), &["__background__", "red", "green", "blue", "grey"]);
    let norms = drawn(group_norm_heads(), &["__background__", "left", "right"]);
    let bundled = Weights::File {
        path: "examples/assets/person_r18.safetensors".to_owned(),
        sha256: "d711e2bf073d2ce38029f2c2d0edc326398a087ffeeaccfad8b7afdf43618c41".to_owned(),
    };
    vec![
        network("plain heads, PNG", "tests/vectors/picture.png", &plain, level),
        network("plain heads, JPEG", "tests/vectors/picture.jpg", &plain, level),
        network("GroupNorm heads, WebP", "tests/vectors/picture.webp", &norms, level),
        network("bundled checkpoint", "examples/assets/astronaut.png", &bundled, level),
    ]
}

fn level(name: Option<&str>) -> Level {
    name.map_or_else(|| Level::from_env().unwrap(), |name| Level::from_name(name).unwrap())
}

fn frozen() -> Vectors {
    let path = file_of(NUMERICS_VERSION);
    let text = std::fs::read_to_string(&path).unwrap_or_else(|error| {
        panic!("{path:?}: {error}; numerics {NUMERICS_VERSION} has no vectors yet: see vectors.rs")
    });
    serde_json::from_str(&text).unwrap()
}

/// Names the first stage that parts.
fn same_networks(here: &[Network], frozen: &[Network]) {
    assert_eq!(here.len(), frozen.len(), "networks");
    for (here, frozen) in here.iter().zip(frozen) {
        let name = &frozen.name;
        for (here, frozen) in here.stages.iter().zip(&frozen.stages) {
            assert_eq!(here, frozen, "{name}: the first stage that parts");
        }
        assert_eq!(here, frozen, "{name}: other inputs or stages");
    }
}

#[test]
fn digests_streams_and_functions_are_the_frozen_ones() {
    let frozen = frozen();
    assert_eq!(frozen.numerics, NUMERICS_VERSION);
    assert_eq!(digests(), frozen.digests);
    assert_eq!(streams(), frozen.streams);
    assert_eq!(functions(), frozen.functions);
}

#[test]
fn every_stage_of_every_network_is_the_frozen_one() {
    same_networks(&networks(level(None)), &frozen().networks);
}

#[test]
fn every_stage_is_the_frozen_one_in_portable_code() {
    same_networks(&networks(level(Some("portable"))), &frozen().networks);
}

#[test]
fn the_frozen_detections_of_the_bundled_photo_are_the_published_ones() {
    let frozen = frozen();
    let bundled = frozen.networks.iter().find(|network| network.name == "bundled checkpoint");
    let last = bundled.unwrap().stages.last().unwrap();
    assert_eq!(last.stage, "detections");
    assert_eq!(last.digest.to_string(), retinanet_examples::PUBLISHED_DIGEST);
}

#[test]
#[should_panic(expected = "the first stage that parts")]
fn another_digest_of_a_stage_is_found() {
    let frozen = frozen();
    let mut other = self::frozen();
    other.networks[0].stages[3].digest = Digest::from_bytes([0; 32]);
    same_networks(&other.networks, &frozen.networks);
}

#[test]
#[ignore = "writes a file, once for each numerics number"]
fn writes_the_vectors_of_a_new_numerics() {
    let path = file_of(NUMERICS_VERSION);
    assert!(!path.exists(), "{path:?} is frozen: changed bits need another NUMERICS_VERSION");
    let vectors = Vectors {
        numerics: NUMERICS_VERSION,
        digests: digests(),
        streams: streams(),
        functions: functions(),
        networks: networks(level(None)),
    };
    let text = serde_json::to_string(&vectors).unwrap();
    // One tensor, stage or case a line.
    let text = text.replace("],[\"", "],\n[\"").replace(",{\"", ",\n{\"");
    assert_eq!(serde_json::from_str::<Vectors>(&text).unwrap(), vectors);
    std::fs::write(path, text + "\n").unwrap();
}
