//! Where the network's time goes: its parts, each measured in runs of the whole.

use std::time::Duration;

use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};
use retinanet::model::RetinaNetConfig;
use retinanet::{Detector, Determinism};
use retinanet_benches::{CANVAS, cores, detector, slow, v2};

/// Each part and whether a stage belongs to it.
const PARTS: [(&str, fn(&str) -> bool); 9] = [
    ("stem", |stage| stage == "stem"),
    ("pool", |stage| stage == "pool"),
    ("layer1", |stage| stage == "layer1"),
    ("C3", |stage| stage == "C3"),
    ("C4", |stage| stage == "C4"),
    ("C5", |stage| stage == "C5"),
    ("pyramid", |stage| stage.starts_with('P')),
    ("classification head", |stage| stage.starts_with("logits/")),
    ("regression head", |stage| stage.starts_with("regression/")),
];

fn time_of(detector: &Detector, belongs: fn(&str) -> bool) -> Duration {
    let stages = detector.profile_network(CANVAS, 1).expect("a network that runs");
    stages.iter().filter(|stage| belongs(&stage.stage)).map(|stage| stage.time).sum()
}

fn stages(criterion: &mut Criterion) {
    let strict = Determinism::default();
    let model = v2(&RetinaNetConfig::resnet50_fpn_v2(), &strict).expect("a network");
    let detector = detector(&model, strict, cores()).expect("a detector");
    let mut group = criterion.benchmark_group("stages");
    slow(&mut group);
    for (part, belongs) in PARTS {
        group.bench_function(BenchmarkId::from_parameter(part), |bencher| {
            bencher.iter_custom(|runs| (0..runs).map(|_| time_of(&detector, belongs)).sum());
        });
    }
    group.bench_function(BenchmarkId::from_parameter("all"), |bencher| {
        bencher.iter_custom(|runs| (0..runs).map(|_| time_of(&detector, |_| true)).sum());
    });
    group.finish();
}

criterion_group!(benches, stages);
criterion_main!(benches);
