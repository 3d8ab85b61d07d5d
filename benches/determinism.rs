//! What the promise of equal bits costs: strict against fast mode, end to end and step by step.
//!
//! Decoding and the transform are the same code in both modes.

use criterion::{Criterion, criterion_group, criterion_main};
use rayon::ThreadPoolBuilder;
use retinanet::image::{Image, Transformed};
use retinanet::model::{LevelAnchors, RetinaNet, RetinaNetConfig};
use retinanet::postprocess::{BlockedLevel, ImageSizes, PostprocessConfig};
use retinanet::{Determinism, Result};
use retinanet_benches::{cores, detector, network_time, photo, quick, slow, v2};
use retinanet_kernels::layout::{BlockedBuffer, BlockedShape};

fn modes() -> [(&'static str, Determinism); 2] {
    [("strict", Determinism::default()), ("fast", Determinism::fast())]
}

fn determinism(criterion: &mut Criterion) {
    let config = RetinaNetConfig::resnet50_fpn_v2();
    let bytes = std::fs::read(photo()).expect("the bundled photo");
    let image = Image::decode(&bytes, "photo").expect("a picture");
    let input = config.transform.apply(&image).expect("an input");

    let models = modes().map(|(mode, determinism)| {
        let model = v2(&config, &determinism).expect("a network");
        (mode, determinism, model)
    });
    let mut group = criterion.benchmark_group("determinism/end to end");
    slow(&mut group);
    for (mode, determinism, model) in &models {
        let detector = detector(model, determinism.clone(), cores()).expect("a detector");
        group.bench_function(*mode, |bencher| {
            bencher.iter(|| {
                let image = Image::decode(&bytes, "photo").expect("a picture");
                detector.detect(&image).expect("detections")
            });
        });
    }
    group.finish();

    let mut group = criterion.benchmark_group("determinism/network");
    slow(&mut group);
    for (mode, determinism, model) in &models {
        let detector = detector(model, determinism.clone(), cores()).expect("a detector");
        group.bench_function(*mode, |bencher| {
            let run = |_| network_time(&detector, input.padded, 1);
            bencher.iter_custom(|runs| (0..runs).map(run).sum());
        });
    }
    group.finish();

    let pool = ThreadPoolBuilder::new().num_threads(cores()).build().expect("threads");
    let mut group = criterion.benchmark_group("determinism/both modes");
    quick(&mut group);
    group.bench_function("decode", |bencher| {
        bencher.iter(|| Image::decode(&bytes, "photo").expect("a picture"));
    });
    group.bench_function("transform", |bencher| {
        bencher.iter(|| pool.install(|| config.transform.apply(&image)).expect("an input"));
    });
    let maps = Maps::new(&models[0].2, &input).expect("predictions");
    group.bench_function("postprocess", |bencher| {
        bencher.iter(|| pool.install(|| maps.boxes(&config.postprocess, config.num_classes)));
    });
    group.finish();
}

/// The network's answer for one input, as its layers leave it.
struct Maps {
    logits: Vec<BlockedBuffer>,
    regression: Vec<BlockedBuffer>,
    anchors: Vec<LevelAnchors>,
    sizes: ImageSizes,
}

impl Maps {
    fn new(model: &RetinaNet, input: &Transformed) -> Result<Self> {
        let [height, width] = input.padded;
        let images = candle_core::Tensor::from_slice(
            &input.data,
            (1, 3, height, width),
            &candle_core::Device::Cpu,
        )?;
        let output = model.forward(&images)?;
        let blocked = |maps: &[candle_core::Tensor]| -> Result<Vec<BlockedBuffer>> {
            let blocked = maps.iter().map(|map| {
                let (_, channels, height, width) = map.dims4()?;
                let values: Vec<f32> = map.flatten_all()?.to_vec1()?;
                Ok(BlockedBuffer::from_chw(BlockedShape::new(channels, [height, width]), &values)?)
            });
            blocked.collect()
        };
        Ok(Self {
            logits: blocked(&output.cls_logits)?,
            regression: blocked(&output.bbox_regression)?,
            anchors: model.anchors(input.padded, &output.grid_sizes())?,
            sizes: ImageSizes { original: input.original, resized: input.resized },
        })
    }

    fn boxes(&self, config: &PostprocessConfig, classes: usize) -> usize {
        let maps = self.logits.iter().zip(&self.regression).zip(&self.anchors);
        let levels: Vec<_> = maps
            .map(|((logits, regression), anchors)| BlockedLevel {
                logits: logits.as_ref(),
                regression: regression.as_ref(),
                anchors,
            })
            .collect();
        config.apply_blocked(&levels, classes, self.sizes).expect("boxes").len()
    }
}

criterion_group!(benches, determinism);
criterion_main!(benches);
