//! `retinanet verify`.

mod args;
mod log;
mod receipt;

pub use args::Args;
use retinanet::evidence::is_log;

use crate::exit::{Failure, Outcome};
use crate::inputs::refuse_url_or_stdin;

/// Runs the command.
pub fn run(args: Args) -> Outcome {
    for input in args.image.iter().chain([&args.record]) {
        refuse_url_or_stdin(input)?;
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
