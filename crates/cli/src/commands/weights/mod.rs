//! `retinanet weights`.

mod inspect;
mod list;
mod verify;

use std::path::PathBuf;

use clap::{Subcommand, ValueHint};
use retinanet::Detector;
use retinanet::weights::{Manifest, Pin, convert, fetch};

use crate::detect_options::{DescribeOptions, fetch_options};
use crate::exit::{Exit, Outcome};
use crate::interrupt;
use crate::output::print_line;
use crate::text::mebibytes;
use crate::text::one_line;

/// Lists, fetches, converts and checks weights
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// The checkpoints known by name, and whether they are on this machine
    List(list::Args),
    /// Downloads a checkpoint once and checks its hash; prints where it is
    #[command(
        after_help = "Example:\n  retinanet weights fetch retinanet_resnet50_fpn_v2.coco_v1\n\n\
        The cache is RETINANET_CACHE, else HF_HOME/retinanet, else the system's cache folder. \
        RETINANET_OFFLINE=1 never touches the network."
    )]
    Fetch {
        /// A name of `retinanet weights list`
        #[arg(value_name = "NAME")]
        name: String,
    },
    /// Writes any readable checkpoint as .safetensors, with torchvision's tensor names
    ///
    /// With any of the options, what they say and everything else about the model is stored in the
    /// file's metadata, after a check that the weights fit: the new file needs no options.
    #[command(
        after_help = "Examples:\n  retinanet weights convert model.pth model.safetensors\n  \
        retinanet weights convert --batch-norm-eps 0 --classes names.txt tuned.pth tuned.safetensors"
    )]
    Convert {
        #[command(flatten)]
        described: DescribeOptions,
        /// A .safetensors or .pth file
        #[arg(value_name = "IN", value_hint = ValueHint::FilePath)]
        input: PathBuf,
        /// The .safetensors file to write
        #[arg(value_name = "OUT", value_hint = ValueHint::FilePath)]
        output: PathBuf,
    },
    /// Shows what a file holds: container, hash, model, tensors, metadata
    Inspect(inspect::Args),
    /// Checks that a file loads completely into its model, and whether it is a published one
    Verify(verify::Args),
}

/// Runs the command.
pub fn run(args: Args) -> Outcome {
    match args.action {
        Action::List(args) => list::run(&args),
        Action::Fetch { name } => fetch_named(&name),
        Action::Convert { described, input, output } => {
            // What is no file is for `convert` to say: names of the manifest are fetched, not converted.
            let read = if described.is_any() && input.exists() {
                let builder = described.settings(Detector::builder().weights(&input))?;
                interrupt::finish(|| builder.save_weights(&output))?
            } else {
                interrupt::finish(|| convert(&input, &output))?
            };
            let (count, bytes) = (read.tensors().len(), read.file_size());
            let message = format!(
                "{output:?}: {count} tensors of {input:?} ({}, {})",
                read.format(),
                mebibytes(bytes)
            );
            print_line(&one_line(&message))?;
            Ok(Exit::Done)
        }
        Action::Inspect(args) => inspect::run(&args),
        Action::Verify(args) => verify::run(&args),
    }
}

fn fetch_named(name: &str) -> Outcome {
    let manifest = Manifest::builtin();
    let file = fetch(manifest.get(name)?, &fetch_options()?)?;
    print_line(&one_line(&file.path.to_string_lossy()))?;
    print_line(&format!("sha256 {}  ({})", file.sha256, pinned(file.pin)))?;
    Ok(Exit::Done)
}

/// What the file's hash was compared with, in words.
fn pinned(pin: Pin) -> &'static str {
    match pin {
        Pin::Manifest => "as the manifest says",
        Pin::Recorded => "as at the first use; its publisher gives the first 8 digits",
        Pin::FirstUse => "its publisher gives the first 8 digits; the rest was recorded now",
        _ => "its publisher gives the first 8 digits; the rest could not be recorded",
    }
}
