//! `retinanet train`.

use std::borrow::Cow;
use std::num::NonZeroUsize;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use clap::ValueHint;
use rayon::{ThreadPool, ThreadPoolBuilder};
use retinanet_train::recipe::Recipe;
use retinanet_train::run::{Curves, Event, Reduce, Run, RunFolder, RunOptions, RunSummary, agree};
use serde::Serialize;

use crate::detect_options::fetch_options;
use crate::exit::{Exit, Failure, Outcome};
use crate::inputs::refuse_url_or_stdin;
use crate::interrupt;
use crate::output::{print, print_line, write_text};
use crate::progress::Progress;
use crate::ranks::Ranks;
use crate::svg::training_file;
use crate::text::printable;
use crate::voice::{detail, notice};

/// Trains a detector, or fine-tunes one: one recipe gives one hash of the weights
///
/// The same recipe gives the same weights to the bit, on any number of threads, on any CPU, and also where the run was
/// killed and went on. OUT gets the model (`model.safetensors`, which `detect` and `eval` take), the best one on the
/// validation pictures, the states to go on from, and a log of every step, chained by hashes.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    /// The recipe: what is trained, on what, and how
    #[arg(long, value_name = "FILE.toml", value_hint = ValueHint::FilePath)]
    #[arg(required_unless_present = "example_recipe")]
    pub recipe: Option<PathBuf>,

    /// The folder of the run
    #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath)]
    #[arg(required_unless_present_any = ["example_recipe", "preview"])]
    pub out: Option<PathBuf>,

    /// Go on with the run that is in OUT, after its last saved state
    #[arg(long)]
    pub resume: bool,

    /// Stop after so many steps in all; `--resume` goes on
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub steps: Option<u64>,

    /// CPU threads, of each process; no weight depends on it [default: one per core, with ranks its share of them]
    #[arg(long, value_name = "N")]
    pub threads: Option<NonZeroUsize>,

    /// Threads beside them that prepare pictures; no weight depends on it [default: one per core, at most 2]
    #[arg(long, value_name = "N")]
    pub workers: Option<usize>,

    /// Draw the run's first pictures, as the network will see them, into this folder, and train nothing
    #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath)]
    pub preview: Option<PathBuf>,

    /// Print a recipe with every key explained
    #[arg(long, conflicts_with_all = ["recipe", "out", "resume", "preview"])]
    pub example_recipe: bool,

    /// Print the result as JSON
    #[arg(long)]
    pub json: bool,
}

const EXAMPLES: &str = "Examples:
  retinanet train --example-recipe > recipe.toml
  retinanet train --recipe recipe.toml --preview looks           # look at what will be trained on
  retinanet train --recipe recipe.toml --out run
  retinanet train --recipe recipe.toml --out run --resume        # after a crash, or Ctrl-C
  mpirun -n 4 retinanet train --recipe recipe.toml --out run     # 4 processes, the same weights (built with --features mpi)
  retinanet detect --weights run/model.safetensors photo.jpg

Ctrl-C finishes the step, saves and ends; a second one ends at once.

Exit codes: 0 done, 1 the run's log was changed, 2 usage, 3 the recipe, the data or the run could not be used; 130 stopped by Ctrl-C";

/// How many pictures a preview has.
const PREVIEW: u64 = 16;

/// What `--json` prints.
#[derive(Serialize)]
struct Report<'a> {
    step: u64,
    complete: bool,
    model: Cow<'a, str>,
    log: Cow<'a, str>,
    head: String,
    weights: String,
}

/// Runs the command.
pub fn run(args: &Args) -> Outcome {
    if args.example_recipe {
        print(Recipe::example())?;
        return Ok(Exit::Done);
    }
    let Some(path) = &args.recipe else {
        return Err(Failure::usage("give --recipe"));
    };
    refuse_url_or_stdin(path)?;
    if let Some(folder) = &args.preview {
        let recipe = Recipe::open(path)?;
        return pool(args.threads)?.install(|| preview(recipe, folder));
    }
    let Some(out) = &args.out else {
        return Err(Failure::usage("give --out"));
    };
    let ranks = Ranks::join()?;
    let threads = args.threads.or_else(|| NonZeroUsize::new(ranks.threads()?));
    if ranks.count() > 1 {
        let threads = threads.map_or(1, NonZeroUsize::get);
        notice(&format!("{} ranks; this one has {threads} threads", ranks.count()));
    }
    let pool = pool(threads)?;
    let mut reduce = ranks.reduce();
    // A rank that cannot read its recipe must not leave the others waiting.
    let read = agree(&mut *reduce, read(path, args, threads, &ranks), "before the first step");
    let outcome = read.and_then(|(recipe, text, options)| {
        pool.install(|| train(args, recipe, &text, out, options, reduce))
    });
    ranks.leave(outcome)
}

fn pool(threads: Option<NonZeroUsize>) -> Outcome<ThreadPool> {
    let threads = threads.map_or(0, NonZeroUsize::get);
    let pool = ThreadPoolBuilder::new().num_threads(threads).build();
    pool.map_err(|error| Failure::usage(format!("--threads: {error}")))
}

