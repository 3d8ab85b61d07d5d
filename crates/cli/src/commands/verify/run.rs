//! The run of a training.

use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use retinanet_train::error::RunError;
use retinanet_train::recipe::Recipe;
use retinanet_train::run::{RunFolder, RunLog, is_training_log};
use retinanet_train::verify::{Difference, RerunOptions, RunVerification, VerifyEvent, verify_run};
use serde_json::json;

use super::args::Args;
use crate::detect_options::fetch_options;
use crate::exit::{Exit, Failure, Outcome};
use crate::interrupt;
use crate::output::{print_line, write_json};
use crate::progress::Progress;
use crate::text::printable;

/// The folder and the log, if that is what the path is of.
pub(super) fn of(path: &Path) -> Option<(RunFolder, PathBuf)> {
    if path.is_dir() {
        let folder = RunFolder::new(path);
        let log = folder.log();
        return Some((folder, log));
    }
    if !is_training_log(path) {
        return None;
    }
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    Some((RunFolder::new(folder.unwrap_or(Path::new("."))), path.to_owned()))
}

/// Checks the log, and makes steps again.
pub(super) fn run(args: &Args, folder: &RunFolder, log: &Path) -> Outcome {
    let outcome = check(args, folder, log);
    // Programs that read the verdict are told of a log that does not hold, too.
    if let (Err(Failure::Told { exit: Exit::CheckFailed, message }), Some(path)) =
        (&outcome, &args.json)
    {
        write_json(path, &json!({ "same": false, "error": message }))?;
    }
    outcome
}

fn check(args: &Args, folder: &RunFolder, log: &Path) -> Outcome {
    refuse_options_of_others(args)?;
    let steps = args.run.steps.as_deref().map(parse_steps).transpose()?;
    let expected = args.log.head()?;
    let log = RunLog::open(log)?;
    if let Some(expected) = expected.filter(|expected| *expected != log.head()) {
        let (found, expected) = (log.head().to_string(), expected.to_string());
        return Err(retinanet_train::Error::from(RunError::OtherHead { found, expected }).into());
    }
    let report = match args.log.chain_only {
        true => chain_alone(&log),
        false => {
            let recipe = args.run.recipe.as_deref().map(Recipe::open).transpose()?;
            let fetch = Some(fetch_options()?);
            let options = RerunOptions { steps, recipe, workers: None, fetch };
            let threads = args.threads.unwrap_or(0);
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build();
            let pool = pool.map_err(|error| Failure::usage(format!("--threads: {error}")))?;
            pool.install(|| rerun(&log, folder, options))?
        }
    };
    let exit = if report.is_same() { Exit::Done } else { Exit::CheckFailed };
    let told = match &args.json {
        Some(path) => write_json(path, &as_json(&report)),
        None => print_line(&printable(&report.to_string())),
    };
    match told {
        // The verdict is the exit code, whether or not anyone reads on.
        Ok(()) | Err(Failure::ReaderLeft) => Ok(exit),
        Err(error) => Err(error),
    }
}

/// The report of a log of which nothing but the lines is looked at.
fn chain_alone(log: &RunLog) -> RunVerification {
    RunVerification {
        head: log.head(),
        steps: log.steps(),
        planned: None,
        complete: log.end().is_some(),
        states: Vec::new(),
        after: None,
        compared: 0,
        difference: None,
    }
}

fn rerun(log: &RunLog, folder: &RunFolder, options: RerunOptions) -> Outcome<RunVerification> {
    let mut bar: Option<Progress> = None;
    let reached = Arc::new(AtomicU64::new(0));
    let last = Arc::clone(&reached);
    interrupt::at_end(move || {
        let done = last.load(Ordering::Relaxed);
        writeln!(io::stderr(), "stopped after {done} steps; nothing was decided").ok();
    });
    let report = verify_run(log, folder, options, &mut |event| match event {
        VerifyEvent::Steps { done, of } => {
            reached.store(done, Ordering::Relaxed);
            let bar = bar.get_or_insert_with(|| Progress::new(of, "steps"));
            bar.say(String::new());
            bar.at(done as usize, of as usize);
        }
        VerifyEvent::Evaluating { done, of } => {
            if let Some(bar) = &mut bar {
                bar.say(format!("evaluating: {done} of {of}"));
            }
        }
    });
    drop(bar);
    Ok(report?)
}

/// `300` or `300..310`, both ends looked at.
fn parse_steps(text: &str) -> Outcome<(u64, u64)> {
    let (first, last) = text.split_once("..").unwrap_or((text, text));
    let last = last.strip_prefix('=').unwrap_or(last);
    match (first.parse(), last.parse()) {
        (Ok(first), Ok(last)) if 1 <= first && first <= last => Ok((first, last)),
        _ => {
            let text: String = text.chars().take(80).collect();
            Err(Failure::usage(format!(
                "--steps {text:?}: give a step, as 300, or the first and the last, as 300..310; the first of all is 1"
            )))
        }
    }
}

fn refuse_options_of_others(args: &Args) -> Outcome<()> {
    let log = &args.log;
    let given = [
        ("--image", args.image.is_some()),
        ("--weights", args.weights.is_some()),
        ("--images", log.images.is_some()),
        ("--sample", log.sample.is_some()),
        ("--only", !log.only.is_empty()),
        ("--key", log.key.is_some()),
        ("--device", args.device != "cpu"),
    ];
    match given.iter().find(|(_, given)| *given) {
        Some((option, _)) => Err(Failure::usage(format!(
            "{option} is not for runs of `retinanet train`; for these there are --steps, --recipe, --head and --chain-only"
        ))),
        None => Ok(()),
    }
}

fn as_json(report: &RunVerification) -> serde_json::Value {
    let RunVerification { head, steps, planned, complete, states, after, compared, difference } =
        report;
    let difference = difference.as_ref().map(|difference| {
        let Difference { kind, step, images, tensor, parts, file, reason } = difference;
        // Of a path, JSON holds what is text.
        let file = file.as_ref().map(|file| file.to_string_lossy());
        json!({
            "kind": kind,
            "step": step,
            "images": images,
            "tensor": tensor,
            "parts": parts,
            "file": file,
            "reason": reason,
        })
    });
    json!({
        "same": report.is_same(),
        "head": head,
        "steps": steps,
        "planned": planned,
        "complete": complete,
        "states": states,
        "after": after,
        "compared": compared,
        "difference": difference,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_are_one_or_a_first_and_a_last() {
        assert_eq!(parse_steps("300").ok(), Some((300, 300)));
        assert_eq!(parse_steps("300..310").ok(), Some((300, 310)));
        assert_eq!(parse_steps("300..=310").ok(), Some((300, 310)));
        for wrong in ["", "0", "5..4", "..", "3..", "-1", "a", "1..2..3", "1,2"] {
            assert!(parse_steps(wrong).is_err(), "{wrong}");
        }
    }
}
