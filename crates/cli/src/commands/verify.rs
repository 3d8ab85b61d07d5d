//! `retinanet verify`.

use std::path::PathBuf;

use clap::ValueHint;
use retinanet::Detector;
use retinanet::receipt::{Receipt, Verification};
use serde_json::json;

use crate::advice::in_options;
use crate::detect_options::fetch_options;
use crate::exit::{Exit, Failure, Outcome};
use crate::inputs::{came_from_elsewhere, refuse_url_or_stdin};
use crate::limit_options::LimitOptions;
use crate::output::{print_line, write_json};
use crate::progress::Progress;
use crate::text::printable;

/// Re-runs a receipt and compares bit for bit
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    /// A file written by `retinanet detect --receipt`
    #[arg(value_name = "RECEIPT", value_hint = ValueHint::FilePath)]
    pub receipt: PathBuf,

    /// Where the image is now [default: the receipt's path]
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub image: Option<PathBuf>,

    /// Where the weights are now [default: the receipt's name or path]
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
    pub limits: LimitOptions,
}

const EXAMPLES: &str = "Examples:
  retinanet detect --receipt receipts photo.jpg
  retinanet verify receipts/photo.jpg.receipt.json
  retinanet verify --image copy.jpg --threads 1 receipts/photo.jpg.receipt.json

Exit codes: 0 same to the bit, 1 different, 2 usage, 3 the comparison cannot be made";

/// Runs the command.
pub fn run(args: Args) -> Outcome {
    for input in args.image.iter().chain([&args.receipt]) {
        refuse_url_or_stdin(input)?;
    }
    let receipt = Receipt::open(&args.receipt)?;
    if let (None, Some(origin)) = (&args.image, came_from_elsewhere(&receipt)) {
        return Err(Failure::bad_input(format!(
            "the receipt's image came from {origin}; say where it is now, with --image FILE"
        )));
    }
    let mut builder =
        Detector::builder().fetch_options(fetch_options()?).device(args.device.parse()?);
    if let Some(weights) = &args.weights {
        builder = builder.weights(weights);
    }
    if let Some(threads) = args.threads {
        builder = builder.threads(threads);
    }
    let mut progress = Progress::new(1, "windows");
    let mut watch = |done: usize, total: usize| progress.at(done, total);
    let (image, limits) = (args.image.as_deref(), args.limits.limits());
    let verification = receipt.verify_watched(builder, image, &limits, &mut watch)?;
    drop(progress);
    let exit = if verification.is_same() { Exit::Done } else { Exit::CheckFailed };
    let told = match &args.json {
        Some(path) => write_json(path, &as_json(&verification)),
        None => print_line(&printable(&in_options(&verification.to_string()))),
    };
    match told {
        // The verdict is the exit code, whether or not anyone reads on.
        Ok(()) | Err(Failure::ReaderLeft) => Ok(exit),
        Err(error) => Err(error),
    }
}

fn as_json(verification: &Verification) -> serde_json::Value {
    let differences = verification.differences.iter();
    json!({
        "same": verification.is_same(),
        "stages": verification.stages,
        "differences": differences.map(|one| in_options(&one.to_string())).collect::<Vec<_>>(),
        "receipt": verification.there,
        "here": verification.here,
    })
}
