//! Whole detections in the fast mode on the emulated GPU, with a stand-in for cuDNN: close to the CPU's
//! canonical ones, stage by stage.

use std::sync::Arc;

use retinanet::model::RetinaNetConfig;
use retinanet::{BoundingBox, DType, Detector, DetectorBuilder, Determinism, Image};
use retinanet_kernels::cudnn::Format;
use retinanet_tests::reduced::{group_norm_heads, picture, plain_heads};
use retinanet_tests::{demo, new_process};

use crate::emulator::{Chip, emulated, kernel_names};
use crate::naive_library::NaiveLibrary;

const DTYPES: [DType; 3] = [DType::F32, DType::F16, DType::BF16];

/// The largest difference of a stage, in units of the stage's largest value, that each format may make.
fn bound(dtype: DType) -> f32 {
    match dtype {
        DType::F32 => 1e-5,
        DType::F16 => 1e-2,
        _ => 8e-2,
    }
}

fn largest(values: impl Iterator<Item = f32>) -> f32 {
    values.fold(0.0, |largest, value| if value.abs() > largest { value.abs() } else { largest })
}

fn untrained(config: RetinaNetConfig) -> impl Fn(DetectorBuilder) -> Detector {
    move |builder| builder.config(config.clone()).build_untrained().unwrap()
}

/// Compares every stage of the image with the CPU's, in every format.
fn check(name: &str, dtypes: &[DType], image: &Image, build: impl Fn(DetectorBuilder) -> Detector) {
    let expected = build(Detector::builder().threads(2)).stage_values(image).unwrap();
    for dtype in dtypes {
        let Some((gpu, _)) = emulated(Chip::default()) else { return };
        let builder = Detector::builder().determinism(Determinism::fast()).threads(2).dtype(*dtype);
        let fast = build(builder.gpu_with_library(gpu, Arc::new(NaiveLibrary::default())));
        let found = fast.stage_values(image).unwrap();
        assert_eq!(found.len(), expected.len());
        let mut worst = ("", 0.0);
        for (found, expected) in found.iter().zip(&expected) {
            assert_eq!((&found.stage, found.shape), (&expected.stage, expected.shape));
            let pairs = found.values.iter().zip(&expected.values);
            let difference = largest(pairs.map(|(a, b)| a - b));
            let relative = difference / largest(expected.values.iter().copied());
            if relative > worst.1 || relative.is_nan() {
                worst = (&found.stage, relative);
            }
        }
        println!("{name} {dtype:?}: at most {:.1e} of the largest value, at {}", worst.1, worst.0);
        assert!(worst.1 <= bound(*dtype), "{name} {dtype:?}: {worst:?}");
    }
}

#[test]
fn reduced_detections_of_both_heads_are_close_to_the_cpu() {
    check("plain heads", &DTYPES, &picture(53, 37), untrained(plain_heads()));
    check("GroupNorm heads", &DTYPES, &picture(40, 64), untrained(group_norm_heads()));
}

#[test]
fn torchvisions_second_model_is_close_to_the_cpu_on_a_small_canvas() {
    let mut config = RetinaNetConfig::resnet50_fpn_v2();
    config.transform.min_size = 33;
    check("v2", &[DType::F32, DType::F16], &picture(53, 37), untrained(config));
}

#[test]
fn the_demo_checkpoint_finds_the_same_people_in_every_format() {
    let mut config = demo::detector().model().config().clone();
    config.transform.min_size = 192;
    config.transform.max_size = 256;
    config.postprocess.score_thresh = 0.5;
    let photo = demo::photo();
    let build = |builder: DetectorBuilder| {
        builder.weights(retinanet_examples::WEIGHTS).config(config.clone()).build().unwrap()
    };
    let expected = build(Detector::builder()).detect(&photo).unwrap();
    assert!(!expected.is_empty());
    for dtype in DTYPES {
        let Some((gpu, _)) = emulated(Chip::default()) else { return };
        let builder = Detector::builder().determinism(Determinism::fast()).dtype(dtype);
        let fast = build(builder.gpu_with_library(gpu, Arc::new(NaiveLibrary::default())));
        let found = fast.detect(&photo).unwrap();
        for expected in &expected {
            // One near the threshold may fall below it.
            if expected.score < 0.55 {
                continue;
            }
            let same = |found: &&retinanet::Detection| {
                found.label == expected.label
                    && (found.score - expected.score).abs() < 0.03
                    && overlap(&found.bounding_box, &expected.bounding_box) > 0.9
            };
            assert!(found.iter().any(|one| same(&one)), "{dtype:?}: {expected:?} not in {found:?}");
        }
    }
}