/// The recipe, its text, and what else the run needs.
fn read(
    path: &Path,
    args: &Args,
    threads: Option<NonZeroUsize>,
    ranks: &Ranks,
) -> Outcome<(Recipe, String, RunOptions)> {
    let (recipe, text) = Recipe::read(path)?;
    // Of several ranks each has as many CPUs as threads.
    let few = threads.filter(|_| ranks.count() > 1).map(|threads| threads.get().min(2));
    let workers = args.workers.or(few);
    Ok((recipe, text, RunOptions { resume: args.resume, workers, fetch: Some(fetch_options()?) }))
}

fn preview(recipe: Recipe, folder: &Path) -> Outcome {
    let files = retinanet_train::run::preview(&recipe, PREVIEW, folder)?;
    for file in &files {
        print_line(&printable(&file.path.display().to_string()))?;
    }
    Ok(Exit::Done)
}

fn train(
    args: &Args,
    recipe: Recipe,
    text: &str,
    out: &Path,
    options: RunOptions,
    reduce: Box<dyn Reduce>,
) -> Outcome {
    let writes = reduce.rank() == 0;
    let mut run = Run::open(recipe, text, out, options, reduce)?;
    let (total, done) = (run.recipe().run.steps, run.state().step);
    let until = args.steps.map_or(total, |steps| steps.min(total));
    // Any rank may have been asked to stop.
    let ended = |summary: &RunSummary, stopped: bool| {
        let early = stopped || summary.step < until || until == total;
        if early && !summary.complete { Exit::Interrupted } else { Exit::Done }
    };
    if !writes {
        let stopped = interrupt::finish_first();
        let summary = run.advance(args.steps, &mut |_| flow(stopped()))?;
        return Ok(ended(&summary, stopped()));
    }
    say_what_is_trained(&run);
    if until < done {
        notice(&format!("the run has made {done} steps already; none is made"));
    }
    let mut bar = Progress::new(until, "steps");
    bar.skip(done);
    let stopped = interrupt::finish_first();
    let summary = run.advance(args.steps, &mut |event| {
        match event {
            Event::Step { line, images_per_second } => {
                bar.step();
                bar.say(format!(
                    "loss {:.4} (class {:.4}, box {:.4})  {images_per_second:.1} images/s",
                    line.classification + line.regression,
                    line.classification,
                    line.regression
                ));
            }
            Event::Evaluating { done, of } => bar.say(format!("evaluating: {done} of {of}")),
            Event::Evaluated { line, is_best } => {
                let shown = |value: Option<f64>| {
                    value.map_or_else(|| "-".to_owned(), |value| format!("{value:.4}"))
                };
                let best = if *is_best { ", the best so far" } else { "" };
                let (ap, ap50) = (shown(line.scores.ap), shown(line.scores.ap50));
                let step = line.step;
                bar.around(|| notice(&format!("step {step}: AP {ap}, AP50 {ap50}{best}")));
            }
            Event::Saved(path) => bar.around(|| detail(|| format!("saved {}", path.display()))),
        }
        flow(stopped())
    });
    drop(bar);
    // Of a run that failed, too: it shows how the losses went.
    let drawn = draw(run.folder());
    let summary = summary?;
    conclude(args, run.folder(), &summary)?;
    drawn?;
    if !summary.complete {
        notice(&format!(
            "stopped after step {} of {total}; the same command with --resume goes on",
            summary.step
        ));
    }
    Ok(ended(&summary, stopped()))
}

/// Draws the losses, the learning rate and the scores.
fn draw(folder: &RunFolder) -> Outcome<()> {
    let curves = Curves::read(&folder.metrics())?;
    write_text(&folder.curves(), &training_file(&curves))
}

fn flow(stopped: bool) -> ControlFlow<()> {
    if stopped { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
}

fn say_what_is_trained(run: &Run) {
    let parameters = &run.state().parameters;
    let count = |values: usize| format!("{:.1} million", values as f64 / 1e6);
    let all: usize = parameters.tensors().iter().map(|one| one.values().len()).sum();
    let trains: usize = parameters.trainable().map(|one| one.values().len()).sum();
    notice(&format!("{}", run.set()));
    notice(&format!("the model has {} values, of which {} train", count(all), count(trains)));
    if let Some(origin) = run.origin() {
        let fresh = origin.initialised.len();
        if fresh > 0 {
            notice(&format!("{fresh} of {} tensors begin anew", parameters.tensors().len()));
            detail(|| format!("they are {}", origin.initialised.join(", ")));
        }
        for (name, why) in &origin.left_out {
            detail(|| format!("{name} is left out: {why}"));
        }
    } else {
        notice(&format!("goes on after step {}", run.state().step));
    }
}

fn conclude(args: &Args, folder: &RunFolder, summary: &RunSummary) -> Outcome<()> {
    let (model, log) = (folder.model(), folder.log());
    let (head, weights) = (summary.head.to_string(), summary.weights.to_string());
    if args.json {
        let RunSummary { step, complete, .. } = *summary;
        // Of a path, JSON holds what is text.
        let [model, log] = [&model, &log].map(|path| path.to_string_lossy());
        let report = Report { step, complete, model, log, head, weights };
        let json = serde_json::to_string(&report).expect("a report has string keys only");
        return print(&(json + "\n"));
    }
    print_line(&printable(&format!("model {}", model.display())))?;
    print_line(&printable(&format!("log {head}  {}", log.display())))?;
    print_line(&format!("weights {weights}"))
}
