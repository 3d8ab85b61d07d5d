//! `retinanet eval`.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use clap::ValueHint;
use retinanet::eval::{
    CategoryMap, CocoDetection, CocoScores, Evaluation, GroundTruth, PrecisionRecall,
};
use serde::Serialize;

use crate::annotation_options::{AnnotationFormat, AnnotationOptions, Annotations};
use crate::detect_options::DetectOptions;
use crate::exit::{Exit, Failure, Outcome};
use crate::inputs::refuse_url_or_stdin;
use crate::limit_options::LimitOptions;
use crate::output::{Align, Table, check_target, listed, note, print, write_text};
use crate::progress::Progress;
use crate::svg::curves_file;
use crate::voice::notice;

/// Scores a model on an annotated data set: box AP and AR, as pycocotools computes them
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    /// The folder of the images that the annotations name
    #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath)]
    #[arg(required_unless_present = "detections")]
    pub images: Option<PathBuf>,

    /// COCO's annotations (instances_val2017.json), or the folder of Pascal VOC's or of YOLO's files
    #[arg(long, value_name = "FILE.json|DIR", value_hint = ValueHint::AnyPath)]
    pub annotations: PathBuf,

    /// Score this COCO results file; no model is run
    #[arg(long, value_name = "FILE.json", value_hint = ValueHint::FilePath)]
    pub detections: Option<PathBuf>,

    /// Leave out images that are not in the folder; without this they are an error
    #[arg(long)]
    pub skip_missing: bool,

    #[command(flatten)]
    pub annotation: AnnotationOptions,

    #[command(flatten)]
    pub detect: DetectOptions,

    /// Write the scores as JSON; `-` is standard output, in place of the tables
    #[arg(long, value_name = "FILE|-", help_heading = "Output", value_hint = ValueHint::FilePath)]
    pub json: Option<PathBuf>,

    /// Write the detections as a COCO results file, which pycocotools' `loadRes` reads
    #[arg(long, value_name = "FILE", help_heading = "Output", value_hint = ValueHint::FilePath)]
    #[arg(conflicts_with = "detections")]
    pub save_detections: Option<PathBuf>,

    /// Write the precision-recall curves, as a drawing (.svg) or as their numbers (.json)
    #[arg(long, value_name = "FILE", help_heading = "Output", value_hint = ValueHint::FilePath)]
    pub curves: Option<PathBuf>,

    #[command(flatten)]
    pub limits: LimitOptions,
}

const EXAMPLES: &str = "Examples:
  retinanet eval --images val2017 --annotations annotations/instances_val2017.json
  retinanet eval --images photos --annotations photos/instances.json --label person --json -
  retinanet eval --images VOC2012/JPEGImages --annotations VOC2012/Annotations
  retinanet eval --images images/val --annotations labels/val --annotation-classes names.txt

The same scores from a run that can be continued and split:
  retinanet batch photos --out results.json --format coco --annotations photos/instances.json
  retinanet eval --detections results.json --annotations photos/instances.json

Labels and categories match by name. What the model scores at or below its threshold (0.05, or
--score-threshold) or lists after its best 300 of an image takes no part; AP published for
torchvision's weights is measured so. A higher threshold lowers AP and AR.

Pascal VOC's `difficult` objects are crowds: neither found nor missed. The scores are COCO's for every
kind of annotations, not those of Pascal VOC's own rules.

Exit codes: 0 done, 2 usage, 3 an image or the annotations could not be used";

/// What is written as JSON.
#[derive(Debug, Serialize)]
struct Report {
    #[serde(flatten)]
    evaluation: Evaluation,
    /// For a file of their own.
    #[serde(skip)]
    curves: Vec<PrecisionRecall>,
    /// File names of images left out.
    missing_images: Vec<String>,
    /// Labels of the model that the annotations do not know.
    only_in_model: Vec<String>,
    /// Categories that the model does not know.
    only_in_annotations: Vec<String>,
}

/// What a file of curves is.
enum CurveForm {
    Svg,
    Json,
}

