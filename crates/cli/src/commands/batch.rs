//! `retinanet batch`.

use std::io::{self, Write};
use std::ops::ControlFlow;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use clap::{ValueEnum, ValueHint};
use retinanet::batch::{Answer, Batch, BatchConfig, Existing, Summary};
use retinanet::data::Shard;

use crate::advice::in_options;
use crate::detect_options::DetectOptions;
use crate::exit::{Exit, Failure, Outcome};
use crate::inputs::{files, refuse_url_or_stdin};
use crate::interrupt;
use crate::limit_options::LimitOptions;
use crate::output::{PictureOptions, note, print_line};
use crate::progress::Progress;
use crate::signing::{LogSigner, envelope_of};
use crate::text::printable;
use crate::voice::{complain, detail};

/// How many failed images are named on standard error.
const FAILURES_SHOWN: usize = 20;

/// Detects in any number of images into one file that can be continued and split
///
/// Memory does not grow with the number of images. An image that cannot be read is a line with its
/// error, and the exit code at the end is 3; `--resume` does not try it again. OUT.run.json, beside
/// OUT, keeps what decides the result: `--resume` goes on only with the same configuration, weights
/// and list.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    /// Images, folders, patterns, or lists (.txt, .list, .lst: one path a line, relative to the list)
    #[arg(required = true, value_name = "INPUT")]
    pub inputs: Vec<PathBuf>,

    /// The file to write
    #[arg(long, value_name = "FILE")]
    pub out: PathBuf,

    /// How results are written
    #[arg(long, value_enum, default_value_t = Format::Jsonl)]
    pub format: Format,

    /// COCO annotations whose file and category names give the ids of `--format coco`: then the
    /// results are what `retinanet eval` scores [default: the image's place in the list, from 0, and
    /// the model's class ids]
    #[arg(long, value_name = "FILE.json")]
    pub annotations: Option<PathBuf>,

    /// Continue FILE after its last whole line, or begin it
    #[arg(long)]
    pub resume: bool,

    /// Replace FILE if it is there
    #[arg(long, conflicts_with = "resume")]
    pub overwrite: bool,

    /// Only share I (from 0) of N; `retinanet merge` joins the shares' files
    #[arg(long, value_name = "I/N", default_value = "0/1")]
    pub shard: String,

    /// Threads that decode images; no answer depends on it [default: one per core, at most 4]
    #[arg(long, value_name = "N")]
    pub workers: Option<usize>,

    #[command(flatten)]
    pub pictures: PictureOptions,

    #[command(flatten)]
    pub detect: DetectOptions,

    #[command(flatten)]
    pub evidence: EvidenceOptions,

    #[command(flatten)]
    pub limits: LimitOptions,
}

/// A log of what was done, for others to check.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Evidence")]
pub struct EvidenceOptions {
    /// Write a log, too: a line an image with the digests of the file and of every stage, each with the
    /// hash of the line before. Prints the last line's hash, the head, which stands for all of it;
    /// `retinanet verify LOG` re-runs it. LOG.where.json keeps where things were
    #[arg(long, value_name = "LOG", value_hint = ValueHint::FilePath)]
    pub receipts: Option<PathBuf>,

    /// Sign the log and the results with this key of `retinanet keys new`, into LOG.dsse.json
    #[arg(long, value_name = "KEY", value_hint = ValueHint::FilePath, requires = "receipts")]
    pub sign: Option<PathBuf>,
}

const EXAMPLES: &str = "Examples:
  retinanet batch photos --out results.jsonl
  retinanet batch photos --out results.jsonl --resume        # after a crash, or Ctrl-C
  retinanet batch photos --out part1.jsonl --shard 1/4       # the second of four machines
  retinanet merge results.jsonl part0.jsonl part1.jsonl part2.jsonl part3.jsonl
  retinanet batch photos --out results.jsonl --receipts log.jsonl --sign signer.pem
  retinanet batch val2017 --out results.json --format coco --annotations instances_val2017.json";

/// How results are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// One JSON object a line and image, in input order
    Jsonl,
    /// COCO's results, as pycocotools reads them: one array of boxes
    Coco,
    /// A row a detection; one row, too, for an image that shows nothing or that failed
    Csv,
}

impl From<Format> for retinanet::batch::Format {
    fn from(format: Format) -> Self {
        match format {
            Format::Jsonl => Self::Jsonl,
            Format::Coco => Self::Coco,
            Format::Csv => Self::Csv,
        }
    }
}

