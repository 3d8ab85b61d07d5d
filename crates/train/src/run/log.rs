//! The record of a run: a line a step, chained by hashes.
//!
//! Every line but the first has `previous`, the SHA-256 of the line before, its newline included; the *head*, the hash of the last line,
//! stands for the whole run. Nothing in it depends on the machine, the number of threads and ranks, or on interruptions.
//! A run that came to its end has a line that says so: one that was cut between two lines can be told from it.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use retinanet::determinism::{Digest, DigestWriter, NUMERICS_VERSION};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use super::evaluation::Scores;
use super::folder::RunFolder;
use crate::Result;
use crate::data::TrainingSet;
use crate::digest::TensorDigests;
use crate::error::RunError;

const FORMAT: &str = "retinanet.training_log";
const VERSION: u32 = 1;
/// What every log begins with.
const START: &[u8] = b"{\"format\":\"retinanet.training_log\",";
/// The most bytes of a line.
const MAX_LINE: u64 = 16 << 20;

/// The first line: what a run begins with.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LogHeader {
    format: String,
    version: u32,
    /// The version of the arithmetic.
    pub numerics: u32,
    /// The digest of the recipe.
    pub recipe: String,
    /// The digest of the images' ids, names and sizes, and of their objects. (What is in the files shows in the weights.)
    pub data: Digest,
    /// How many images there are.
    pub images: usize,
    /// The digest of the weights before the first step.
    pub weights: Digest,
    /// The tensors' names, in the order of [`StepLine::tensors`].
    pub tensors: Vec<String>,
}

/// One step.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StepLine {
    /// Its number, from 1.
    pub step: u64,
    /// The ids of its images.
    pub images: Vec<i64>,
    /// The base learning rate.
    pub learning_rate: f64,
    /// The mean focal loss.
    pub classification: f64,
    /// The mean box loss.
    pub regression: f64,
    /// How many anchors had an object.
    pub foreground: u64,
    /// The norm of all gradients, before it was clipped.
    pub gradient_norm: f32,
    /// The digest of the weights after it.
    pub weights: Digest,
    /// The digest of the optimiser's moments after it.
    pub optimiser: Digest,
    /// The digest of the average of the weights after it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ema: Option<Digest>,
    /// The first sixteen digits of each tensor's digest after it.
    pub tensors: Vec<String>,
}

/// An evaluation.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EvaluationLine {
    /// The step after which it was made.
    pub step: u64,
    /// What it came to.
    pub scores: Scores,
}

/// The end of a run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EndLine {
    /// The last step.
    pub step: u64,
    /// The digest of the weights of the model that came of it (of their average, where the recipe has one).
    pub weights: Digest,
}

/// A line after the first.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LogLine {
    /// A step was made.
    Step(StepLine),
    /// The model was evaluated.
    Evaluation(EvaluationLine),
    /// The recipe's last step was made, and evaluated where the recipe asks for it. Nothing follows.
    End(EndLine),
}

impl LogLine {
    /// The step that it is about.
    pub fn step(&self) -> u64 {
        match self {
            Self::Step(line) => line.step,
            Self::Evaluation(line) => line.step,
            Self::End(line) => line.step,
        }
    }
}

#[derive(Serialize, Deserialize)]
pub(super) struct Chained<T> {
    pub(super) previous: Digest,
    #[serde(flatten)]
    pub(super) content: T,
}

impl LogHeader {
    pub(crate) fn new(recipe: &str, set: &TrainingSet, weights: &TensorDigests) -> Result<Self> {
        Ok(Self {
            format: FORMAT.to_owned(),
            version: VERSION,
            numerics: NUMERICS_VERSION,
            recipe: recipe.to_owned(),
            data: digest_of(set)?,
            images: set.images().len(),
            weights: weights.root(),
            tensors: weights.tensors().iter().map(|(name, _)| name.clone()).collect(),
        })
    }
}

impl LogHeader {
    /// Refuses to go on with other data, or another arithmetic, than the run was begun with: `here` is what there is now.
    pub(super) fn check_same(&self, here: &Self, folder: &RunFolder) -> Result<()> {
        let differ = |what, logged: String, here: String, advice| {
            let folder = folder.root().to_owned();
            Err(RunError::OtherRun { what, folder, logged, here, advice }.into())
        };
        if self.numerics != here.numerics {
            let advice = "go on with the release that began it";
            return differ(
                "the arithmetic",
                self.numerics.to_string(),
                here.numerics.to_string(),
                advice,
            );
        }
        if self.data != here.data {
            let advice =
                "go on with the annotations as they were, or begin a run in another folder";
            return differ(
                "the digest of the data",
                self.data.to_string(),
                here.data.to_string(),
                advice,
            );
        }
        Ok(())
    }
}