impl CurveForm {
    fn of(file: &Path) -> Outcome<Self> {
        let ending = file.extension().map(|ending| ending.to_ascii_lowercase());
        match ending.as_deref().and_then(OsStr::to_str) {
            Some("svg") => Ok(Self::Svg),
            Some("json") => Ok(Self::Json),
            _ => Err(Failure::usage(format!(
                "curves are written as .svg or .json, and {file:?} ends in neither"
            ))),
        }
    }
}

/// Runs the command.
pub fn run(args: Args) -> Outcome {
    check_target(args.json.as_deref())?;
    check_target(args.save_detections.as_deref())?;
    check_target(args.curves.as_deref())?;
    args.curves.as_deref().map_or(Ok(()), |file| CurveForm::of(file).map(drop))?;
    let inputs = [Some(&args.annotations), args.images.as_ref(), args.detections.as_ref()];
    for input in inputs.into_iter().flatten() {
        refuse_url_or_stdin(input)?;
    }
    let needs_images = args.annotation.format(&args.annotations)? == AnnotationFormat::Yolo;
    if args.images.is_some() && args.detections.is_some() && !needs_images {
        return Err(Failure::usage(
            "--images and --detections exclude each other (except for the sizes that YOLO's annotations need)",
        ));
    }
    let decode = args.limits.decode();
    let annotations = args.annotation.open(&args.annotations, args.images.as_deref(), &decode)?;
    let Annotations { mut truth, without_image } = annotations;
    if !without_image.is_empty() && !args.skip_missing {
        return Err(Failure::bad_input(format!(
            "{} files of {:?} belong to no image: {}; --skip-missing leaves them out",
            without_image.len(),
            args.annotations,
            listed(&without_image)
        )));
    }
    let labels = &args.detect.labels;
    let all_categories: Vec<i64> = truth.categories().iter().map(|one| one.id).collect();
    if !labels.is_empty() {
        truth = truth.only_categories(labels)?;
    }
    let mut report = match (&args.detections, &args.images) {
        (Some(file), _) => {
            let mut detections = CocoDetection::read_list(file)?;
            let kept = |id| truth.categories().iter().any(|one| one.id == id);
            detections.retain(|found| {
                kept(found.category_id) || !all_categories.contains(&found.category_id)
            });
            Report::new(truth.evaluate_with_curves(&detections)?)
        }
        (None, Some(folder)) => score_model(&args, truth, folder)?,
        (None, None) => return Err(Failure::usage("give --images or --detections")),
    };
    if !labels.is_empty() {
        // The others were left out on purpose.
        report.only_in_model.clear();
    }
    report.missing_images.extend(without_image);
    report.warn();
    if let Some(file) = &args.curves {
        let text = match CurveForm::of(file)? {
            CurveForm::Svg => curves_file(&report.evaluation, &report.curves),
            CurveForm::Json => {
                serde_json::to_string(&report.curves).expect("curves have string keys only") + "\n"
            }
        };
        write_text(file, &text)?;
    }
    if let Some(file) = &args.json {
        let json = serde_json::to_string(&report).expect("a report has string keys only") + "\n";
        if file == Path::new("-") {
            print(&json)?;
            return Ok(Exit::Done);
        }
        write_text(file, &json)?;
    }
    print(&tables(&report.evaluation))?;
    Ok(Exit::Done)
}

