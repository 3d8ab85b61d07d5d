//! `retinanet merge`.

use std::path::PathBuf;

use clap::ValueHint;
use retinanet::batch::{Existing, merge};
use retinanet::evidence::{self, is_log};

use crate::exit::{Exit, Failure, Outcome};
use crate::interrupt;
use crate::output::print_line;
use crate::signing::LogSigner;
use crate::text::printable;
use crate::voice::complain;

/// Joins the files that the shards of a batch wrote: results, or logs
///
/// The result is, byte for byte, the file that one unsharded run would have written. Shards of
/// other runs, unfinished ones and gaps are refused. Every shard's .run.json must be beside its
/// results. Of logs, each shard's chain is checked, the lines are chained anew in the order of the list,
/// and the head is printed: that of the unsharded run.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
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

    /// Sign the joined log with this key of `retinanet keys new`, into OUT.dsse.json
    #[arg(long, value_name = "KEY", value_hint = ValueHint::FilePath)]
    pub sign: Option<PathBuf>,
}

const EXAMPLES: &str = "Examples:
  retinanet merge results.jsonl part0.jsonl part1.jsonl part2.jsonl
  retinanet merge log.jsonl log0.jsonl log1.jsonl log2.jsonl --sign signer.pem";

/// Runs the command.
pub fn run(args: Args) -> Outcome {
    if args.shards.iter().any(|shard| is_log(shard)) {
        return logs(&args);
    }
    if args.sign.is_some() {
        return Err(Failure::usage("--sign is for logs (`batch --receipts`), and these are none"));
    }
    let existing = if args.overwrite { Existing::Overwrite } else { Existing::Refuse };
    let summary = interrupt::finish(|| merge(&args.out, &args.shards, existing))?;
    if summary.failed > 0 {
        complain(&format!("{} of {} images had failed", summary.failed, summary.total));
    }
    Ok(Exit::Done)
}

fn logs(args: &Args) -> Outcome {
    let signer =
        args.sign.as_ref().map(|key| LogSigner::new(key, &args.out, false, args.overwrite));
    let signer = signer.transpose()?;
    let joined = interrupt::finish(|| evidence::merge(&args.out, &args.shards, args.overwrite))?;
    print_line(&printable(&format!("{}  {}", joined.head, args.out.display())))?;
    if let Some(signer) = signer {
        signer.sign(None, None)?;
    }
    if joined.failed > 0 {
        complain(&format!("{} of {} images had failed", joined.failed, joined.images));
    }
    Ok(Exit::Done)
}
