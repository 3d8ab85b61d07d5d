//! `retinanet report`.

use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};

use clap::ValueHint;
use retinanet::determinism::NUMERICS_VERSION;
use retinanet::eval::{CategoryMap, CocoDetection, CocoImage, GroundTruth};
use retinanet::image::DecodeOptions;
use retinanet::labels::Categories;
use retinanet::{Detector, Image};

use crate::annotation_options::{AnnotationOptions, Annotations};
use crate::detect_options::DetectOptions;
use crate::exit::{Exit, Failure, Outcome};
use crate::inputs::{files, refuse_url_or_stdin};
use crate::limit_options::LimitOptions;
use crate::output::{check_target, listed, write_text};
use crate::progress::Progress;
use crate::report::{
    Accuracy, Answer, AnswerOutcome, Found, Page, PictureLimits, Pictures, Results, Run,
};
use crate::voice::complain;

/// Writes one HTML page about what is found in images: pictures with boxes, counts, scores, digests
///
/// The page needs no network and no other file: everything is in it. With annotations it has AP and
/// precision-recall curves, too. It holds no date, so that equal inputs give equal bytes.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    /// Images, folders, patterns or lists
    #[arg(required = true, value_name = "IMAGE|DIR|GLOB", value_hint = ValueHint::AnyPath)]
    pub inputs: Vec<PathBuf>,

    /// The page to write
    #[arg(long, value_name = "FILE.html", value_hint = ValueHint::FilePath)]
    pub out: PathBuf,

    /// Show what `retinanet batch` wrote about these images as JSON lines; no model is run
    #[arg(long, value_name = "FILE.jsonl", value_hint = ValueHint::FilePath)]
    pub results: Option<PathBuf>,

    /// What the page is headed with [default: `Detections in` and the number of images]
    #[arg(long, value_name = "TEXT")]
    pub title: Option<String>,

    /// COCO's annotations, or the folder of Pascal VOC's or of YOLO's files, for AP and curves
    #[arg(long, value_name = "FILE.json|DIR", value_hint = ValueHint::AnyPath)]
    pub annotations: Option<PathBuf>,

    #[command(flatten)]
    pub annotation: AnnotationOptions,

    #[command(flatten)]
    pub pictures: PictureLimits,

    #[command(flatten)]
    pub detect: DetectOptions,

    #[command(flatten)]
    pub limits: LimitOptions,
}

const EXAMPLES: &str = "Examples:
  retinanet report photos --out report.html
  retinanet report photos --out report.html --annotations instances.json --label person

Of a run that can be continued and split, in the folder it was run in:
  retinanet batch photos --out results.jsonl
  retinanet report photos --results results.jsonl --out report.html

How large it gets: pictures are made smaller (--picture-size), the first --pictures images have one,
and all together take at most --max-picture-bytes; the list has the first 5000 images, the counts all.

Exit codes: 0 done, 2 usage, 3 an image could not be used (the page is still written, and names it)";

/// Annotations by their images' names.
struct Truth {
    truth: GroundTruth,
    map: CategoryMap,
    /// Of the images that have an answer.
    scored: Vec<i64>,
    detections: Vec<CocoDetection>,
    /// Images with an answer that the annotations do not list.
    unknown: Vec<String>,
    by_name: HashMap<String, CocoImage>,
    boxes: HashMap<i64, Vec<([f64; 4], String)>>,
    without_image: Vec<String>,
}

