//! A log of many images.

use std::io::{self, Write};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use retinanet::evidence::{LineDifference, Log, LogVerification, RerunConfig, Sample};
use serde_json::{Value, json};

use super::args::{Args, builder};
use crate::advice::in_options;
use crate::exit::{Exit, Failure, Outcome};
use crate::interrupt;
use crate::output::{note, print_line, write_json};
use crate::progress::Progress;
use crate::signing::{PublicKey, Signed, envelope_of, hash_file, signed_by};
use crate::text::printable;

/// Checks the log, and re-runs what was asked for.
pub(super) fn run(args: &Args) -> Outcome {
    let outcome = check(args);
    // Programs that read the verdict are told of a log that does not hold, too.
    if let (Err(Failure::Told { exit: Exit::CheckFailed, message }), Some(path)) =
        (&outcome, &args.json)
    {
        write_json(path, &json!({ "same": false, "error": message }))?;
    }
    outcome
}

fn check(args: &Args) -> Outcome {
    let options = &args.log;
    let (sample, head) = (options.sample()?, options.head()?);
    let key = options.key.as_deref().map(PublicKey::read).transpose()?;
    let log = open(&args.record)?;
    head.map_or(Ok(()), |head| log.check_head(head))?;
    let signed = match &key {
        Some(key) => Some(signature(args, &log, key)?),
        None => {
            let path = envelope_of(&args.record);
            if path.exists() {
                let files = [path.display().to_string()];
                note("a signature is there and was not checked; --key FILE does", &files);
            }
            None
        }
    };
    let verification = if options.chain_only { None } else { Some(rerun(args, &log, sample)?) };
    let exit = match &verification {
        Some(verification) if verification.is_different() => Exit::CheckFailed,
        Some(verification) if !verification.is_same() => Exit::BadInput,
        _ => Exit::Done,
    };
    let told = match &args.json {
        Some(path) => write_json(path, &as_json(&log, signed.as_ref(), verification.as_ref())),
        None => {
            let text = in_options(&in_words(&log, signed.as_ref(), verification.as_ref()));
            print_line(&printable(&text))
        }
    };
    match told {
        // The verdict is the exit code, whether or not anyone reads on.
        Ok(()) | Err(Failure::ReaderLeft) => Ok(exit),
        Err(error) => Err(error),
    }
}

/// Reads the log and checks its chain.
fn open(path: &Path) -> Outcome<Log> {
    let mut bar: Option<Progress> = None;
    let log = Log::open_watched(path, |_, lines| {
        bar.get_or_insert_with(|| Progress::new(lines as u64, "lines")).step();
    });
    Ok(log?)
}

/// Checks who signed the log, and the results that were signed with it where they lie beside it.
fn signature(args: &Args, log: &Log, key: &PublicKey) -> Outcome<Signed> {
    let path = args.log.signature.clone().unwrap_or_else(|| envelope_of(&args.record));
    let signed = signed_by(log, &path, key)?;
    let folder = args.record.parent().unwrap_or(Path::new(""));
    for (name, expected) in &signed.others {
        let plain = Path::new(name).file_name().is_some_and(|file| file == name.as_str());
        let file = folder.join(name);
        if !plain || !file.is_file() {
            note("signed with the log, but not beside it", &[name]);
            continue;
        }
        let found = hash_file(&file)?;
        if found != *expected {
            return Err(Failure::check_failed(format!(
                "{file:?} was changed: its sha256 is {found}, the signed one is {expected}"
            )));
        }
    }
    Ok(signed)
}

fn rerun(args: &Args, log: &Log, sample: Sample) -> Outcome<LogVerification> {
    let options = &args.log;
    let which = match options.only.is_empty() {
        true => sample.choose(log.head(), options.beacon.as_deref().unwrap_or(""), log.len()),
        false => log.find(&options.only)?,
    };
    let config = RerunConfig {
        images: options.images.clone(),
        limits: args.limits.limits(),
        ..RerunConfig::default()
    };
    let mut bar = Progress::new(which.len() as u64, "images");
    let total = which.len();
    let done = Arc::new(AtomicUsize::new(0));
    let last = Arc::clone(&done);
    interrupt::at_end(move || {
        let done = last.load(Ordering::Relaxed);
        writeln!(io::stderr(), "stopped after {done} of {total} images; nothing was decided").ok();
    });
    let verification = log.verify(builder(args)?, &which, &config, |progress| {
        done.store(progress.done, Ordering::Relaxed);
        bar.step();
    });
    drop(bar);
    Ok(verification?)
}

fn in_words(log: &Log, signed: Option<&Signed>, verification: Option<&LogVerification>) -> String {
    let (images, failed) = (log.len(), log.failed());
    let mut text = format!("log: {images} images, {failed} of them failed; no line was changed");
    text += &format!("\nhead: {}", log.head());
    if let Some(signed) = signed {
        text += &format!("\nsigned by: {}", signed.key_id);
    }
    if let Some(verification) = verification {
        text += &format!("\n{verification}");
    }
    text
}

fn as_json(log: &Log, signed: Option<&Signed>, verification: Option<&LogVerification>) -> Value {
    let mut value = json!({
        "same": verification.is_none_or(LogVerification::is_same),
        "head": log.head(),
        "images": log.len(),
        "failed": log.failed(),
        "signed_by": signed.map(|signed| &signed.key_id),
        "checked": verification.map_or(0, |verification| verification.checked),
        "differences": [],
        "not_compared": [],
    });
    let Some(verification) = verification else { return value };
    let different = verification.different.iter().map(|one| {
        let stage = one.differences.iter().find_map(|difference| match difference {
            LineDifference::Stage(part) => {
                part.left.as_ref().or(part.right.as_ref()).map(|stage| &stage.stage)
            }
            _ => None,
        });
        let words = one.differences.iter().map(|part| in_options(&part.to_string()));
        json!({ "image": one.image, "stage": stage, "differences": words.collect::<Vec<_>>() })
    });
    value["differences"] = different.collect();
    let not_compared = verification.not_compared.iter();
    value["not_compared"] = not_compared
        .map(|(_, image, reason)| json!({ "image": image, "reason": in_options(reason) }))
        .collect();
    value["weights"] = match &verification.weights {
        Some((found, unusable)) => json!({
            "expected": verification.there.weights_sha256,
            "found": found,
            "unusable": unusable,
        }),
        None => Value::Null,
    };
    value["log"] = json!(verification.there);
    value["here"] = json!(verification.here);
    value
}
