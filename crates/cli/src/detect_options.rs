//! The options of every command that detects: which weights, where, how.

use std::path::PathBuf;

use clap::{Args, ValueEnum, ValueHint};
use retinanet::determinism::NUMERICS_VERSION;
use retinanet::weights::{Architecture, FetchOptions, Location, Manifest};
use retinanet::{DType, Detections, Detector, DetectorBuilder, Determinism};

use crate::class_names::class_names;
use crate::exit::{Failure, Outcome};
use crate::voice::detail;

/// How many of a model's labels are listed where one is unknown; COCO's 80 fit.
const LABELS_SHOWN: usize = 100;
/// The checkpoint that comes with the source tree.
const BUNDLED: &str = "person_r18";

/// Weights, labels, device and mode.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Model")]
pub struct DetectOptions {
    #[command(flatten)]
    pub model: ModelOptions,

    /// Only detections of this label; repeat for several
    #[arg(long = "label", value_name = "LABEL")]
    pub labels: Vec<String>,

    /// Only detections with a score above this [default: the model's, usually 0.05]
    #[arg(long, value_name = "SCORE", value_parser = score)]
    pub score_threshold: Option<f64>,
}

/// Weights, device and mode.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Model")]
pub struct ModelOptions {
    /// A name of `retinanet weights list`, a .safetensors or a .pth file [default: person_r18, where
    /// the source tree is there]
    #[arg(long, value_name = "NAME|PATH")]
    pub weights: Option<PathBuf>,

    #[command(flatten)]
    pub described: DescribeOptions,

    /// `deterministic`: equal bits everywhere, or an error; `fast`: whatever is fastest
    #[arg(long, value_enum, default_value_t = Mode::Deterministic)]
    pub mode: Mode,

    /// `cpu`, `cuda` or `cuda:N`
    #[arg(long, default_value = "cpu", value_name = "DEVICE")]
    pub device: String,

    /// Number format: f16 and bf16 in the fast mode on a GPU, in a build with the feature `cudnn`
    #[arg(long, value_enum, default_value_t = Dtype::F32)]
    pub dtype: Dtype,

    /// CPU threads; no answer depends on it [default: one per core]
    #[arg(long, value_name = "N")]
    pub threads: Option<usize>,
}

/// What a weights file may leave unsaid about its model.
#[derive(Debug, Clone, Args)]
pub struct DescribeOptions {
    /// Which of torchvision's models the weights are, where the file does not tell
    #[arg(long, value_enum)]
    pub arch: Option<Arch>,

    /// The batch norm's eps, where nothing tells it: 0 for models tuned from torchvision's
    /// retinanet_resnet50_fpn with frozen batch norm, 1e-5 for those built with weights=None
    #[arg(long, value_name = "EPS", value_parser = eps)]
    pub batch_norm_eps: Option<f64>,

    /// The names of the model's classes, as many as it has (in torchvision's models the first is
    /// `__background__`): a text file with one a line, or names with commas between
    #[arg(long, value_name = "FILE|NAME,..", value_hint = ValueHint::AnyPath)]
    pub classes: Option<String>,
}

impl DescribeOptions {
    /// Whether any is given.
    pub fn is_any(&self) -> bool {
        let Self { arch, batch_norm_eps, classes } = self;
        arch.is_some() || batch_norm_eps.is_some() || classes.is_some()
    }

    /// The builder with these options set.
    pub fn settings(&self, mut builder: DetectorBuilder) -> Outcome<DetectorBuilder> {
        if let Some(arch) = self.arch {
            builder = builder.architecture(arch.into());
        }
        if let Some(eps) = self.batch_norm_eps {
            builder = builder.batch_norm_eps(eps);
        }
        if let Some(classes) = &self.classes {
            builder = builder.categories(class_names(classes)?);
        }
        Ok(builder)
    }
}

/// torchvision's two models.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Arch {
    /// torchvision's `retinanet_resnet50_fpn`
    #[value(name = "retinanet_resnet50_fpn", alias = "v1")]
    V1,
    /// torchvision's `retinanet_resnet50_fpn_v2`
    #[value(name = "retinanet_resnet50_fpn_v2", alias = "v2")]
    V2,
}

impl From<Arch> for Architecture {
    fn from(arch: Arch) -> Self {
        match arch {
            Arch::V1 => Self::RetinanetResnet50Fpn,
            Arch::V2 => Self::RetinanetResnet50FpnV2,
        }
    }
}

/// What weights and maps are stored in; sums are f32.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Dtype {
    /// 32 bits
    F32,
    /// Half precision
    F16,
    /// Half of an f32, with its range
    Bf16,
}