/// The digest of a training set: its canonical JSON, one image after the other.
fn digest_of(set: &TrainingSet) -> Result<Digest> {
    let mut text = Vec::new();
    for image in set.images() {
        let objects: Vec<([u32; 4], usize)> = image
            .objects
            .iter()
            .map(|object| (object.corners.map(f32::to_bits), object.class))
            .collect();
        let line = (image.image.id, &image.image.file_name, image.size, objects);
        serde_json::to_writer(&mut text, &line).unwrap_or_default();
        text.push(b'\n');
    }
    let mut writer = DigestWriter::u8("training set", &[text.len()])?;
    writer.write_u8(&text);
    Ok(writer.finish()?)
}

/// Whether a file begins as every training log does; `false` where it cannot be read.
pub fn is_training_log(path: &Path) -> bool {
    let mut start = vec![0; START.len()];
    let read =
        retinanet::files::open_regular(path).and_then(|mut file| file.read_exact(&mut start));
    read.is_ok() && start == START
}

/// A log's lines, from the first on, each held against the one before.
pub(super) struct Lines<R> {
    path: PathBuf,
    reader: BufReader<R>,
    tensors: usize,
    /// Lines that were read.
    number: usize,
    /// Where the next one begins.
    pub(super) place: u64,
    /// The hash of the last one.
    pub(super) head: Digest,
    /// What the last one was, after the first.
    last: Option<(Kind, u64)>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Step,
    Evaluation,
    End,
}

impl<R: Read> Lines<R> {
    /// Reads the first line.
    pub(super) fn new(path: &Path, file: R) -> Result<(Self, LogHeader)> {
        let (path, reader) = (path.to_owned(), BufReader::new(file));
        let head = Digest::from_bytes([0; 32]);
        let mut lines = Self { path, reader, tensors: 0, number: 0, place: 0, head, last: None };
        let unusable = |reason: String| RunError::Log { path: lines.path.clone(), reason };
        let line = read_line(&mut lines.reader).map_err(|error| unusable(error.to_string()))?;
        let Some(line) = line else {
            return Err(unusable("it has no whole line".to_owned()).into());
        };
        if !line.starts_with(START) {
            return Err(unusable("it is no log of a training run".to_owned()).into());
        }
        let header: LogHeader = serde_json::from_slice(&line)
            .map_err(|error| unusable(format!("its first line: {:?}", error.to_string())))?;
        if header.format != FORMAT || header.version != VERSION {
            return Err(unusable(format!(
                "it is of version {}; this release reads version {VERSION}",
                header.version
            ))
            .into());
        }
        lines.tensors = header.tensors.len();
        lines.number = 1;
        lines.place = line.len() as u64;
        lines.head = hash(&line);
        Ok((lines, header))
    }

    /// The next line; `None` at the end, and at a line without its newline, which was being written.
    pub(super) fn next(&mut self) -> Result<Option<LogLine>> {
        let read = read_line(&mut self.reader);
        let unusable =
            |error: io::Error| RunError::Log { path: self.path.clone(), reason: error.to_string() };
        let Some(line) = read.map_err(unusable)? else { return Ok(None) };
        self.number += 1;
        let content = self.checked(&line).map_err(|reason| RunError::BrokenLog {
            path: self.path.clone(),
            line: self.number,
            reason,
        })?;
        self.place += line.len() as u64;
        self.head = hash(&line);
        Ok(Some(content))
    }

