//! The pointwise convolutions, which are plain matrix products: GFLOP/s beside the machine's peak.

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use retinanet_benches::layers::{LAYERS, Prepared};
use retinanet_benches::quick;
use retinanet_kernels::{Level, peak};

fn gemm(criterion: &mut Criterion) {
    let level = Level::best();
    println!("peak: {:.0} GFLOP/s on {level}", peak::multiply_add_rate(level) / 1e9);
    let mut group = criterion.benchmark_group("gemm");
    quick(&mut group);
    let pointwise = |kernel: [usize; 2]| kernel == [1, 1];
    for layer in LAYERS.iter().filter(|layer| pointwise(layer.spec.kernel)) {
        let mut prepared = Prepared::new(layer, level);
        // An element is an operation here, so criterion's Gelem/s are GFLOP/s.
        group.throughput(Throughput::Elements(2 * layer.multiplies()));
        group.bench_function(BenchmarkId::from_parameter(layer.label()), |bencher| {
            bencher.iter(|| prepared.run());
        });
    }
    group.finish();
}

criterion_group!(benches, gemm);
criterion_main!(benches);