/// How far the promise of equal bits reaches.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Mode {
    /// Equal bits on every machine, or an error
    #[value(alias = "strict")]
    Deterministic,
    /// No promise about bits
    Fast,
}

impl From<Mode> for Determinism {
    fn from(mode: Mode) -> Self {
        match mode {
            Mode::Deterministic => Self::default(),
            Mode::Fast => Self::fast(),
        }
    }
}

impl DetectOptions {
    /// Finds the weights and builds the detector; an unknown label is refused here.
    pub fn detector(&self) -> Outcome<Detector> {
        let mut builder = self.model.builder()?;
        if let Some(threshold) = self.score_threshold {
            builder = builder.score_threshold(threshold);
        }
        let detector = builder.build()?;
        detail(|| about(&detector));
        for label in &self.labels {
            let known = detector.categories();
            known.id_of(label).map_err(|error| {
                let names = known.names().iter().map(String::as_str);
                let names = names.filter(|name| !["N/A", "__background__"].contains(name));
                let names: Vec<&str> = names.take(LABELS_SHOWN).collect();
                Failure::usage(format!("{error}\nits labels: {}", names.join(", ")))
            })?;
        }
        Ok(detector)
    }

    /// The detections of the labels asked for: all, where none was.
    pub fn select(&self, found: &Detections) -> Outcome<Detections> {
        Ok(if self.labels.is_empty() { found.clone() } else { found.only(&self.labels)? })
    }
}

impl ModelOptions {
    /// A builder with these options set.
    pub fn builder(&self) -> Outcome<DetectorBuilder> {
        let options = fetch_options()?;
        let weights = match &self.weights {
            Some(weights) => weights.clone(),
            None => bundled(&options)?,
        };
        self.settings(Detector::builder().weights(weights).fetch_options(options))
    }

    /// The builder with all options but the weights set.
    pub fn settings(&self, builder: DetectorBuilder) -> Outcome<DetectorBuilder> {
        let mut builder = builder.determinism(self.mode.into()).device(self.device.parse()?);
        builder = match self.dtype {
            Dtype::F32 => builder,
            Dtype::F16 => builder.dtype(DType::F16),
            Dtype::Bf16 => builder.dtype(DType::BF16),
        };
        if let Some(threads) = self.threads {
            builder = builder.threads(threads);
        }
        self.described.settings(builder)
    }
}

/// What decides a detector's answers, and where it runs.
fn about(detector: &Detector) -> String {
    let environment = detector.environment();
    let weights = environment.weights_sha256.map(|sha256| sha256.to_string());
    format!(
        "weights {}, numerics {}, {} mode, {} on {} threads",
        weights.as_deref().unwrap_or("of no file"),
        NUMERICS_VERSION,
        environment.mode,
        environment.device,
        environment.threads
    )
}

/// What is added to a variance.
fn eps(text: &str) -> Result<f64, String> {
    let eps = text.parse::<f64>().ok().filter(|eps| (0.0..1.0).contains(eps));
    eps.ok_or_else(|| {
        "expected a number of at least 0 and less than 1; usual are 0 and 1e-5".to_owned()
    })
}

/// Scores are between 0 and 1.
fn score(text: &str) -> Result<f64, String> {
    let score = text.parse::<f64>().ok().filter(|score| (0.0..=1.0).contains(score));
    score.ok_or_else(|| "expected a number from 0 to 1".to_owned())
}

/// The environment's options, and the source tree this command was built in, whose bundled
/// checkpoint is the default.
pub fn fetch_options() -> Outcome<FetchOptions> {
    let mut options = FetchOptions::from_env()?;
    options.bundled_root = Some(PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../..")));
    Ok(options)
}

/// The bundled checkpoint's name, if its file is there.
fn bundled(options: &FetchOptions) -> Outcome<PathBuf> {
    let manifest = Manifest::builtin();
    let sources = manifest.entries().iter().filter(|entry| entry.name == BUNDLED);
    let present = sources.flat_map(|entry| &entry.sources).any(|source| match &source.location {
        Location::Bundled { path, .. } => {
            options.bundled_root.as_ref().is_some_and(|root| root.join(path).is_file())
        }
        _ => false,
    });
    if present {
        return Ok(PathBuf::from(BUNDLED));
    }
    Err(Failure::usage(
        "no weights were given, and the small checkpoint of the source tree is not here; fetch \
         torchvision's once with\n  retinanet weights fetch retinanet_resnet50_fpn_v2.coco_v1\nand \
         then add --weights retinanet_resnet50_fpn_v2.coco_v1 (`retinanet weights list` shows all)",
    ))
}
