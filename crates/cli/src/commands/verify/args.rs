//! The options of `retinanet verify`.

use std::path::PathBuf;

use clap::ValueHint;
use retinanet::determinism::Digest;
use retinanet::evidence::Sample;
use retinanet::{Detector, DetectorBuilder};

use crate::detect_options::fetch_options;
use crate::exit::{Failure, Outcome};
use crate::limit_options::LimitOptions;

/// Re-runs a receipt, a log of many images or a training, and compares bit for bit
///
/// Of a run of `retinanet train`, first the log's every line is checked against the one before; then saved states are compared
/// with it, and steps are made again, after the last saved state before them or from the beginning. The first step that
/// differs is named, and in it the first tensor.
///
/// Of a log of images, first every line is checked against the one before; then, if asked for, its head and its
/// signature; then the images are re-run: all, a sample or some by name. For each that differs the first
/// stage that does is named.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    /// A file written by `retinanet detect --receipt`, a log by `retinanet batch --receipts`, or the folder of
    /// `retinanet train` (or its log.jsonl)
    #[arg(value_name = "RECEIPT|LOG|RUN", value_hint = ValueHint::AnyPath)]
    pub record: PathBuf,

    /// Where a receipt's image is now [default: the receipt's path]
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    #[arg(conflicts_with_all = LOG_OPTIONS)]
    pub image: Option<PathBuf>,

    /// Where the weights are now [default: where they were, or the known ones of the same hash]
    #[arg(long, value_name = "NAME|PATH", value_hint = ValueHint::FilePath)]
    pub weights: Option<PathBuf>,

    /// `cpu`, `cuda` or `cuda:N`
    #[arg(long, default_value = "cpu", value_name = "DEVICE")]
    pub device: String,

    /// CPU threads [default: one per core]
    #[arg(long, value_name = "N")]
    pub threads: Option<usize>,

    /// Write the verdict as JSON; `-` is standard output, in place of words
    #[arg(long, value_name = "FILE|-", value_hint = ValueHint::FilePath)]
    pub json: Option<PathBuf>,

    #[command(flatten)]
    pub log: LogOptions,

    #[command(flatten)]
    pub run: RunOptions,

    #[command(flatten)]
    pub limits: LimitOptions,
}

/// What only a run has.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Runs")]
pub struct RunOptions {
    /// Make again these steps only: `300`, or `300..310` for 300 to 310
    #[arg(long, value_name = "N|N..N", conflicts_with = "chain_only")]
    pub steps: Option<String>,

    /// The run's recipe, where it and its data are now [default: the folder's, with paths as they were]
    #[arg(long, value_name = "FILE.toml", value_hint = ValueHint::FilePath)]
    pub recipe: Option<PathBuf>,
}

impl RunOptions {
    /// Whether any of them was given.
    pub(super) fn are_given(&self) -> bool {
        self.steps.is_some() || self.recipe.is_some()
    }
}

/// What only a log has.
const LOG_OPTIONS: [&str; 8] =
    ["images", "sample", "beacon", "only", "chain_only", "head", "key", "signature"];

/// What is checked of a log.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Logs")]
pub struct LogOptions {
    /// The folder that the names in the log start at [default: where it was]
    #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath)]
    pub images: Option<PathBuf>,

    /// Re-run only so many images, as `1%` or `20`; the log's head chooses which
    #[arg(long, value_name = "N%|N", conflicts_with = "only")]
    pub sample: Option<String>,

    /// A text that nobody knew when the head was published (a lottery's numbers, say): it takes part in
    /// the choice, so that who made the log could not foresee it
    #[arg(long, value_name = "TEXT", requires = "sample")]
    pub beacon: Option<String>,

    /// Re-run only this image, by its name in the log; repeat for several
    #[arg(long, value_name = "NAME")]
    pub only: Vec<String>,

    /// Re-run nothing: check only the lines, and the head and the signature if they are given
    #[arg(long, conflicts_with_all = ["sample", "only"])]
    pub chain_only: bool,

    /// The head that `retinanet batch` or `train` printed: a log that was written anew as a whole has another
    #[arg(long, value_name = "HASH")]
    pub head: Option<String>,

    /// The public key of whoever has to have signed it
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub key: Option<PathBuf>,

    /// The signature [default: LOG.dsse.json]
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath, requires = "key")]
    pub signature: Option<PathBuf>,
}

impl LogOptions {
    /// Whether any of them was given.
    pub(super) fn are_given(&self) -> bool {
        let Self { images, sample, beacon, only, chain_only, head, key, signature } = self;
        images.is_some()
            || sample.is_some()
            || beacon.is_some()
            || !only.is_empty()
            || *chain_only
            || head.is_some()
            || key.is_some()
            || signature.is_some()
    }

    /// How many images are re-run.
    pub(super) fn sample(&self) -> Outcome<Sample> {
        Ok(self.sample.as_deref().map_or(Ok(Sample::all()), str::parse)?)
    }

    /// The head that is expected.
    pub(super) fn head(&self) -> Outcome<Option<Digest>> {
        let parse = |text: &String| {
            text.parse().map_err(|_| {
                let text: String = text.chars().take(80).collect();
                Failure::usage(format!("--head {text:?} is no hash: it has 64 hexadecimal digits"))
            })
        };
        self.head.as_ref().map(parse).transpose()
    }
}

const EXAMPLES: &str = "Examples:
  retinanet detect --receipt receipts photo.jpg
  retinanet verify receipts/photo.jpg.receipt.json
  retinanet verify --image copy.jpg --threads 1 receipts/photo.jpg.receipt.json
  retinanet batch photos --out results.jsonl --receipts log.jsonl --sign signer.pem
  retinanet verify log.jsonl --key signer.pub.pem --sample 1%
  retinanet verify log.jsonl --head 9f2c... --images /mnt/photos --only a/0001.jpg
  retinanet train --recipe recipe.toml --out run
  retinanet verify run --steps 300..310

Exit codes: 0 same to the bit, 1 different, or a log or signature that does not hold, 2 usage, 3 the
comparison cannot be made";

/// A builder with the options about the machine and the weights.
pub(super) fn builder(args: &Args) -> Outcome<DetectorBuilder> {
    let mut builder =
        Detector::builder().fetch_options(fetch_options()?).device(args.device.parse()?);
    if let Some(weights) = &args.weights {
        builder = builder.weights(weights);
    }
    if let Some(threads) = args.threads {
        builder = builder.threads(threads);
    }
    Ok(builder)
}
