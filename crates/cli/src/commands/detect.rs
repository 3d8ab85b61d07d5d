//! `retinanet detect`.

use std::path::{Path, PathBuf};

use clap::ValueHint;
use retinanet::determinism::Receipt;
use retinanet::image::overlay::{self, OverlayBox, OverlayStyle};
use retinanet::image::{Image, Mask};
use retinanet::{Detections, Detector};

use crate::detect_options::DetectOptions;
use crate::exit::{Exit, Failure, Outcome, complain};
use crate::inputs::{self, InputImage};
use crate::interrupt;
use crate::output::{Align, ImageRecord, JsonArray, OutputPaths, Table, print};
use crate::progress::Progress;

/// Finds objects in images
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    /// Images, folders (with all folders in them) or patterns such as 'photos/**/*.jpg'
    #[arg(required = true, value_name = "IMAGE|DIR|GLOB", value_hint = ValueHint::AnyPath)]
    pub inputs: Vec<PathBuf>,

    #[command(flatten)]
    pub detect: DetectOptions,

    /// Write the answers as JSON; `-` is standard output, in place of the table
    #[arg(long, value_name = "FILE|-", help_heading = "Output", value_hint = ValueHint::FilePath)]
    pub json: Option<PathBuf>,

    /// Write each image with its boxes drawn, as PNG
    #[arg(long, value_name = "DIR", help_heading = "Output", value_hint = ValueHint::DirPath)]
    pub overlay: Option<PathBuf>,

    /// Write each detection's box as a black and white PNG of the image's size
    #[arg(long, value_name = "DIR", help_heading = "Output", value_hint = ValueHint::DirPath)]
    pub masks: Option<PathBuf>,

    /// Write a receipt for each image, which `retinanet verify` re-runs
    #[arg(long, value_name = "DIR", help_heading = "Output", value_hint = ValueHint::DirPath)]
    pub receipt: Option<PathBuf>,
}

const EXAMPLES: &str = "Examples:
  retinanet detect photo.jpg
  retinanet detect --label person --score-threshold 0.5 --overlay drawn photos/
  retinanet detect --weights retinanet_resnet50_fpn_v2.coco_v1 --json - 'photos/*.jpg' | jq .

Outputs are called after the image's path below the folder that all inputs share: of a/1.jpg and
b/1.jpg, `--overlay out` draws out/a/1.jpg.png and out/b/1.jpg.png.

Exit codes: 0 done, 2 usage, 3 an image could not be used (the others are still done)";

/// Runs the command.
pub fn run(args: Args) -> Outcome {
    let inputs = inputs::images(&args.inputs)?;
    let outputs = Outputs::new(&args, &inputs)?;
    let detector = args.detect.detector()?;
    let mut json = JsonArray::new(args.json.as_deref());
    let table = args.json.as_deref() != Some(Path::new("-"));
    let mut progress = Progress::new(inputs.len() as u64, "images");
    let mut exit = Exit::Done;
    for input in &inputs {
        match one(&detector, &args.detect, input, &outputs) {
            Ok(found) => {
                json.push(ImageRecord::found(&input.name(), &found)?)?;
                if table {
                    progress.around(|| print(&as_table(&input.name(), &found)))?;
                }
            }
            Err(Failure::Told { message, .. }) => {
                exit = Exit::BadInput;
                progress.around(|| complain(&message));
                json.push(ImageRecord::failed(&input.name(), &message))?;
            }
            Err(gone) => return Err(gone),
        }
        progress.step();
    }
    json.finish()?;
    Ok(exit)
}

/// Where the files for an image go.
struct Outputs {
    overlay: Option<OutputPaths>,
    masks: Option<OutputPaths>,
    receipt: Option<OutputPaths>,
}

impl Outputs {
    fn new(args: &Args, inputs: &[InputImage]) -> Outcome<Self> {
        let below = |folder: &Option<PathBuf>| folder.as_ref().map(OutputPaths::new);
        let [overlay, masks, receipt] = [&args.overlay, &args.masks, &args.receipt].map(below);
        if overlay.is_some() || masks.is_some() || receipt.is_some() {
            OutputPaths::check(inputs)?;
        }
        Ok(Self { overlay, masks, receipt })
    }
}

/// Detects in one image and writes the files asked for.
fn one(
    detector: &Detector,
    options: &DetectOptions,
    input: &InputImage,
    outputs: &Outputs,
) -> Outcome<Detections> {
    let image = Image::open(&input.path)?;
    let all = match &outputs.receipt {
        None => detector.detect(&image)?,
        Some(folder) => {
            let receipt = Receipt::create(detector, &input.path)?;
            let path = folder.beside(input, ".receipt.json")?;
            interrupt::finish(|| receipt.save(path))?;
            receipt.detections().clone()
        }
    };
    let found = options.select(&all)?;
    if let Some(folder) = &outputs.overlay {
        let boxes: Vec<OverlayBox<'_>> = found
            .iter()
            .map(|one| OverlayBox {
                in_image: one.bounding_box.into(),
                label: &one.label,
                score: one.score,
                label_id: one.label_id,
            })
            .collect();
        let drawn = overlay::draw(&image, &boxes, &OverlayStyle::default());
        let path = folder.beside(input, ".png")?;
        interrupt::finish(|| drawn.save_png(path))?;
    }
    if let Some(folder) = &outputs.masks {
        let folder = folder.folder_of(input)?;
        for (number, one) in found.iter().enumerate() {
            let mask = Mask::filled_box(image.width(), image.height(), one.bounding_box.into());
            let path = folder.join(format!("{number:03}-{}.png", file_name(&one.label)));
            interrupt::finish(|| mask.save_png(path))?;
        }
    }
    Ok(found)
}

/// The label as part of a file's name.
fn file_name(label: &str) -> String {
    label.chars().take(60).map(|c| if c.is_ascii_alphanumeric() { c } else { '_' }).collect()
}

fn as_table(name: &str, found: &Detections) -> String {
    let [height, width] = found.image_size();
    let count = match found.len() {
        0 => "nothing found".to_owned(),
        1 => "1 detection".to_owned(),
        count => format!("{count} detections"),
    };
    let mut text = format!("{}  {width} x {height}  {count}\n", crate::output::one_line(name));
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
