//! One image's receipt.

use crate::progress::Progress;
use retinanet::receipt::{Receipt, Verification};
use serde_json::json;

use super::args::{Args, builder};
use crate::advice::in_options;
use crate::exit::{Exit, Failure, Outcome};
use crate::inputs::came_from_elsewhere;
use crate::output::{print_line, write_json};
use crate::text::printable;

/// Re-runs it.
pub(super) fn run(args: &Args) -> Outcome {
    let receipt = Receipt::open(&args.record)?;
    if let (None, Some(origin)) = (&args.image, came_from_elsewhere(&receipt)) {
        return Err(Failure::bad_input(format!(
            "the receipt's image came from {origin}; say where it is now, with --image FILE"
        )));
    }
    let mut progress = Progress::new(1, "windows");
    let mut watch = |done: usize, total: usize| progress.at(done, total);
    let (image, limits) = (args.image.as_deref(), args.limits.limits());
    let verification = receipt.verify_watched(builder(args)?, image, &limits, &mut watch)?;
    drop(progress);
    let exit = if verification.is_same() { Exit::Done } else { Exit::CheckFailed };
    let told = match &args.json {
        Some(path) => write_json(path, &as_json(&verification)),
        None => print_line(&printable(&in_options(&verification.to_string()))),
    };
    match told {
        // The verdict is the exit code, whether or not anyone reads on.
        Ok(()) | Err(Failure::ReaderLeft) => Ok(exit),
        Err(error) => Err(error),
    }
}

fn as_json(verification: &Verification) -> serde_json::Value {
    let differences = verification.differences.iter();
    json!({
        "same": verification.is_same(),
        "stages": verification.stages,
        "differences": differences.map(|one| in_options(&one.to_string())).collect::<Vec<_>>(),
        "receipt": verification.there,
        "here": verification.here,
    })
}
