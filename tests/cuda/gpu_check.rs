//! On a machine with a GPU: is every stage the CPU's to the bit, and how fast is it? Prints tables; the
//! exit status is 1 where a bit differs. `run_on_gpu.sh` beside it builds and runs it.
//!
//!     gpu_check [--quick] [--emulate] [--fast | --pinned] [--part bits|times] [--runs N] [--shelf FOLDER] [--json FILE]
//!     gpu_check --prepare FOLDER          compiles the kernels for common chips; no GPU needed
//!     gpu_check --describe                what GPU, driver and libraries there are
//!
//! `--fast` is about cuDNN instead, in f32, f16 and bf16: how far from the CPU, and how fast. `--pinned`
//! is about pinned cuDNN, which must answer the same bits in every run.

#[allow(dead_code, reason = "the tests use more of it")]
#[path = "emulator.rs"]
mod emulator;
#[cfg(feature = "cudnn")]
#[path = "fast_check.rs"]
mod fast_check;
#[cfg(feature = "cudnn")]
#[allow(dead_code, reason = "the tests use more of it")]
#[path = "naive_library.rs"]
mod naive_library;

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use retinanet::model::{RetinaNet, RetinaNetConfig};
use retinanet::ops::{Arithmetic, Gpu, Level, Nvidia};
use retinanet::{Detector, Determinism, Device, Image, Result};
use retinanet_tests::parity_data::ParityData;
use retinanet_tests::parity_models::model;
use retinanet_tests::reduced::{group_norm_heads, picture, plain_heads};
use serde_json::json;

/// What was asked for.
#[derive(Default)]
struct Options {
    /// Small networks only, each once: under a checking tool that slows everything down.
    quick: bool,
    /// On an emulated GPU: to try this program without one.
    emulate: bool,
    /// cuDNN instead of the canonical kernels.
    fast: bool,
    /// With a fixed algorithm and precision.
    pinned: bool,
    /// Detections of one picture that must all be equal.
    runs: usize,
    json: Option<String>,
    /// Where compiled kernels are kept.
    shelf: Option<PathBuf>,
    /// Compile them onto that shelf, and no more.
    prepare: bool,
    /// Say what is here, and no more.
    describe: bool,
    /// Compare bits.
    bits: bool,
    /// Take times.
    times: bool,
}

fn options() -> std::result::Result<Options, String> {
    let mut options = Options { bits: true, times: true, runs: 100, ..Options::default() };
    let mut words = std::env::args().skip(1);
    while let Some(word) = words.next() {
        let mut value = || words.next().ok_or(format!("{word} needs a value"));
        match word.as_str() {
            "--quick" => options.quick = true,
            "--emulate" => options.emulate = true,
            "--fast" => options.fast = true,
            "--pinned" => options.pinned = true,
            "--runs" => options.runs = value()?.parse().map_err(|_| "--runs needs a number")?,
            "--json" => options.json = Some(value()?),
            "--shelf" => options.shelf = Some(value()?.into()),
            "--prepare" => (options.prepare, options.shelf) = (true, Some(value()?.into())),
            "--describe" => options.describe = true,
            "--part" => match value()?.as_str() {
                "bits" => options.times = false,
                "times" => options.bits = false,
                other => return Err(format!("--part is bits or times, not {other}")),
            },
            _ => return Err(format!("unknown option {word}")),
        }
    }
    Ok(options)
}

fn open(ordinal: usize, shelf: Option<&Path>) -> Result<(Gpu, String)> {
    let nvidia = Nvidia::open(ordinal, shelf)?;
    let name = nvidia.info().to_string();
    Ok((Gpu::new(Arc::new(nvidia)), name))
}

/// Compares one picture's stages; answers whether they are equal, and says how.
fn compare(what: &str, cpu: &Detector, gpu: &Detector, image: &Image) -> Result<bool> {
    let (expected, stages) = cpu.detect_traced(image)?;
    let (found, stages_found) = gpu.detect_traced(image)?;
    let (left, right) = (stages.to_string(), stages_found.to_string());
    let same = left == right && expected.digest()? == found.digest()?;
    let parted = left.lines().zip(right.lines()).find(|(a, b)| a != b);
    let verdict = match parted {
        _ if same => format!("{} stages equal", left.lines().count()),
        Some((line, _)) => format!("PARTS AT {}", line.split_whitespace().next().unwrap_or("?")),
        None => "PARTS".to_owned(),
    };
    println!("| {what} | {}x{} | {} | {verdict} |", image.width(), image.height(), found.len());
    Ok(same)
}