fn overlap(a: &BoundingBox, b: &BoundingBox) -> f32 {
    let ([ax1, ay1, ax2, ay2], [bx1, by1, bx2, by2]) = (<[f32; 4]>::from(*a), <[f32; 4]>::from(*b));
    let least = |a: f32, b: f32| if a < b { a } else { b };
    let most = |a: f32, b: f32| if a > b { a } else { b };
    let width = most(0.0, least(ax2, bx2) - most(ax1, bx1));
    let height = most(0.0, least(ay2, by2) - most(ay1, by1));
    let both = width * height;
    both / ((ax2 - ax1) * (ay2 - ay1) + (bx2 - bx1) * (by2 - by1) - both)
}

#[test]
fn an_answer_does_not_depend_on_the_other_images_or_the_order_of_threads() {
    let images = [picture(53, 37), picture(40, 64), picture(1, 1)];
    for dtype in DTYPES {
        let mut answers = Vec::new();
        for reversed in [false, true] {
            let Some((gpu, _)) = emulated(Chip { reversed, ..Chip::default() }) else { return };
            let builder = Detector::builder().determinism(Determinism::fast()).dtype(dtype);
            let builder = builder.gpu_with_library(gpu, Arc::new(NaiveLibrary::default()));
            let detector = untrained(group_norm_heads())(builder);
            let together = detector.detect_batch(&images).unwrap();
            let alone = images.iter().map(|image| detector.detect(image).unwrap());
            for (together, alone) in together.iter().zip(alone) {
                assert_eq!(together.digest().unwrap(), alone.digest().unwrap());
                answers.push(alone.digest().unwrap());
            }
        }
        assert_eq!(answers[..images.len()], answers[images.len()..]);
    }
}

#[test]
fn a_detection_starts_every_kernel_of_its_format() {
    for format in Format::ALL {
        let Some((gpu, emulator)) = emulated(Chip::default()) else { return };
        let dtype = DTYPES[format as usize];
        let builder = Detector::builder().determinism(Determinism::fast()).dtype(dtype);
        let library = Arc::new(NaiveLibrary { unfused: true, ..NaiveLibrary::default() });
        let detector = untrained(group_norm_heads())(builder.gpu_with_library(gpu, library));
        detector.detect(&picture(53, 37)).unwrap();
        let (source, started) = (retinanet_kernels::cudnn::source(), emulator.started());
        let suffix = format!("_{format}");
        for name in kernel_names(&source).iter().filter(|name| name.ends_with(&suffix)) {
            assert!(started.contains(name), "{name} is never started: {started:?}");
        }
        assert!(started.contains(&"norm_groups") && !started.contains(&"norm_apply"));
    }
}

#[test]
fn the_mode_decides_what_convolves_and_reports_name_it() {
    let Some((gpu, _)) = emulated(Chip::default()) else { return };
    let library = Arc::new(NaiveLibrary::default());
    let builder = || {
        let builder = Detector::builder().config(plain_heads());
        builder.gpu_with_library(gpu.clone(), library.clone())
    };
    let asked = || std::mem::take(&mut *library.asked.lock().unwrap());
    let image = picture(53, 37);
    // Strict: the canonical kernels, and the CPU's bits.
    let strict = builder().build_untrained().unwrap();
    let cpu = Detector::builder().config(plain_heads()).build_untrained().unwrap();
    let (expected, found) = (cpu.detect(&image).unwrap(), strict.detect(&image).unwrap());
    assert_eq!(found.digest().unwrap(), expected.digest().unwrap());
    assert!(asked().is_empty() && !strict.environment().device.contains("cuDNN"));
    // Fast, but without cuDNN: the canonical kernels too.
    let fast = Determinism::fast;
    let canonical = builder().determinism(fast()).cudnn(false).build_untrained().unwrap();
    assert_eq!(canonical.detect(&image).unwrap().digest().unwrap(), expected.digest().unwrap());
    assert!(asked().is_empty());
    // Fast.
    let half = builder().determinism(fast()).dtype(DType::F16).build_untrained().unwrap();
    half.detect(&image).unwrap();
    let convolutions = asked();
    assert!(convolutions.iter().all(|one| one.format == Format::F16 && !one.pinned));
    assert!(convolutions.iter().any(|one| one.residual && one.relu));
    assert!(half.environment().device.ends_with(" (cuDNN f16)"), "{}", half.environment().device);
}

