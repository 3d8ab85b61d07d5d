//! Each convolution of the network, beside candle's own on the same numbers.
//!
//! candle's gets and answers (1, C, H, W) tensors; ours the channel-blocked maps that the layers of
//! the network hand to each other.

use candle_core::{Device, Tensor};
use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use retinanet_benches::layers::{LAYERS, Prepared};
use retinanet_benches::{quick, slow};
use retinanet_kernels::Level;

fn ours(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("conv2d/retinanet");
    quick(&mut group);
    for layer in LAYERS {
        let mut prepared = Prepared::new(layer, Level::best());
        group.throughput(Throughput::Elements(2 * layer.multiplies()));
        group.bench_function(BenchmarkId::from_parameter(layer.label()), |bencher| {
            bencher.iter(|| prepared.run());
        });
    }
    group.finish();
}

fn candle(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("conv2d/candle");
    slow(&mut group);
    for layer in LAYERS {
        let (spec, [height, width]) = (layer.spec, layer.size);
        let tensor = |values: Vec<f32>, shape: (usize, usize, usize, usize)| {
            Tensor::from_vec(values, shape, &Device::Cpu).expect("a tensor")
        };
        let input = tensor(layer.input(), (1, spec.in_channels, height, width));
        let shape = (spec.out_channels, spec.in_channels, spec.kernel[0], spec.kernel[1]);
        let weight = tensor(layer.weight(), shape);
        group.throughput(Throughput::Elements(2 * layer.multiplies()));
        group.bench_function(BenchmarkId::from_parameter(layer.label()), |bencher| {
            bencher.iter(|| {
                input.conv2d(&weight, spec.padding[0], spec.stride[0], 1, 1).expect("conv")
            });
        });
    }
    group.finish();
}

criterion_group!(benches, ours, candle);
criterion_main!(benches);
