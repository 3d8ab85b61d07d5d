//! `retinanet merge`.

use std::path::PathBuf;

use retinanet::batch::{Existing, merge};

use crate::exit::{Exit, Outcome};
use crate::interrupt;
use crate::voice::complain;

/// Joins the files that the shards of a batch wrote
///
/// The result is, byte for byte, the file that one unsharded run would have written. Shards of
/// other runs, unfinished ones and gaps are refused. Every shard's .run.json must be beside it.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Example:\n  retinanet merge results.jsonl part0.jsonl part1.jsonl part2.jsonl"
)]
pub struct Args {
    /// The file to write
    #[arg(value_name = "OUT")]
    pub out: PathBuf,

    /// The files of all shards, in any order
    #[arg(required = true, value_name = "SHARD")]
    pub shards: Vec<PathBuf>,

    /// Replace OUT if it is there
    #[arg(long)]
    pub overwrite: bool,
}

/// Runs the command.
pub fn run(args: Args) -> Outcome {
    let existing = if args.overwrite { Existing::Overwrite } else { Existing::Refuse };
    let summary = interrupt::finish(|| merge(&args.out, &args.shards, existing))?;
    if summary.failed > 0 {
        complain(&format!("{} of {} images had failed", summary.failed, summary.total));
    }
    Ok(Exit::Done)
}
