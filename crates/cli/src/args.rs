//! The command line.

use clap::{CommandFactory, Parser, Subcommand};

use crate::commands::{
    batch, bench, detect, env, eval, generate, keys, merge, report, train, verify, weights,
};
use crate::exit::Outcome;
use crate::voice::VoiceOptions;

/// Finds objects in photos, with answers that are equal to the bit on every machine
#[derive(Debug, Parser)]
#[command(name = "retinanet", version, max_term_width = 100, after_help = AFTER_HELP)]
pub struct Cli {
    /// What to do
    #[command(subcommand)]
    pub command: Command,

    #[command(flatten)]
    pub voice: VoiceOptions,
}

const AFTER_HELP: &str = "Examples:
  retinanet detect photo.jpg
  retinanet detect --label person --overlay drawn photos/
  retinanet verify receipts/photo.jpg.receipt.json

Exit codes: 0 done, 1 a check said no, 2 usage, 3 bad input, or an output that cannot be written";

/// All commands, in the order in which help lists them.
#[derive(Debug, Subcommand)]
pub enum Command {
    Detect(detect::Args),
    Batch(batch::Args),
    Merge(merge::Args),
    Eval(eval::Args),
    Report(report::Args),
    Train(train::Args),
    Weights(weights::Args),
    Verify(verify::Args),
    Keys(keys::Args),
    Bench(bench::Args),
    Env(env::Args),
    Completions(generate::CompletionsArgs),
    Man(generate::ManArgs),
}

impl Command {
    /// Runs the command.
    pub fn run(self) -> Outcome {
        match self {
            Self::Detect(args) => detect::run(args),
            Self::Batch(args) => batch::run(args),
            Self::Merge(args) => merge::run(args),
            Self::Eval(args) => eval::run(args),
            Self::Report(args) => report::run(args),
            Self::Train(args) => train::run(&args),
            Self::Weights(args) => weights::run(args),
            Self::Verify(args) => verify::run(args),
            Self::Keys(args) => keys::run(args),
            Self::Bench(args) => bench::run(args),
            Self::Env(args) => env::run(args),
            Self::Completions(args) => generate::completions(&args, Cli::command()),
            Self::Man(args) => generate::man(&args, Cli::command()),
        }
    }
}
