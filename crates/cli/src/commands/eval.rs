//! `retinanet eval`.

use crate::detect_options::DetectOptions;
use crate::exit::{Exit, Outcome};

/// Scores a model against COCO annotations
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    pub detect: DetectOptions,
}

/// Runs the command.
pub fn run(_args: Args) -> Outcome {
    Ok(Exit::Done)
}
