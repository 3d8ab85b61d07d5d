//! The fast mode on a GPU: how far its stages are from the CPU's, how fast it is, and whether pinned
//! cuDNN repeats its bits.

use std::sync::Arc;

use retinanet::model::RetinaNetConfig;
use retinanet::ops::{ConvolutionLibrary, Cudnn, Gpu, Nvidia};
use retinanet::{DType, Detector, DetectorBuilder, Determinism, Image, Result};
use retinanet_tests::reduced::{group_norm_heads, picture, plain_heads};
use serde_json::json;

use crate::Options;
use crate::emulator::{Chip, emulated};
use crate::naive_library::NaiveLibrary;

/// A GPU and what convolves on it.
type OnGpu = (Gpu, Arc<dyn ConvolutionLibrary>);

fn open(options: &Options) -> Result<(OnGpu, String)> {
    if let Some((gpu, _)) = options.emulate.then(|| emulated(Chip::default())).flatten() {
        let library = Arc::new(NaiveLibrary::default());
        return Ok(((gpu, library), "an emulated GPU, and the CPU for cuDNN".to_owned()));
    }
    let nvidia =
        Nvidia::open(0, options.shelf.as_deref())?.with_fast_layers(options.shelf.as_deref())?;
    let cudnn = Cudnn::open(&nvidia)?;
    let name = format!("{}, {}", nvidia.info(), cudnn.name());
    Ok(((Gpu::new(Arc::new(nvidia)), Arc::new(cudnn)), name))
}

/// Compares, repeats and times; `false` where pinned bits differ or a stage is far from the CPU's.
pub fn check(options: &Options) -> Result<bool> {
    let (on, name) = open(options)?;
    println!("{name}\n");
    let networks = if options.quick {
        vec![("plain heads", plain_heads()), ("GroupNorm heads", group_norm_heads())]
    } else {
        let networks = [RetinaNetConfig::resnet50_fpn_v2(), RetinaNetConfig::resnet50_fpn()];
        ["v2", "v1"].into_iter().zip(networks).collect()
    };
    let image = picture(640, 480);
    let mut good = true;
    let mut rows = Vec::new();
    for (network, config) in networks {
        let build = |builder: DetectorBuilder| builder.config(config.clone()).build_untrained();
        let expected = build(Detector::builder())?;
        let modes = if options.pinned {
            vec![("pinned f32", DType::F32, 1e-4)]
        } else {
            vec![("f32", DType::F32, 2e-2), ("f16", DType::F16, 2e-2), ("bf16", DType::BF16, 1e-1)]
        };
        for (mode, dtype, bound) in modes {
            let builder = Detector::builder().gpu_with_library(on.0.clone(), Arc::clone(&on.1));
            let detector = build(match options.pinned {
                true => builder.cudnn(true),
                false => builder.determinism(Determinism::fast()).dtype(dtype),
            })?;
            let what = format!("{network} cuDNN {mode}");
            if options.bits {
                good &= near(&what, &expected, &detector, &image, bound)?;
            }
            if options.pinned && options.bits {
                good &= repeats(&what, &detector, &image, options.runs)?;
            }
            if options.times && !options.quick {
                time(&what, &detector, &mut rows)?;
            }
        }
    }
    if let Some(path) = &options.json {
        let record = json!({ "gpu": name, "times": rows }).to_string();
        std::fs::write(path, record).unwrap_or_else(|error| panic!("{path}: {error}"));
    }
    Ok(good)
}

/// Whether no stage differs from the CPU's by more than `bound` times its largest value.
fn near(what: &str, cpu: &Detector, gpu: &Detector, image: &Image, bound: f32) -> Result<bool> {
    let (expected, found) = (cpu.stage_values(image)?, gpu.stage_values(image)?);
    let largest = |values: &mut dyn Iterator<Item = f32>| {
        values.fold(0.0f32, |most, value| if value.abs() > most { value.abs() } else { most })
    };
    let mut worst = ("input", 0.0);
    for (expected, found) in expected.iter().zip(&found) {
        let mut differences = expected.values.iter().zip(&found.values).map(|(a, b)| a - b);
        let scale = largest(&mut expected.values.iter().copied());
        let relative = largest(&mut differences) / scale;
        if relative > worst.1 || relative.is_nan() {
            worst = (&expected.stage, relative);
        }
    }
    let near = worst.1 <= bound;
    let verdict = if near { "near the CPU" } else { "FAR FROM THE CPU" };
    println!("{what}: {verdict}: at most {:.1e} of the largest value, at {}", worst.1, worst.0);
    Ok(near)
}

fn repeats(what: &str, gpu: &Detector, image: &Image, runs: usize) -> Result<bool> {
    let first = gpu.detect_traced(image)?.1.to_string();
    let mut same = true;
    for _ in 0..runs {
        same &= gpu.detect_traced(image)?.1.to_string() == first;
    }
    // Between processes, this line must be the same too.
    let digest = gpu.detect(image)?.digest()?;
    println!("{what}: {runs} runs {}, {digest}", if same { "equal" } else { "DIFFER" });
    Ok(same)
}

fn time(what: &str, detector: &Detector, rows: &mut Vec<serde_json::Value>) -> Result<()> {
    for (size, images) in [([800, 1088], 1), ([800, 1088], 8), ([320, 320], 1), ([320, 320], 16)] {
        detector.time_network(size, images, 5)?;
        let times = detector.time_network(size, images, 30)?;
        let mut seconds: Vec<f64> = times.iter().map(|time| time.as_secs_f64()).collect();
        seconds.sort_by(f64::total_cmp);
        let (median, least) = (seconds[seconds.len() / 2], seconds[0]);
        println!(
            "{what}: {}x{}, {images} images: median {:.3} ms, least {:.3} ms",
            size[0],
            size[1],
            median * 1e3,
            least * 1e3
        );
        rows.push(json!({
            "mode": what, "size": size, "images": images,
            "median_seconds": median, "least_seconds": least,
        }));
    }
    Ok(())
}
