//! `retinanet batch`.

use crate::detect_options::DetectOptions;
use crate::exit::{Exit, Outcome};

/// Detects in any number of images, resumable and shardable
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    pub detect: DetectOptions,
}

/// Runs the command.
pub fn run(_args: Args) -> Outcome {
    Ok(Exit::Done)
}
