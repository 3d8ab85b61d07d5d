//! `retinanet verify`.

mod args;
mod log;
mod receipt;
mod run;

pub use args::Args;
use retinanet::evidence::is_log;

use crate::exit::{Failure, Outcome};
use crate::inputs::refuse_url_or_stdin;

/// Runs the command.
pub fn run(args: Args) -> Outcome {
    for input in args.image.iter().chain([&args.record]) {
        refuse_url_or_stdin(input)?;
    }
    if let Some((folder, log)) = run::of(&args.record) {
        return run::run(&args, &folder, &log);
    }
    if args.run.are_given() {
        return Err(Failure::usage(format!(
            "{:?} is neither the folder nor the log of a run, which --steps and --recipe are for",
            args.record
        )));
    }
    if args.log.are_given() || is_log(&args.record) {
        if args.image.is_some() {
            return Err(Failure::usage(
                "--image is where a receipt's image is; of a log's, say --images DIR, and --only NAME for one",
            ));
        }
        return log::run(&args);
    }
    receipt::run(&args)
}