/// Runs the command.
pub fn run(args: Args) -> Outcome {
    check_target(Some(&args.out))?;
    if args.out == Path::new("-") {
        return Err(Failure::usage("a report is a file: give --out a name"));
    }
    args.results.as_deref().map_or(Ok(()), refuse_url_or_stdin)?;
    let decode = args.limits.decode();
    let listing = files(&args.inputs)?;
    let source = Source::new(&args)?;
    let mut truth = match &args.annotations {
        None => None,
        Some(path) => Some(Truth::open(&args, path, listing.root(), &source, &decode)?),
    };
    let known = truth.as_ref().map(|truth| truth.by_name.clone()).unwrap_or_default();
    let title = args.title.clone();
    let title = title.unwrap_or_else(|| match listing.len() {
        1 => "Detections in 1 image".to_owned(),
        count => format!("Detections in {count} images"),
    });
    let mut page = Page::new(title, source.run());
    let mut pictures = Pictures::new(args.pictures.clone());
    let mut progress = Progress::new(listing.len() as u64, "images");
    let mut see = |answer: Answer, image: Option<Image>| -> Outcome<()> {
        if let AnswerOutcome::Failed(error) = &answer.outcome {
            progress.around(|| complain(error));
        }
        page.add(&answer);
        let boxes = truth.as_mut().map(|truth| truth.add(&answer)).transpose()?.unwrap_or_default();
        if let Some(image) = image {
            pictures.add(&answer, &image, &boxes);
        }
        progress.step();
        Ok(())
    };
    match &source {
        Source::Detector(detector) => {
            for index in 0..listing.len() {
                let name = listing.name(index).into_owned();
                let annotated = known.get(&name);
                let open = || match annotated {
                    // Upright or as stored, whichever was annotated.
                    Some(image) => Ok(image.open(listing.root(), &decode)?),
                    None => Ok(Image::open_with(listing.path(index), &decode)?),
                };
                let (answer, image) = match open().and_then(|image| detect(&args, detector, image))
                {
                    Ok((found, image)) => (AnswerOutcome::Found(found), Some(image)),
                    Err(Failure::Told { message, .. }) => (AnswerOutcome::Failed(message), None),
                    Err(gone) => return Err(gone),
                };
                see(Answer { name, outcome: answer }, image)?;
            }
        }
        Source::Results { path, .. } => {
            let places: HashMap<String, usize> =
                (0..listing.len()).map(|index| (listing.name(index).into_owned(), index)).collect();
            let mut results = Results::open(path)?;
            let mut shown = 0;
            while let Some(mut answer) = results.advance()? {
                let Some(&index) = places.get(&answer.name) else {
                    return Err(Failure::bad_input(format!(
                        "{:?} of {path:?} is not among the images; names are relative to {:?}: give the \
                         inputs that the batch was given",
                        answer.name,
                        listing.root()
                    )));
                };
                let mut image = None;
                if let AnswerOutcome::Found(found) = &mut answer.outcome {
                    if !args.detect.labels.is_empty() {
                        let known =
                            |label: &&String| found.detections.categories().id_of(label).is_ok();
                        let labels: Vec<&String> =
                            args.detect.labels.iter().filter(known).collect();
                        *found = Found::new(found.detections.only(&labels)?)?;
                    }
                    if shown < args.pictures.pictures {
                        let opened = Image::open_with(listing.path(index), &decode)?;
                        check_size(&answer.name, found, &opened)?;
                        image = Some(opened);
                        shown += 1;
                    }
                }
                see(answer, image)?;
            }
            if page.images() != listing.len() {
                let (have, all) = (page.images(), listing.len());
                return Err(Failure::bad_input(format!(
                    "{path:?} has {have} of the {all} images; continue the batch with --resume, or give \
                     the inputs that it was given"
                )));
            }
        }
    }
    drop(progress);
    let accuracy = truth.map(|truth| truth.score(page.failed())).transpose()?;
    let exit = if page.failed() == 0 { Exit::Done } else { Exit::BadInput };
    write_text(&args.out, &page.finish(&pictures, accuracy.as_ref()))?;
    Ok(exit)
}

/// Where answers come from.
enum Source {
    Detector(Box<Detector>),
    Results { path: PathBuf, run: Run, categories: Option<Categories> },
}

impl Source {
    fn new(args: &Args) -> Outcome<Self> {
        let Some(path) = &args.results else {
            return Ok(Self::Detector(Box::new(args.detect.detector()?)));
        };
        let model = &args.detect.model;
        if model.weights.is_some() || args.detect.score_threshold.is_some() {
            return Err(Failure::usage(
                "--results shows what is there: no model is run, and no threshold applies",
            ));
        }
        let (run, categories) = match Results::run_beside(path) {
            Some(run) => Run::of_batch(&run),
            None => (Run::default(), None),
        };
        for label in &args.detect.labels {
            let known = categories.as_ref().ok_or_else(|| {
                Failure::bad_input(format!(
                    "{path:?} has no .run.json beside it, which names the model's labels: leave out --label"
                ))
            })?;
            known.id_of(label)?;
        }
        Ok(Self::Results { path: path.clone(), run, categories })
    }

    fn run(&self) -> Run {
        match self {
            Self::Results { run, .. } => run.clone(),
            Self::Detector(detector) => {
                let environment = detector.environment();
                Run {
                    weights: environment.weights_sha256.map(|sha256| sha256.to_string()),
                    mode: Some(environment.mode.to_string()),
                    numerics: Some(NUMERICS_VERSION.into()),
                    version: Some(env!("CARGO_PKG_VERSION").to_owned()),
                }
            }
        }
    }

