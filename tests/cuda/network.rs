//! Whole detections on the emulated GPU: every stage's digest is the CPU's.

use retinanet::model::RetinaNetConfig;
use retinanet::weights::Architecture;
use retinanet::{Detector, DetectorBuilder, Device, Image};
use retinanet_tests::demo;
use retinanet_tests::reduced::{group_norm_heads, picture, plain_heads};

use crate::emulator::{Chip, emulated, kernel_names};

/// Detections and all stages of each image, alone on the CPU and alone on the emulated GPU, then all
/// together there.
fn check(name: &str, chip: Chip, images: &[Image], build: impl Fn(DetectorBuilder) -> Detector) {
    let Some((gpu, _)) = emulated(chip) else { return };
    let on_cpu = build(Detector::builder().threads(2));
    let on_gpu = build(Detector::builder().threads(2).gpu(gpu));
    let mut expected = Vec::new();
    for image in images {
        let (found, stages) = on_cpu.detect_traced(image).unwrap();
        let (found_on_gpu, stages_on_gpu) = on_gpu.detect_traced(image).unwrap();
        assert_eq!(stages_on_gpu.to_string(), stages.to_string(), "{name}");
        assert_eq!(found_on_gpu.digest().unwrap(), found.digest().unwrap(), "{name}");
        assert!(!found.is_empty(), "{name} finds nothing");
        expected.push(found.digest().unwrap());
    }
    let together = on_gpu.detect_batch(images).unwrap();
    let together: Vec<_> = together.iter().map(|found| found.digest().unwrap()).collect();
    assert_eq!(together, expected, "{name}, together");
}

fn untrained(config: RetinaNetConfig) -> impl Fn(DetectorBuilder) -> Detector {
    move |builder| builder.config(config.clone()).build_untrained().unwrap()
}

#[test]
fn reduced_detections_of_both_heads_equal_the_cpu() {
    let images = [picture(53, 37), picture(40, 64), picture(1, 1)];
    let chips = [
        Chip::default(),
        Chip { multiprocessors: 1, reversed: true, ..Chip::default() },
        Chip { multiprocessors: 1_000_000, reversed: true, ..Chip::default() },
    ];
    for chip in chips {
        check("plain heads", chip, &images, untrained(plain_heads()));
        check("GroupNorm heads", chip, &images, untrained(group_norm_heads()));
    }
}

#[test]
fn the_demo_checkpoint_equals_the_cpu() {
    let mut config = demo::detector().model().config().clone();
    config.transform.min_size = 128;
    config.transform.max_size = 160;
    let photo = demo::photo();
    check("demo", Chip::default(), &[photo], |builder| {
        builder.weights(retinanet_examples::WEIGHTS).config(config.clone()).build().unwrap()
    });
}

#[test]
fn torchvisions_two_models_equal_the_cpu_on_a_small_canvas() {
    for architecture in [Architecture::RetinanetResnet50Fpn, Architecture::RetinanetResnet50FpnV2] {
        let mut config = match architecture {
            Architecture::RetinanetResnet50Fpn => RetinaNetConfig::resnet50_fpn(),
            _ => RetinaNetConfig::resnet50_fpn_v2(),
        };
        config.transform.min_size = 33;
        config.postprocess.score_thresh = 0.001;
        check(&format!("{architecture:?}"), Chip::default(), &[picture(53, 37)], untrained(config));
    }
}

#[test]
fn a_detection_starts_every_kernel_of_the_network() {
    let Some((gpu, emulator)) = emulated(Chip::default()) else { return };
    let detector =
        Detector::builder().config(group_norm_heads()).gpu(gpu).build_untrained().unwrap();
    detector.detect(&picture(530, 370)).unwrap();
    let source = retinanet_kernels::cuda::source();
    // Tiles of other sizes are for other chips.
    let needed = kernel_names(&source)
        .into_iter()
        .filter(|name| !["_large", "_medium", "_small"].iter().any(|size| name.ends_with(size)));
    let started = emulator.started();
    for name in needed {
        assert!(started.contains(&name), "{name} is never started: {started:?}");
    }
}

#[test]
fn a_model_built_on_the_cpu_is_refused_on_a_gpu() {
    let Some((gpu, emulator)) = emulated(Chip::default()) else { return };
    let cpu = Detector::builder().config(plain_heads()).build_untrained().unwrap();
    let model = cpu.model().clone();
    let detector = Detector::builder().gpu(gpu).build_with_model(model).unwrap();
    let error = detector.detect(&picture(53, 37)).unwrap_err().to_string();
    assert!(error.contains("the weights are on the CPU"), "{error}");
    assert_eq!(emulator.started(), ["resize_normalised"]);
}

#[test]
fn a_full_gpu_is_an_error_and_the_detector_stays_usable() {
    let chip = Chip { memory: 24 << 20, ..Chip::default() };
    let Some((gpu, _)) = emulated(chip) else { return };
    let build = untrained(plain_heads());
    let detector = build(Detector::builder().gpu(gpu));
    let small = picture(53, 37);
    let expected = detector.detect(&small).unwrap().digest().unwrap();
    let mut config = plain_heads();
    config.transform.min_size = 1000;
    config.transform.max_size = 1000;
    let Some((gpu, _)) = emulated(chip) else { return };
    let large = untrained(config)(Detector::builder().gpu(gpu));
    let error = large.detect(&small).unwrap_err().to_string();
    assert!(error.contains("no room for"), "{error}");
    assert_eq!(detector.detect(&small).unwrap().digest().unwrap(), expected);
}

#[test]
fn without_a_gpu_the_error_says_what_to_do() {
    // Where there is a GPU, a number that no machine has.
    let error = Detector::builder()
        .config(plain_heads())
        .device(Device::Cuda(4000))
        .build_untrained()
        .unwrap_err()
        .to_string();
    assert!(error.contains("the CPU, whose answers are the same"), "{error}");
}
