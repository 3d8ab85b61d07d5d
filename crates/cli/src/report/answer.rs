//! What was found in an image, by a detector now or by a batch before.

use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};

use retinanet::Detections;
use retinanet::detection::Detection;
use retinanet::labels::Categories;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::exit::{Failure, Outcome as CommandOutcome};

/// The longest line of a batch's results that is read.
const MAX_LINE: u64 = 64 << 20;

/// An image with its answer.
#[derive(Debug, Clone)]
pub struct Answer {
    /// What the image is called.
    pub name: String,
    /// What was found, or why nothing could be.
    pub outcome: Outcome,
}

/// How it went.
#[derive(Debug, Clone)]
pub enum Outcome {
    /// It has an answer.
    Found(Found),
    /// The reason why not.
    Failed(String),
}

/// An answer.
#[derive(Debug, Clone)]
pub struct Found {
    /// Of the image.
    pub detections: Detections,
    /// Of exactly these.
    pub digest: String,
}

impl Found {
    /// What a detector answered.
    pub fn new(detections: Detections) -> CommandOutcome<Self> {
        let digest = detections.digest()?.to_string();
        Ok(Self { detections, digest })
    }
}

/// A batch's results, line by line.
#[derive(Debug)]
pub struct Results {
    path: PathBuf,
    reader: BufReader<File>,
    line: usize,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Line {
    image: String,
    width: Option<usize>,
    height: Option<usize>,
    detections: Option<Vec<Detection>>,
    digest: Option<String>,
    error: Option<String>,
}

impl Results {
    /// Opens the file that `retinanet batch` wrote as JSON lines.
    pub fn open(path: &Path) -> CommandOutcome<Self> {
        let file = retinanet::files::open_regular(path)
            .map_err(|error| Failure::bad_input(format!("cannot read {path:?}: {error}")))?;
        Ok(Self { path: path.to_owned(), reader: BufReader::new(file), line: 0 })
    }

    /// What is beside the results and says what they were made with; `None` where it is not.
    pub fn run_beside(path: &Path) -> Option<Value> {
        let mut beside = path.as_os_str().to_owned();
        beside.push(".run.json");
        let file = retinanet::files::open_regular(Path::new(&beside)).ok()?;
        let mut text = Vec::new();
        file.take(MAX_LINE).read_to_end(&mut text).ok()?;
        serde_json::from_slice(&text).ok()
    }

    /// The next image's answer, if its digest is that of its detections; `None` at the end.
    pub fn advance(&mut self) -> CommandOutcome<Option<Answer>> {
        let mut line = Vec::new();
        self.line += 1;
        let read = Read::take(&mut self.reader, MAX_LINE).read_until(b'\n', &mut line);
        read.map_err(|error| self.refuse(&format!("cannot be read: {error}")))?;
        if line.is_empty() {
            return Ok(None);
        }
        if line.len() as u64 == MAX_LINE {
            return Err(self.refuse(&format!("has more than {MAX_LINE} bytes")));
        }
        let parsed: Line = serde_json::from_slice(&line).map_err(|error| {
            let error = error.to_string().escape_debug().to_string();
            self.refuse(&format!("is no line of `retinanet batch --format jsonl`: {error}"))
        })?;
        let name = parsed.image;
        let outcome =
            match (parsed.error, parsed.width, parsed.height, parsed.detections, parsed.digest) {
                (Some(error), None, None, None, None) => Outcome::Failed(error),
                (None, Some(width), Some(height), Some(detections), Some(digest)) => {
                    let detections = self.detections([height, width], &detections)?;
                    let found = Found::new(detections)?;
                    if found.digest != digest {
                        let now = &found.digest;
                        let reason =
                            format!("was changed: its digest is {digest}, its detections' {now}");
                        return Err(self.refuse(&reason));
                    }
                    Outcome::Found(found)
                }
                _ => return Err(self.refuse("has neither an answer nor an error, or both")),
            };
        Ok(Some(Answer { name, outcome }))
    }

    /// The detections, checked; the categories are those that the labels tell of.
    fn detections(&self, size: [usize; 2], found: &[Detection]) -> CommandOutcome<Detections> {
        let refuse = |error: String| self.refuse(&format!("holds no detections: {error}"));
        let most = found.iter().map(|one| one.label_id).max().unwrap_or(0);
        if most >= retinanet::labels::MAX_CATEGORIES {
            return Err(refuse(format!("a class id is {most}")));
        }
        let mut names = vec!["N/A"; most + 1];
        for one in found {
            names[one.label_id] = &one.label;
        }
        let whole = json!({"image_size": size, "detections": found, "categories": names});
        serde_json::from_value(whole).map_err(|error| refuse(error.to_string()))
    }

    fn refuse(&self, reason: &str) -> Failure {
        Failure::bad_input(format!("{:?}, line {} {reason}", self.path, self.line))
    }
}

/// The model's categories, as a batch keeps them beside its results.
pub(super) fn categories_of(run: &Value) -> Option<Categories> {
    serde_json::from_value(run.get("categories")?.clone()).ok()
}
