//! The `retinanet` command: arguments, progress, printing. What it does is in the library.

mod advice;
mod annotation_options;
mod args;
mod class_names;
mod commands;
mod detect_options;
mod exit;
mod inputs;
mod interrupt;
mod limit_options;
mod output;
mod progress;
mod report;
mod signing;
mod svg;
mod text;
mod tile_options;
mod voice;

use std::process::ExitCode;

use clap::{CommandFactory, FromArgMatches};

fn main() -> ExitCode {
    let color = voice::color_of_help(std::env::args_os());
    let matches = args::Cli::command().color(color).get_matches();
    let cli = args::Cli::from_arg_matches(&matches).unwrap_or_else(|error| error.exit());
    cli.voice.install();
    interrupt::install();
    exit::report(cli.command.run())
}