/// Runs the command.
pub fn run(args: Args) -> Outcome {
    let shard = args.shard.parse::<Shard>().map_err(|error| Failure::usage(error.to_string()))?;
    if args.annotations.is_some() && args.format != Format::Coco {
        return Err(Failure::usage("--annotations gives ids, which only `--format coco` has"));
    }
    let existing = match (args.resume, args.overwrite) {
        (true, _) => Existing::Resume,
        (_, true) => Existing::Overwrite,
        _ => Existing::Refuse,
    };
    args.annotations.as_deref().map_or(Ok(()), refuse_url_or_stdin)?;
    let EvidenceOptions { receipts, sign } = &args.evidence;
    receipts.as_deref().map_or(Ok(()), refuse_url_or_stdin)?;
    let signer = sign
        .as_ref()
        .zip(receipts.as_ref())
        .map(|(key, log)| LogSigner::new(key, log, args.resume, args.overwrite));
    let signer = signer.transpose()?;
    let listing = files(&args.inputs)?;
    let detector = args.detect.detector()?;
    let images = (0..listing.len()).map(|index| listing.relative_path(index));
    args.pictures.begin(detector.categories(), images)?;
    let config = BatchConfig {
        format: args.format.into(),
        shard,
        labels: args.detect.labels.clone(),
        annotations: args.annotations,
        extras: args.pictures.kinds(),
        existing,
        workers: args.workers,
        limits: args.limits.limits(),
        receipts: receipts.clone(),
    };
    let total = shard.share_of(listing.len());
    let started = Instant::now();
    let mut bar = Progress::new(total as u64, "images");
    let done = Arc::new(AtomicUsize::new(0));
    let stopped = {
        let done = Arc::clone(&done);
        let how = if args.overwrite { "--resume in place of --overwrite" } else { "--resume" };
        move || {
            let done = done.load(Ordering::Relaxed);
            format!("stopped after {done} of {total} images; the same command with {how} goes on")
        }
    };
    let last = stopped.clone();
    interrupt::at_end(move || {
        writeln!(io::stderr(), "{}", last()).ok();
    });
    let mut failures = 0;
    let batch = Batch::new(&detector, listing, config)?;
    note("labels that are not in the annotations are left out", &batch.labels_left_out());
    let ended = batch.run::<Failure>(
        &args.out,
        |answer: &Answer<'_>| {
            args.pictures.write(answer.relative_path, answer.image, answer.detections)
        },
        |progress| {
            if progress.done == progress.before + 1 {
                bar.skip(progress.before as u64);
            }
            bar.step();
            done.store(progress.done, Ordering::Relaxed);
            if let Some(error) = progress.error {
                failures += 1;
                if failures <= FAILURES_SHOWN {
                    bar.around(|| complain(&in_options(error)));
                }
            }
            ControlFlow::Continue(())
        },
    );
    drop(bar);
    let seconds = started.elapsed().as_secs_f64();
    detail(|| format!("{} images in {seconds:.1} s", done.load(Ordering::Relaxed)));
    match ended {
        Ok(summary) => {
            if let Some((log, written)) = summary.log.as_ref().zip(receipts.as_ref()) {
                print_line(&printable(&format!("{}  {}", log.head, written.display())))?;
            }
            let stale = receipts.as_deref().map(envelope_of).filter(|path| path.exists());
            if let (None, true, Some(stale)) = (&signer, args.overwrite, stale) {
                let files = [stale.display().to_string()];
                note("a signature of the log that was replaced is still there", &files);
            }
            if let Some(signer) = &signer {
                signer.sign(Some(&args.out), Some(detector.environment()))?;
            }
            Ok(conclude(&summary))
        }
        // A full disk, say; nothing is lost.
        Err(Failure::Told { exit, message }) if done.load(Ordering::Relaxed) > 0 => {
            Err(Failure::Told { exit, message: format!("{message}\n{}", stopped()) })
        }
        Err(failure) => Err(failure),
    }
}

/// Exit code 3 and a word where images failed.
fn conclude(summary: &Summary) -> Exit {
    if summary.failed == 0 {
        return Exit::Done;
    }
    let Summary { total, failed, .. } = summary;
    complain(&format!("{failed} of {total} images failed"));
    Exit::BadInput
}
