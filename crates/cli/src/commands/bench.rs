//! `retinanet bench`.

use std::path::PathBuf;
use std::time::Duration;

use clap::ValueHint;
use retinanet::{Detector, Device, StageTime};
use serde_json::json;

use crate::detect_options::ModelOptions;
use crate::exit::{Exit, Outcome};
use crate::output::{Align, Table, print, write_json};
use crate::progress::Progress;

/// Times the network alone: no decoding, no post-processing
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    /// The canvas, height x width
    #[arg(long, value_name = "HxW", default_value = "800x1088", value_parser = size)]
    pub size: [usize; 2],

    /// How many timed runs, after one that warms up
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..))]
    pub runs: u32,

    /// How many canvases go through the network together
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=256))]
    pub batch: u32,

    #[command(flatten)]
    pub model: ModelOptions,

    /// Write `{\"seconds\": [..], ..}`; `-` is standard output, in place of the table
    #[arg(long, value_name = "FILE|-", value_hint = ValueHint::FilePath)]
    pub json: Option<PathBuf>,
}

const EXAMPLES: &str = "Examples:
  retinanet bench --size 800x1088 --runs 5 --threads 1
  retinanet bench --arch retinanet_resnet50_fpn --json -
  retinanet bench --weights person_r18 --size 512x512

Without --weights the model (--arch, v2 by default) is initialised from a seed: its time does not
depend on the weights.";

/// Runs the command.
pub fn run(args: Args) -> Outcome {
    let detector = detector(&args.model)?;
    let device: Device = args.model.device.parse()?;
    let images = args.batch as usize;
    detector.profile_network(args.size, images)?;
    let mut progress = Progress::new(args.runs.into(), "runs");
    let (mut runs, mut seconds) = (Vec::new(), Vec::new());
    for _ in 0..args.runs {
        runs.push(detector.profile_network(args.size, images)?);
        let whole = match device {
            Device::Cpu => total(&runs[runs.len() - 1]),
            // Waiting for each stage costs a GPU much of its speed.
            Device::Cuda(_) => detector.time_network(args.size, images, 1)?.iter().sum(),
        };
        seconds.push(whole.as_secs_f64());
        progress.step();
    }
    drop(progress);
    let rows = stage_rows(&runs);
    match &args.json {
        Some(path) => {
            let stages: Vec<_> = rows
                .iter()
                .map(|row| {
                    json!({
                        "stage": row.name,
                        "seconds": row.seconds,
                        "multiply_adds": row.multiply_adds,
                        "gflops": row.gflops(),
                    })
                })
                .collect();
            write_json(
                path,
                &json!({
                    "seconds": seconds,
                    "size": args.size,
                    "batch": images,
                    "stages": stages,
                    "environment": detector.environment(),
                }),
            )?;
        }
        None => print(&report(&args, &detector, &seconds, &rows))?,
    }
    Ok(Exit::Done)
}

fn detector(options: &ModelOptions) -> Outcome<Detector> {
    Ok(match options.weights {
        Some(_) => options.builder()?.build()?,
        None => options.settings(Detector::builder())?.build_untrained()?,
    })
}

fn total(run: &[StageTime]) -> Duration {
    run.iter().map(|stage| stage.time).sum()
}

/// The stages that are timed together, over all runs.
struct Row {
    name: String,
    /// The median run.
    seconds: f64,
    multiply_adds: u64,
}

impl Row {
    /// A multiply-add counts as two operations.
    fn gflops(&self) -> Option<f64> {
        let operations = 2.0 * self.multiply_adds as f64;
        (self.multiply_adds > 0 && self.seconds > 0.0).then(|| operations / self.seconds / 1e9)
    }
}

fn stage_rows(runs: &[Vec<StageTime>]) -> Vec<Row> {
    let Some(first) = runs.first() else { return Vec::new() };
    let mut rows: Vec<(String, Vec<usize>)> = Vec::new();
    for (place, stage) in first.iter().enumerate() {
        let name = family(&stage.stage);
        match rows.last_mut() {
            Some((last, places)) if *last == name => places.push(place),
            _ => rows.push((name, vec![place])),
        }
    }
    let row = |(name, places): (String, Vec<usize>)| {
        let time = |run: &Vec<StageTime>| places.iter().map(|&at| run[at].time).sum::<Duration>();
        let seconds = median(runs.iter().map(|run| time(run).as_secs_f64()).collect());
        Row { name, seconds, multiply_adds: places.iter().map(|&at| first[at].multiply_adds).sum() }
    };
    rows.into_iter().map(row).collect()
}

/// Levels of a pyramid are computed together: `P3`, `P4`.. are the row `P`, `logits/P3`.. `logits/P`.
fn family(stage: &str) -> String {
    let level = stage.trim_end_matches(|c: char| c.is_ascii_digit());
    if level.ends_with('P') { level.to_owned() } else { stage.to_owned() }
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(0.0)
}

fn report(args: &Args, detector: &Detector, seconds: &[f64], rows: &[Row]) -> String {
    let [height, width] = args.size;
    let environment = detector.environment();
    let mut text = format!(
        "{height} x {width}, {} at a time, {} threads, {}, {}\n\n",
        args.batch, environment.threads, environment.cpu.level, environment.mode
    );
    let columns = ["ms", "share", "G multiply-adds", "GFLOP/s"].map(|name| (name, Align::Right));
    let mut table = Table::new(&[&[("stage", Align::Left)], &columns[..]].concat());
    let whole = Row {
        name: "all".to_owned(),
        seconds: rows.iter().map(|row| row.seconds).sum(),
        multiply_adds: rows.iter().map(|row| row.multiply_adds).sum(),
    };
    for row in rows.iter().chain([&whole]) {
        table.row([
            row.name.clone(),
            format!("{:.1}", row.seconds * 1e3),
            format!("{:.1} %", 100.0 * row.seconds / whole.seconds),
            format!("{:.2}", row.multiply_adds as f64 / 1e9),
            row.gflops().map_or_else(String::new, |gflops| format!("{gflops:.1}")),
        ]);
    }
    text.push_str(&table.to_string());
    let list: Vec<String> = seconds.iter().map(|value| format!("{value:.4}")).collect();
    text.push_str(&format!(
        "\nseconds: {} (median {:.4})\n",
        list.join(" "),
        median(seconds.to_vec())
    ));
    text
}

fn size(text: &str) -> Result<[usize; 2], String> {
    let side = |text: &str| text.parse::<usize>().ok().filter(|side| (1..=65_536).contains(side));
    let sides = text.split_once(['x', 'X']).and_then(|(h, w)| side(h).zip(side(w)));
    sides.map(|(h, w)| [h, w]).ok_or_else(|| "expected HEIGHTxWIDTH, such as 800x1088".to_owned())
}