    fn categories(&self) -> Outcome<&Categories> {
        match self {
            Self::Detector(detector) => Ok(detector.categories()),
            Self::Results { path, categories, .. } => categories.as_ref().ok_or_else(|| {
                Failure::bad_input(format!(
                    "{path:?} has no .run.json beside it, which names the model's labels; without it the \
                     annotations cannot be matched"
                ))
            }),
        }
    }
}

fn detect(args: &Args, detector: &Detector, image: Image) -> Outcome<(Found, Image)> {
    let found = args.detect.select(&detector.detect(&image)?)?;
    Ok((Found::new(found)?, image))
}

/// A picture must be the one that the results are about.
fn check_size(name: &str, found: &Found, image: &Image) -> Outcome<()> {
    let [height, width] = found.detections.image_size();
    if [height, width] == [image.height(), image.width()] {
        return Ok(());
    }
    Err(Failure::bad_input(format!(
        "{name:?} is {} x {}, but its results are for {width} x {height}; is this the right folder?",
        image.width(),
        image.height()
    )))
}

impl Truth {
    fn open(
        args: &Args,
        path: &Path,
        root: &Path,
        source: &Source,
        decode: &DecodeOptions,
    ) -> Outcome<Self> {
        let read = args.annotation.open(path, Some(root), decode)?;
        let Annotations { mut truth, without_image } = read;
        if !args.detect.labels.is_empty() {
            truth = truth.only_categories(&args.detect.labels)?;
        }
        let map = CategoryMap::new(source.categories()?, &truth)?;
        let names: HashMap<i64, &str> =
            truth.categories().iter().map(|one| (one.id, one.name.as_str())).collect();
        let mut boxes: HashMap<i64, Vec<([f64; 4], String)>> = HashMap::new();
        for one in truth.annotations() {
            let name = names[&one.category_id].to_owned();
            boxes.entry(one.image_id).or_default().push((one.bbox, name));
        }
        let by_name =
            truth.images().iter().map(|one| (one.file_name.clone(), one.clone())).collect();
        Ok(Self {
            truth,
            map,
            scored: Vec::new(),
            detections: Vec::new(),
            unknown: Vec::new(),
            by_name,
            boxes,
            without_image,
        })
    }

    /// Adds an image's answer; its annotated boxes.
    fn add(&mut self, answer: &Answer) -> Outcome<Vec<([f64; 4], String)>> {
        let AnswerOutcome::Found(found) = &answer.outcome else { return Ok(Vec::new()) };
        let Some(image) = self.by_name.get(&answer.name) else {
            self.unknown.push(answer.name.clone());
            return Ok(Vec::new());
        };
        let [height, width] = found.detections.image_size().map(|side| side as u64);
        let other = |stated: Option<u64>, is| stated.is_some_and(|stated| stated != is);
        if other(image.width, width) || other(image.height, height) {
            return Err(Failure::bad_input(format!(
                "{:?} is {width} x {height} upright, but was annotated as {} x {}; is this the right folder?",
                answer.name,
                image.width.unwrap_or(width),
                image.height.unwrap_or(height)
            )));
        }
        self.scored.push(image.id);
        self.detections.extend(self.map.translate(image.id, &found.detections));
        Ok(self.boxes.get(&image.id).cloned().unwrap_or_default())
    }

    fn score(self, failed: usize) -> Outcome<Accuracy> {
        if self.scored.is_empty() {
            return Err(Failure::bad_input(
                "none of the images is in the annotations; their `file_name`s are relative to the folder given",
            ));
        }
        let mut notes = Vec::new();
        let mut note = |what: &str, names: &[String]| {
            if !names.is_empty() {
                notes.push(format!("{what} ({}): {}", names.len(), listed(names)));
            }
        };
        let scored: HashSet<i64> = self.scored.iter().copied().collect();
        let missing = self.truth.images().iter().filter(|image| !scored.contains(&image.id));
        let missing: Vec<String> = missing.map(|image| image.file_name.clone()).collect();
        note("Annotated images that are not among these, or failed, are left out", &missing);
        note("Files of annotations that belong to no image are left out", &self.without_image);
        note("Images without annotations of their own are shown, but not scored", &self.unknown);
        note("Labels that are not in the annotations do not count", self.map.only_in_model());
        let unknown = "Categories unknown to the model count as never found";
        note(unknown, self.map.only_in_annotations());
        if failed > 0 {
            notes.push(format!("{failed} images failed and are not scored"));
        }
        let truth = self.truth.only_images(&self.scored)?;
        let (evaluation, curves) = truth.evaluate_with_curves(&self.detections)?;
        Ok(Accuracy { evaluation, curves, notes })
    }
}