#[test]
fn what_cannot_be_had_is_refused_with_the_remedy() {
    let Some((gpu, _)) = emulated(Chip::default()) else { return };
    let library = Arc::new(NaiveLibrary::default());
    let build = |builder: DetectorBuilder| {
        builder.config(plain_heads()).build_untrained().map(|_| ()).unwrap_err().to_string()
    };
    let on_gpu = || Detector::builder().gpu_with_library(gpu.clone(), library.clone());
    let fast = Determinism::fast;
    let error = build(on_gpu().dtype(DType::F16));
    assert!(error.contains("strict determinism computes in f32"), "{error}");
    for builder in
        [Detector::builder(), on_gpu().cudnn(false), Detector::builder().gpu(gpu.clone())]
    {
        let error = build(builder.determinism(fast()).dtype(DType::BF16));
        assert!(error.contains("dtype bf16") && error.contains("fast mode on a GPU"), "{error}");
    }
    let error = build(Detector::builder().cudnn(true));
    assert!(
        error.contains("cudnn is true") && error.contains("device(Device::Cuda(0))"),
        "{error}"
    );
    // A model with weights for other kernels.
    let model = |builder: DetectorBuilder| untrained(plain_heads())(builder).model().clone();
    let f16 = || on_gpu().determinism(fast()).dtype(DType::F16);
    for other in [
        model(on_gpu()),
        model(on_gpu().determinism(fast())),
        model(on_gpu().determinism(fast()).dtype(DType::BF16)),
    ] {
        let detector = f16().build_with_model(other).unwrap();
        let error = detector.detect(&picture(53, 37)).unwrap_err().to_string();
        assert!(error.contains("for other kernels than the detector's"), "{error}");
    }
    let refuses = Arc::new(NaiveLibrary { refuses: true, ..NaiveLibrary::default() });
    let builder = Detector::builder().gpu_with_library(gpu.clone(), refuses).determinism(fast());
    let detector = untrained(plain_heads())(builder);
    let error = detector.detect(&picture(53, 37)).unwrap_err().to_string();
    assert!(error.contains("convolve: no algorithm"), "{error}");
}

#[test]
fn pinned_cudnn_insists_on_the_settings_and_says_what_it_promises() {
    let test = "fast_network::pinned_cudnn_insists_on_the_settings_and_says_what_it_promises";
    let variables = ["CUBLAS_WORKSPACE_CONFIG", "NVIDIA_TF32_OVERRIDE", "RETINANET_TEST_PINNED"];
    let Some((gpu, _)) = emulated(Chip::default()) else { return };
    if std::env::var_os(variables[2]).is_none() {
        let right = [":4096:8", "0", "1"];
        let answer = new_process::ask(test, &[0, 1, 2].map(|i| (variables[i], right[i])));
        assert_eq!(answer, "pinned");
        let wrong = [":4096:8", "1", "1"];
        let answer = new_process::ask(test, &[0, 1, 2].map(|i| (variables[i], wrong[i])));
        assert!(answer.contains("NVIDIA_TF32_OVERRIDE is \"1\""), "{answer}");
        return;
    }
    let library = Arc::new(NaiveLibrary::default());
    let builder = Detector::builder().gpu_with_library(gpu, library.clone()).cudnn(true);
    match builder.config(plain_heads()).build_untrained() {
        Err(error) => new_process::answer(error.to_string().replace('\n', " ")),
        Ok(detector) => {
            detector.detect(&picture(53, 37)).unwrap();
            let asked = library.asked.lock().unwrap();
            assert!(asked.iter().all(|one| one.pinned && one.format == Format::F32));
            let environment = detector.environment();
            assert!(environment.device.ends_with(" (cuDNN f32, pinned)"));
            assert!(environment.to_string().contains("one GPU, driver and cuDNN"));
            new_process::answer("pinned");
        }
    }
}
