//! `retinanet weights verify`.

use std::path::PathBuf;

use clap::ValueHint;
use retinanet::weights::{Checkpoint, Manifest};
use retinanet::{Detector, Error};

use crate::advice::in_options;
use crate::detect_options::DescribeOptions;
use crate::exit::{Exit, Failure, Outcome};
use crate::output::print_line;
use crate::text::one_line;

#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Args {
    /// A .safetensors or .pth file
    #[arg(value_name = "FILE", value_hint = ValueHint::FilePath)]
    file: PathBuf,

    /// Insist that it is this checkpoint of `retinanet weights list`
    #[arg(long = "as", value_name = "NAME")]
    name: Option<String>,

    #[command(flatten)]
    described: DescribeOptions,
}

const EXAMPLES: &str = "Examples:
  retinanet weights verify model.safetensors
  retinanet weights verify --as retinanet_resnet50_fpn_v2.coco_v1 download.pth

Exit codes: 0 it loads (and is the one named), 1 it does not, 2 usage, 3 it cannot be read";

pub(super) fn run(args: &Args) -> Outcome {
    let manifest = Manifest::builtin();
    let named = args.name.as_deref().map(|name| manifest.get(name)).transpose()?;
    let checkpoint = match Checkpoint::open(&args.file) {
        Ok(checkpoint) => checkpoint,
        Err(error) if !args.file.is_file() => return Err(error.into()),
        Err(error) => return no(&error),
    };
    let (sha256, identity) = (checkpoint.sha256().to_owned(), checkpoint.identity().to_string());
    let hashes = [Some(&sha256), checkpoint.metadata().get("source_sha256")];
    let is = |digits: &retinanet::weights::ExpectedSha256| {
        hashes.iter().flatten().any(|hash| digits.accepts(hash))
    };
    let known = manifest.entries().iter().find_map(|entry| {
        let source = entry.sources.iter().find(|source| is(&source.sha256))?;
        Some((entry.name.clone(), source.sha256.is_full()))
    });
    drop(checkpoint);
    let builder = args.described.settings(Detector::builder().weights(&args.file))?;
    let detector = match builder.build() {
        Ok(detector) => detector,
        Err(error) => return no(&error),
    };
    let applied = detector.load_report().map_or(0, |report| report.applied.len());
    print_line(&format!("loads    {applied} tensors into {}", one_line(&identity)))?;
    print_line(&format!("sha256   {sha256}"))?;
    let is = match &known {
        Some((name, true)) => format!("{name}, by its whole hash"),
        Some((name, false)) => format!("{name}, by the 8 digits its publisher gives"),
        None => "no checkpoint of the manifest".to_owned(),
    };
    print_line(&format!("is       {is}"))?;
    match named {
        Some(entry) if known.as_ref().is_none_or(|(name, _)| *name != entry.name) => {
            let message = format!("{:?} is not {}", args.file, entry.name);
            Err(Failure::Told { exit: Exit::CheckFailed, message })
        }
        _ => Ok(Exit::Done),
    }
}

fn no(error: &Error) -> Outcome {
    Err(Failure::Told { exit: Exit::CheckFailed, message: in_options(&error.to_string()) })
}
