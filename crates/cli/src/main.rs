//! The `retinanet` command: arguments, progress, printing. What it does is in the library.

mod advice;
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
mod signing;
mod text;
mod tile_options;

use std::process::ExitCode;

use clap::Parser;

fn main() -> ExitCode {
    let command = args::Cli::parse().command;
    interrupt::install();
    exit::report(command.run())
}