fn score_model(args: &Args, mut truth: GroundTruth, folder: &Path) -> Outcome<Report> {
    let missing = missing(&truth, folder)?;
    if !missing.is_empty() {
        if !args.skip_missing {
            return Err(Failure::bad_input(format!(
                "{} of {} images are not in {folder:?}: {}; --skip-missing scores the others",
                missing.len(),
                truth.images().len(),
                listed(&missing)
            )));
        }
        let there = truth.images().iter().filter(|image| !missing.contains(&image.file_name));
        let there: Vec<i64> = there.map(|image| image.id).collect();
        truth = truth.only_images(&there)?;
    }
    if truth.images().is_empty() {
        return Err(Failure::bad_input(format!("{folder:?} holds no image to score")));
    }
    let detector = args.detect.detector()?;
    let map = CategoryMap::new(detector.categories(), &truth)?;
    let mut detections = Vec::new();
    let mut progress = Progress::new(truth.images().len() as u64, "images");
    let options = args.limits.decode();
    for image in truth.images() {
        let found = detector.detect(&image.open(folder, &options)?)?;
        detections.extend(map.translate(image.id, &found));
        progress.step();
    }
    drop(progress);
    if let Some(file) = &args.save_detections {
        let json = serde_json::to_string(&detections).expect("numbers can be written") + "\n";
        write_text(file, &json)?;
    }
    Ok(Report {
        missing_images: missing,
        only_in_model: map.only_in_model().to_vec(),
        only_in_annotations: map.only_in_annotations().to_vec(),
        ..Report::new(truth.evaluate_with_curves(&detections)?)
    })
}

impl Report {
    fn new((evaluation, curves): (Evaluation, Vec<PrecisionRecall>)) -> Self {
        let [missing_images, only_in_model, only_in_annotations] = Default::default();
        Self { evaluation, curves, missing_images, only_in_model, only_in_annotations }
    }

    /// Says on standard error what a reader of the numbers must know.
    fn warn(&self) {
        note("missing images are left out", &self.missing_images);
        note("labels that are not in the annotations do not count", &self.only_in_model);
        note(
            "categories unknown to the model count as never found; --label chooses others",
            &self.only_in_annotations,
        );
        if self.evaluation.zero_id_annotations > 0 {
            notice(
                "an annotation has the id 0; as in pycocotools, a detection that matches it \
                 counts as wrong: number annotations from 1",
            );
        }
    }
}

/// Names of the annotated images that are not in the folder.
fn missing(truth: &GroundTruth, folder: &Path) -> Outcome<Vec<String>> {
    let mut missing = Vec::new();
    for image in truth.images() {
        if !image.path(folder)?.is_file() {
            missing.push(image.file_name.clone());
        }
    }
    Ok(missing)
}

/// What each of the twelve numbers is over: IoU, area, detections per image and category.
const MEANINGS: [[&str; 3]; 12] = [
    ["0.50:0.95", "all", "100"],
    ["0.50", "all", "100"],
    ["0.75", "all", "100"],
    ["0.50:0.95", "small", "100"],
    ["0.50:0.95", "medium", "100"],
    ["0.50:0.95", "large", "100"],
    ["0.50:0.95", "all", "1"],
    ["0.50:0.95", "all", "10"],
    ["0.50:0.95", "all", "100"],
    ["0.50:0.95", "small", "100"],
    ["0.50:0.95", "medium", "100"],
    ["0.50:0.95", "large", "100"],
];

fn tables(evaluation: &Evaluation) -> String {
    use Align::{Left, Right};
    let mut overall = Table::new(&[
        ("score", Left),
        ("IoU", Left),
        ("area", Left),
        ("detections", Right),
        ("value", Right),
    ]);
    let values = evaluation.overall.to_array();
    for ((name, meaning), value) in CocoScores::NAMES.iter().zip(MEANINGS).zip(values) {
        let [iou, area, most] = meaning;
        overall.row([*name, iou, area, most, &shown(value)]);
    }
    let mut classes = Table::new(&[
        ("category", Left),
        ("annotations", Right),
        ("detections", Right),
        ("AP", Right),
        ("AP50", Right),
        ("AP75", Right),
        ("AR_100", Right),
    ]);
    for class in &evaluation.classes {
        let CocoScores { ap, ap50, ap75, ar_100, .. } = class.scores;
        let counts = [class.annotations.to_string(), class.detections.to_string()];
        let scores = [ap, ap50, ap75, ar_100].map(shown);
        classes.row([class.name.clone()].into_iter().chain(counts).chain(scores));
    }
    format!(
        "{} images, {} annotations, {} detections\n\n{overall}\n{classes}",
        evaluation.images, evaluation.annotations, evaluation.detections
    )
}

fn shown(value: Option<f64>) -> String {
    value.map_or_else(|| "-".to_owned(), |value| format!("{value:.4}"))
}