    fn checked(&mut self, line: &[u8]) -> Result<LogLine, String> {
        let chained: Chained<LogLine> = serde_json::from_slice(line)
            .map_err(|error| format!("is no line of a training log: {:?}", error.to_string()))?;
        if chained.previous != self.head {
            return Err("does not follow the line before: it, or that one, was changed, moved or \
                        removed"
                .to_owned());
        }
        if to_line(&chained) != line {
            return Err("is written in another form than a run writes it".to_owned());
        }
        let content = chained.content;
        let step = content.step();
        let before = self.last.map_or(0, |(_, step)| step);
        let (kind, fits) = match &content {
            LogLine::Step(line) => {
                if line.tensors.len() != self.tensors {
                    let (has, all) = (line.tensors.len(), self.tensors);
                    return Err(format!("has digests of {has} tensors, and the model has {all}"));
                }
                (Kind::Step, before.checked_add(1) == Some(step))
            }
            LogLine::Evaluation(_) => (Kind::Evaluation, self.last == Some((Kind::Step, step))),
            LogLine::End(_) => (Kind::End, self.last.is_some() && before == step),
        };
        if !fits || matches!(self.last, Some((Kind::End, _))) {
            return Err(format!(
                "is of step {step} and cannot come after the one before, of step {before}"
            ));
        }
        self.last = Some((kind, step));
        Ok(content)
    }
}

/// A line with its newline, if it has one.
fn read_line(reader: &mut impl BufRead) -> io::Result<Option<Vec<u8>>> {
    let mut line = Vec::new();
    Read::take(reader, MAX_LINE).read_until(b'\n', &mut line)?;
    Ok((line.last() == Some(&b'\n')).then_some(line))
}

/// A run's log, whose chain holds.
#[derive(Debug)]
pub struct RunLog {
    path: PathBuf,
    file: File,
    header: LogHeader,
    /// Where the lines of the steps begin.
    places: Vec<u64>,
    evaluations: Vec<EvaluationLine>,
    end: Option<EndLine>,
    head: Digest,
}

impl RunLog {
    /// Reads a log and checks its chain. A last line without its end is left out.
    ///
    /// # Errors
    /// [`RunError::Log`] for a file that is no log, [`RunError::BrokenLog`] naming the first line that does not follow the one before.
    pub fn open(path: &Path) -> Result<Self> {
        let unusable = |error: io::Error| RunError::Log {
            path: path.to_owned(),
            reason: format!("it cannot be read: {error}"),
        };
        let file = retinanet::files::open_regular(path).map_err(unusable)?;
        let (mut lines, header) = Lines::new(path, file.try_clone().map_err(unusable)?)?;
        let (mut places, mut evaluations, mut end) = (Vec::new(), Vec::new(), None);
        loop {
            let place = lines.place;
            match lines.next()? {
                Some(LogLine::Step(_)) => places.push(place),
                Some(LogLine::Evaluation(line)) => evaluations.push(line),
                Some(LogLine::End(line)) => end = Some(line),
                None => break,
            }
        }
        let head = lines.head;
        Ok(Self { path: path.to_owned(), file, header, places, evaluations, end, head })
    }

    /// The first line.
    pub fn header(&self) -> &LogHeader {
        &self.header
    }

    /// How many steps it has.
    pub fn steps(&self) -> u64 {
        self.places.len() as u64
    }

    /// The line of a step; `None` for one that it does not have.
    ///
    /// # Errors
    /// [`RunError::Log`] where it can no longer be read.
    pub fn step(&self, number: u64) -> Result<Option<StepLine>> {
        let index = number.checked_sub(1).and_then(|index| usize::try_from(index).ok());
        let Some(&place) = index.and_then(|index| self.places.get(index)) else {
            return Ok(None);
        };
        let mut file = &self.file;
        let read =
            file.seek(SeekFrom::Start(place)).and_then(|_| read_line(&mut BufReader::new(file)));
        let line = read.map_err(|error| error.to_string()).and_then(|line| {
            let line: Chained<LogLine> =
                serde_json::from_slice(&line.unwrap_or_default()).map_err(|e| e.to_string())?;
            Ok(line.content)
        });
        match line {
            Ok(LogLine::Step(line)) => Ok(Some(line)),
            Ok(_) => Ok(None),
            Err(reason) => Err(RunError::Log { path: self.path.clone(), reason }.into()),
        }
    }

    /// The evaluations.
    pub fn evaluations(&self) -> &[EvaluationLine] {
        &self.evaluations
    }

    /// Its end, where the run came to it.
    pub fn end(&self) -> Option<&EndLine> {
        self.end.as_ref()
    }

    /// The hash of the last line.
    pub fn head(&self) -> Digest {
        self.head
    }
}

pub(super) fn to_line(content: &impl Serialize) -> Vec<u8> {
    let mut line = serde_json::to_vec(content).expect("a line has string keys only");
    line.push(b'\n');
    line
}

pub(super) fn hash(line: &[u8]) -> Digest {
    Digest::from_bytes(Sha256::digest(line).into())
}
