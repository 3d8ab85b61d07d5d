//! The `retinanet` command: arguments, progress, printing. What it does is in the library `retinanet`.
//!
//! A library itself, so that other faces (Python's `python -m retinanet`) are the same command.

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
mod ranks;
mod report;
mod signing;
mod svg;
mod text;
mod tile_options;
mod voice;

use std::ffi::OsString;

use clap::{CommandFactory, FromArgMatches};

/// Does what the `retinanet` command does with these arguments, the program's name being the first, and
/// answers its exit status.
///
/// Of a wrong command line, and for `--help` and `--version`, the process ends here, as clap does it.
pub fn run(arguments: impl IntoIterator<Item = OsString>) -> u8 {
    let arguments: Vec<OsString> = arguments.into_iter().collect();
    let color = voice::color_of_help(arguments.iter().cloned());
    let matches = args::Cli::command().color(color).get_matches_from(arguments);
    let cli = args::Cli::from_arg_matches(&matches).unwrap_or_else(|error| error.exit());
    cli.voice.install();
    interrupt::install();
    exit::report(cli.command.run())
}
