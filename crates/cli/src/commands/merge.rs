//! `retinanet merge`.

use crate::exit::{Exit, Outcome};

/// Joins the files that the shards of a batch wrote
#[derive(Debug, clap::Args)]
pub struct Args {
}

/// Runs the command.
pub fn run(_args: Args) -> Outcome {
    Ok(Exit::Done)
}