fn drawn(config: &RetinaNetConfig, arithmetic: Arithmetic<'_>) -> Result<RetinaNet> {
    RetinaNet::with_arithmetic(config, arithmetic, Determinism::default())
}

/// Both detectors of one model.
fn pair(gpu: &Gpu, make: impl Fn(Arithmetic<'_>) -> Result<RetinaNet>) -> Result<[Detector; 2]> {
    let level = Level::from_env()?;
    let cpu = Detector::builder().build_with_model(make(level.into())?)?;
    let model = make(Arithmetic::from(level).on(gpu))?;
    Ok([cpu, Detector::builder().gpu(gpu.clone()).build_with_model(model)?])
}

/// Many runs of one picture, and all pictures together, against each alone.
fn repeat(name: &str, gpu: &Detector, images: &[Image], runs: usize) -> Result<bool> {
    let alone =
        images.iter().map(|image| gpu.detect(image)?.digest()).collect::<Result<Vec<_>>>()?;
    let mut same = true;
    for _ in 0..runs {
        same &= gpu.detect(&images[0])?.digest()? == alone[0];
    }
    println!("{name}: {runs} runs of one picture {}", if same { "equal" } else { "DIFFER" });
    for order in [images.to_vec(), images.iter().rev().cloned().collect()] {
        let together = gpu.detect_batch(&order)?;
        let together = together.iter().map(|found| found.digest()).collect::<Result<Vec<_>>>()?;
        let mut expected = alone.clone();
        if order.first() != images.first() {
            expected.reverse();
        }
        let equal = together == expected;
        println!(
            "{name}: {} pictures together {}",
            order.len(),
            if equal { "equal" } else { "DIFFER" }
        );
        same &= equal;
    }
    Ok(same)
}

fn check(options: &Options) -> Result<bool> {
    let emulated = options.emulate.then(|| emulator::emulated(emulator::Chip::default()));
    let (gpu, name) = match emulated.flatten() {
        Some((gpu, _)) => (gpu, "an emulated GPU".to_owned()),
        None => open(0, options.shelf.as_deref())?,
    };
    println!("{name}");
    if !options.bits {
        time(&gpu, &name, options)?;
        return Ok(true);
    }
    println!("\n| model | picture | detections | CPU against GPU |\n|---|---|---|---|");
    let mut same = true;
    let images = [picture(53, 37), picture(64, 40), picture(1, 1)];
    for (what, config) in [("plain heads", plain_heads()), ("GroupNorm heads", group_norm_heads())]
    {
        let [cpu, on_gpu] = pair(&gpu, |arithmetic| drawn(&config, arithmetic))?;
        for image in &images {
            same &= compare(what, &cpu, &on_gpu, image)?;
        }
        if options.quick {
            same &= repeat(what, &on_gpu, &images, 2)?;
        }
    }
    if options.quick {
        return Ok(same);
    }
    let mut repeated = Vec::new();
    for name in ["v1", "v2", "demo", "odd", "fixed"] {
        let data = ParityData::read(name);
        let [cpu, on_gpu] = pair(&gpu, |arithmetic| Ok(model(&data, arithmetic)))?;
        let images: Vec<Image> = data.cases.iter().map(|case| case.image()).collect();
        for image in &images {
            same &= compare(name, &cpu, &on_gpu, image)?;
        }
        if name == "v2" || name == "demo" {
            repeated.push((name, on_gpu, images));
        }
    }
    println!();
    for (name, on_gpu, images) in &repeated {
        same &= repeat(name, on_gpu, images, options.runs)?;
    }
    // One detector a device: the same bits on each.
    let mut ordinal = 1;
    while Device::describe_gpu(ordinal).is_ok() {
        let (other, name) = open(ordinal, options.shelf.as_deref())?;
        let data = ParityData::read("demo");
        let [cpu, on_other] = pair(&other, |arithmetic| Ok(model(&data, arithmetic)))?;
        println!("\nGPU {ordinal}: {name}");
        same &= compare("demo", &cpu, &on_other, &data.cases[0].image())?;
        ordinal += 1;
    }
    if ordinal == 1 {
        println!("one GPU here: several could not be compared");
    }
    if options.times {
        time(&gpu, &name, options)?;
    }
    Ok(same)
}

/// Chips that are common, the newest first.
const CHIPS: [(i32, i32); 6] = [(10, 0), (9, 0), (8, 9), (8, 6), (8, 0), (7, 5)];

/// Compiles all kernels for common chips, so that a machine without NVRTC can run them.
fn prepare(shelf: &Path) -> Result<bool> {
    for chip in CHIPS {
        retinanet_kernels::cuda::prepare(chip, shelf)?;
        #[cfg(feature = "cudnn")]
        retinanet_kernels::cudnn::prepare(chip, shelf)?;
        println!("compiled for compute capability {}.{}", chip.0, chip.1);
    }
    Ok(true)
}

/// What is here. Each line is printed as soon as it is known.
fn describe() -> Result<bool> {
    println!("CPU level {}", Level::from_env()?);
    println!("GPU 0: {}", Device::describe_gpu(0)?);
    match retinanet_kernels::cuda::compile((8, 0)) {
        Ok(ptx) => {
            println!("NVRTC: {}", ptx.lines().find(|l| l.contains("release")).unwrap_or("?"))
        }
        Err(error) => println!("NVRTC: {error}"),
    }
    #[cfg(feature = "cudnn")]
    match retinanet_kernels::cudnn::Cudnn::installed() {
        Ok(name) => println!("{name}"),
        Err(error) => println!("cuDNN: {error}"),
    }
    Ok(true)
}

/// The network alone, warm: the median of many runs, each waited for.
fn time(gpu: &Gpu, name: &str, options: &Options) -> Result<()> {
    let level = Level::from_env()?;
    let mut rows = Vec::new();
    println!(
        "\n| network | canvas | images | median ms | least ms | TFLOP/s |\n|---|---|---|---|---|---|"
    );
    for (what, config) in
        [("v2", RetinaNetConfig::resnet50_fpn_v2()), ("v1", RetinaNetConfig::resnet50_fpn())]
    {
        let model = drawn(&config, Arithmetic::from(level).on(gpu))?;
        let operations = |size| -> Result<u64> {
            Ok(model.multiply_adds(size)?.iter().map(|(_, count)| 2 * count).sum())
        };
        let sizes = [([800, 1088], 1), ([800, 1088], 8), ([320, 320], 1), ([320, 320], 16)];
        let operations = sizes.map(|(size, _)| operations(size));
        let detector = Detector::builder().gpu(gpu.clone()).build_with_model(model)?;
        for ((size, images), operations) in sizes.into_iter().zip(operations) {
            detector.time_network(size, images, 5)?;
            let mut seconds: Vec<f64> =
                detector.time_network(size, images, 30)?.iter().map(|t| t.as_secs_f64()).collect();
            seconds.sort_by(f64::total_cmp);
            let (median, least) = (seconds[seconds.len() / 2], seconds[0]);
            let rate = operations? as f64 * images as f64 / median / 1e12;
            let canvas = format!("{}x{}", size[0], size[1]);
            println!(
                "| {what} deterministic f32 | {canvas} | {images} | {:.3} | {:.3} | {rate:.1} |",
                median * 1e3,
                least * 1e3
            );
            rows.push(json!({
                "network": what, "mode": "deterministic f32", "size": size, "images": images,
                "median_seconds": median, "least_seconds": least,
            }));
        }
        println!();
        for stage in detector.profile_network([800, 1088], 1)? {
            let rate = 2e-12 * stage.multiply_adds as f64 / stage.time.as_secs_f64();
            println!(
                "{what} {:20} {:8.3} ms {rate:7.1} TFLOP/s",
                stage.stage,
                stage.time.as_secs_f64() * 1e3
            );
        }
    }
    if let Some(path) = &options.json {
        let record = json!({ "gpu": name, "times": rows }).to_string();
        std::fs::write(path, record).unwrap_or_else(|error| panic!("{path}: {error}"));
    }
    Ok(())
}

fn main() -> ExitCode {
    let options = match options() {
        Ok(options) => options,
        Err(message) => {
            eprintln!("gpu_check: {message}");
            return ExitCode::from(2);
        }
    };
    let checked = match (options.fast || options.pinned, cfg!(feature = "cudnn")) {
        _ if options.describe => describe(),
        _ if options.prepare => prepare(options.shelf.as_deref().unwrap_or(Path::new("."))),
        (false, _) => check(&options),
        #[cfg(feature = "cudnn")]
        (true, true) => fast_check::check(&options),
        _ => {
            eprintln!("gpu_check: --fast and --pinned need a build with the feature `cudnn`");
            return ExitCode::from(2);
        }
    };
    match checked {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => {
            eprintln!("gpu_check: the GPU's bits are not the CPU's");
            ExitCode::from(1)
        }
        Err(error) => {
            eprintln!("gpu_check: {error}");
            ExitCode::from(3)
        }
    }
}
