//! The command line.

use clap::{Parser, Subcommand};

use crate::commands;
use crate::exit::Outcome;

/// Finds objects in photos, with answers that are equal to the bit on every machine
#[derive(Debug, Parser)]
#[command(name = "retinanet", version, propagate_version = true, max_term_width = 100)]
#[command(after_help = EXIT_CODES)]
pub struct Cli {
    #[command(subcommand)]
    pub command: Command,
}

const EXIT_CODES: &str = "Exit codes: 0 done, 1 a check said no, 2 usage, 3 bad input (or an output \
                          that cannot be written)";

#[derive(Debug, Subcommand)]
pub enum Command {
    Detect(commands::detect::Args),
    Eval(commands::eval::Args),
}

impl Command {
    /// Runs the command.
    pub fn run(self) -> Outcome {
        match self {
            Self::Detect(args) => commands::detect::run(args),
            Self::Eval(args) => commands::eval::run(args),
        }
    }
}
