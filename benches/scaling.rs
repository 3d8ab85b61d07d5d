//! Threads, batches and image sizes. Throughput in elements: images for threads and batches, input
//! pixels for sizes.

use std::time::Duration;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use retinanet::image::Image;
use retinanet::model::{RetinaNet, RetinaNetConfig};
use retinanet::{Detector, Determinism};
use retinanet_benches::{CANVAS, cores, detector, network_time, slow, v2};

fn model() -> RetinaNet {
    v2(&RetinaNetConfig::resnet50_fpn_v2(), &Determinism::default()).expect("a network")
}

fn network(detector: &Detector, size: [usize; 2], runs: u64) -> Duration {
    (0..runs).map(|_| network_time(detector, size, 1)).sum()
}

/// The network at 800 x 1088 on one thread, two, four, ... up to one per core.
fn threads(criterion: &mut Criterion) {
    let model = model();
    let mut group = criterion.benchmark_group("scaling/threads");
    slow(&mut group);
    group.throughput(Throughput::Elements(1));
    for threads in (0..).map(|log2| 1 << log2).take_while(|threads| *threads <= cores()) {
        let detector = detector(&model, Determinism::default(), threads).expect("a detector");
        group.bench_function(BenchmarkId::from_parameter(threads), |bencher| {
            bencher.iter_custom(|runs| network(&detector, CANVAS, runs));
        });
    }
    group.finish();
}

/// Whole detections of 1, 4 and 16 square photos that are not resized.
fn batches(criterion: &mut Criterion) {
    let mut config = RetinaNetConfig::resnet50_fpn_v2();
    let mut group = criterion.benchmark_group("scaling/batch");
    slow(&mut group);
    for side in [320, 512, 800] {
        config.transform.fixed_size = Some([side, side]);
        let model = v2(&config, &Determinism::default()).expect("a network");
        let detector = detector(&model, Determinism::default(), cores()).expect("a detector");
        for images in [1, 4, 16] {
            let photos = photos(side, images);
            group.throughput(Throughput::Elements(images as u64));
            let id = BenchmarkId::new(format!("{side}px"), images);
            group.bench_function(id, |bencher| {
                bencher.iter(|| detector.detect_batch(&photos).expect("detections"));
            });
        }
    }
    group.finish();
}

fn photos(side: usize, images: usize) -> Vec<Image> {
    let photo = |seed| {
        let pixels = retinanet_benches::generator::picture(seed as u64, side, side);
        Image::from_rgb8(side, side, pixels).expect("a photo")
    };
    (0..images).map(photo).collect()
}

/// The network on square canvases.
fn sizes(criterion: &mut Criterion) {
    let detector = detector(&model(), Determinism::default(), cores()).expect("a detector");
    let mut group = criterion.benchmark_group("scaling/size");
    slow(&mut group);
    for side in [160, 224, 320, 448, 640, 800, 1088, 1440, 2048] {
        group.throughput(Throughput::Elements((side * side) as u64));
        group.bench_function(BenchmarkId::from_parameter(side), |bencher| {
            bencher.iter_custom(|runs| network(&detector, [side, side], runs));
        });
    }
    group.finish();
}

criterion_group!(benches, threads, batches, sizes);
criterion_main!(benches);
