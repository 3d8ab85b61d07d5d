//! `retinanet detect`.

use std::path::{Path, PathBuf};
use std::time::Instant;

use clap::ValueHint;
use retinanet::batch::Record;
use retinanet::image::{DecodeOptions, ImageRows, Tiling};
use retinanet::receipt::Receipt;
use retinanet::{Detections, Detector};

use crate::detect_options::DetectOptions;
use crate::exit::{Exit, Failure, Outcome};
use crate::inputs::{Input, Inputs};
use crate::interrupt;
use crate::limit_options::LimitOptions;
use crate::output::{Align, OutputPaths, PictureOptions, RecordFile, Table, check_target, print};
use crate::progress::Progress;
use crate::text::one_line;
use crate::tile_options::{TileOptions, check_suits};
use crate::voice::{complain, detail};

/// Finds objects in images
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    /// Images, folders (with all folders in them), patterns such as 'photos/**/*.jpg', or lists (.txt);
    /// `-`, alone, is one image from standard input, and so is one https URL
    #[arg(required = true, value_name = "IMAGE|DIR|GLOB|URL|-", value_hint = ValueHint::AnyPath)]
    pub inputs: Vec<PathBuf>,

    /// What a URL gives must have this SHA-256; without this it is taken as it comes, and the hash told
    #[arg(long, value_name = "HEX", value_parser = sha256)]
    pub sha256: Option<String>,

    #[command(flatten)]
    pub detect: DetectOptions,

    /// Write the answers as JSON; `-` is standard output, in place of the table
    #[arg(long, value_name = "FILE|-", help_heading = "Output", value_hint = ValueHint::FilePath)]
    pub json: Option<PathBuf>,

    /// Write the answers as CSV, a row a detection; `-` is standard output, in place of the table
    #[arg(long, value_name = "FILE|-", help_heading = "Output", value_hint = ValueHint::FilePath)]
    pub csv: Option<PathBuf>,

    #[command(flatten)]
    pub pictures: PictureOptions,

    /// Write a receipt for each image, which `retinanet verify` re-runs
    #[arg(long, value_name = "DIR", help_heading = "Output", value_hint = ValueHint::DirPath)]
    pub receipt: Option<PathBuf>,

    #[command(flatten)]
    pub tiles: TileOptions,

    #[command(flatten)]
    pub limits: LimitOptions,
}

const EXAMPLES: &str = "Examples:
  retinanet detect photo.jpg
  retinanet detect --label person --score-threshold 0.5 --overlay drawn photos/
  retinanet detect --csv found.csv --crops crops --yolo labels photos/
  retinanet detect --weights retinanet_resnet50_fpn_v2.coco_v1 --json - 'photos/*.jpg' | jq .
  retinanet detect https://example.org/photo.jpg          # says the --sha256 to pin it by
  curl -L https://example.org/photo.jpg | retinanet detect --overlay drawn -
  retinanet detect --tiles 800 --overlap 0.25 --max-pixels 400000000 satellite.tif

Outputs are called after the image's path below the folder that all inputs share: of a/1.jpg and
b/1.jpg, `--overlay out` draws out/a/1.jpg.png and out/b/1.jpg.png. The image from standard
input is `-` in answers, and its outputs are called after `stdin`: out/stdin.png. A URL's image is the
URL without its query, and its outputs are called after the last part of its path. Only https is
opened (http on this machine), nothing is kept, and HF_TOKEN is not sent.

Exit codes: 0 done, 2 usage, 3 an image could not be used (the others are still done)";

/// 64 digits, in any case.
fn sha256(text: &str) -> Result<String, String> {
    let good = text.len() == 64 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    good.then(|| text.to_ascii_lowercase())
        .ok_or_else(|| "expected 64 hexadecimal digits".to_owned())
}

