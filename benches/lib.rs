//! What the benches share: the network that is measured, its layers, and pictures to run it on.

use std::path::PathBuf;
use std::time::Duration;

use criterion::measurement::WallTime;
use criterion::{BenchmarkGroup, SamplingMode};
use retinanet::determinism::Init;
use retinanet::model::{RetinaNet, RetinaNetConfig, TensorSource};
use retinanet::ops::{Arithmetic, Level};
use retinanet::{Detector, Determinism};

#[path = "../tests/generator.rs"]
pub mod generator;
pub mod layers;

/// Height and width of the canvas that a 640 x 480 photo becomes.
pub const CANVAS: [usize; 2] = [800, 1088];

/// The bundled photo (512 x 512).
pub fn photo() -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../examples/assets/astronaut.png"))
}

/// retinanet_resnet50_fpn_v2 with weights that find a plausible number of objects.
///
/// # Errors
/// Those of [`RetinaNet::new`].
pub fn v2(config: &RetinaNetConfig, determinism: &Determinism) -> retinanet::Result<RetinaNet> {
    let arithmetic = Arithmetic::new(determinism, Level::from_env()?);
    RetinaNet::with_arithmetic(config, arithmetic, Drawn)
}

/// A detector around [`v2`].
///
/// # Errors
/// Those of [`retinanet::DetectorBuilder::build_with_model`].
pub fn detector(
    model: &RetinaNet,
    determinism: Determinism,
    threads: usize,
) -> retinanet::Result<Detector> {
    Detector::builder().determinism(determinism).threads(threads).build_with_model(model.clone())
}

/// How long the network takes on `images` canvases, without what comes before and after it.
///
/// # Panics
/// It fails.
pub fn network_time(detector: &Detector, size: [usize; 2], images: usize) -> Duration {
    let stages = detector.profile_network(size, images).expect("a network that runs");
    stages.iter().map(|stage| stage.time).sum()
}

/// As many threads as there are cores.
pub fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

/// Few samples of something slow: ten, each as few runs as criterion allows.
pub fn slow(group: &mut BenchmarkGroup<'_, WallTime>) {
    group
        .sample_size(10)
        .sampling_mode(SamplingMode::Flat)
        .warm_up_time(Duration::from_millis(1))
        .measurement_time(Duration::from_millis(10));
}

/// Few samples of something quick.
pub fn quick(group: &mut BenchmarkGroup<'_, WallTime>) {
    group
        .sample_size(10)
        .warm_up_time(Duration::from_millis(50))
        .measurement_time(Duration::from_millis(200));
}

/// The logits' bias: about one in ten thousand passes the score threshold.
const LOGITS_BIAS: f32 = -6.5;

/// The tensor of that name of [`v2`].
pub fn weights(name: &str, shape: &[usize]) -> Vec<f32> {
    if name.ends_with("cls_logits.bias") {
        return vec![LOGITS_BIAS; shape.iter().product()];
    }
    drawn(name, shape)
}

/// Numbers that `tests/golden/generator.py` makes as well: convolutions' as Kaiming would, norms near
/// the identity.
pub fn drawn(name: &str, shape: &[usize]) -> Vec<f32> {
    let last_norm = "bn3".to_owned();
    let lively = generator::Lively { log2_logits_gain: 0, log2_boxes_gain: -3, last_norm };
    generator::tensor(2, name, shape, &lively)
}

/// Makes every tensor from its name.
struct Drawn;

impl TensorSource for Drawn {
    fn tensor(&self, name: &str, shape: &[usize], _: Init) -> retinanet::Result<Vec<f32>> {
        Ok(weights(name, shape))
    }
}