/// Runs the command.
pub fn run(args: Args) -> Outcome {
    check_target(args.json.as_deref())?;
    check_target(args.csv.as_deref())?;
    let stdout = Some(Path::new("-"));
    if args.json.is_some() && args.json == args.csv {
        return Err(Failure::usage(
            "--json and --csv write to the same place; give one another file",
        ));
    }
    let (decode, tiling) = (args.limits.decode(), args.tiles.tiling()?);
    let inputs = Inputs::of(&args.inputs, args.limits.max_file_bytes, args.sha256.as_deref())?;
    let detector = args.detect.detector()?;
    if let Some(tiling) = &tiling {
        check_suits(tiling, &detector)?;
    }
    let images = (0..inputs.len()).map(|index| inputs.get(index).relative);
    args.pictures.begin(detector.categories(), images)?;
    let mut outputs =
        [RecordFile::json(args.json.as_deref()), RecordFile::csv(args.csv.as_deref())];
    let mut push = |record: Record| outputs.iter_mut().try_for_each(|file| file.push(&record));
    let table = args.json.as_deref() != stdout && args.csv.as_deref() != stdout;
    let unit = if tiling.is_some() { "windows" } else { "images" };
    let mut progress = Progress::new(inputs.len() as u64, unit);
    let mut exit = Exit::Done;
    for index in 0..inputs.len() {
        let input = inputs.get(index);
        let name = input.name();
        let started = Instant::now();
        let answer = match &tiling {
            None => one(&detector, &args, &input, &decode),
            Some(tiling) => one_tiled(&detector, &args, &input, &decode, tiling, &mut progress),
        };
        match answer {
            Ok(found) => {
                let seconds = started.elapsed().as_secs_f64();
                progress.around(|| detail(|| format!("{} in {seconds:.2} s", one_line(&name))));
                push(Record::found(&name, &found)?)?;
                if table {
                    progress.around(|| print(&as_table(&name, &found)))?;
                }
            }
            Err(Failure::Told { message, .. }) => {
                exit = Exit::BadInput;
                progress.around(|| complain(&message));
                push(Record::failed(&name, &message))?;
            }
            Err(gone) => return Err(gone),
        }
        if tiling.is_none() {
            progress.step();
        }
    }
    for file in outputs {
        file.finish()?;
    }
    Ok(exit)
}

/// Detects in one image and writes the files asked for.
fn one(
    detector: &Detector,
    args: &Args,
    input: &Input<'_>,
    decode: &DecodeOptions,
) -> Outcome<Detections> {
    let image = input.image(decode)?;
    let all = match &args.receipt {
        None => detector.detect(&image)?,
        Some(folder) => save_receipt(folder, input, &input.receipt(detector, &decode.limits)?)?,
    };
    let found = args.detect.select(&all)?;
    args.pictures.write(input.relative, &image, &found)?;
    Ok(found)
}

/// As [`one`], window by window. The image is in memory whole only where it is drawn on.
fn one_tiled(
    detector: &Detector,
    args: &Args,
    input: &Input<'_>,
    decode: &DecodeOptions,
    tiling: &Tiling,
    progress: &mut Progress,
) -> Outcome<Detections> {
    let image = if args.pictures.is_empty() { None } else { Some(input.image(decode)?) };
    let mut watch = |done: usize, total: usize| progress.at(done, total);
    let all = match (&args.receipt, &image) {
        (None, None) => detector.detect_tiled_with(input.rows(decode)?, tiling, &mut watch)?,
        (None, Some(image)) => {
            detector.detect_tiled_with(ImageRows::of(image), tiling, &mut watch)?
        }
        (Some(folder), _) => {
            let receipt = input.tiled_receipt(detector, tiling, &decode.limits, &mut watch)?;
            save_receipt(folder, input, &receipt)?
        }
    };
    let found = args.detect.select(&all)?;
    if let Some(image) = &image {
        args.pictures.write(input.relative, image, &found)?;
    }
    Ok(found)
}

/// Writes a receipt beside the other outputs, and returns what was found.
fn save_receipt(folder: &Path, input: &Input<'_>, receipt: &Receipt) -> Outcome<Detections> {
    let to = OutputPaths::new(folder).beside(input.relative, ".receipt.json")?;
    interrupt::finish(|| receipt.save(to))?;
    Ok(receipt.detections().clone())
}

fn as_table(name: &str, found: &Detections) -> String {
    let [height, width] = found.image_size();
    let count = match found.len() {
        0 => "nothing found".to_owned(),
        1 => "1 detection".to_owned(),
        count => format!("{count} detections"),
    };
    let mut text = format!("{}  {width} x {height}  {count}\n", one_line(name));
    if found.is_empty() {
        return text;
    }
    let columns = ["score", "x1", "y1", "x2", "y2"].map(|name| (name, Align::Right));
    let mut table = Table::new(&[&[("  label", Align::Left)], &columns[..]].concat());
    for one in found {
        let mut cells = vec![format!("  {}", one.label), format!("{:.3}", one.score)];
        cells.extend(<[f32; 4]>::from(one.bounding_box).map(|side| format!("{side:.1}")));
        table.row(cells);
    }
    text.push_str(&table.to_string());
    text
}
