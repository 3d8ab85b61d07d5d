//! The record of a run: a line a step, chained by hashes.
//!
//! Every line but the first has `previous`, the SHA-256 of the line before, its newline included; the *head*, the hash of the last line,
//! stands for the whole run. Nothing in it depends on the machine, the number of threads and ranks, or on interruptions.

use std::fs::{File, OpenOptions};
use std::io::{BufRead, BufReader, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use retinanet::WriteError;
use retinanet::determinism::{Digest, DigestWriter, NUMERICS_VERSION};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use super::evaluation::Scores;
use crate::Result;
use crate::data::TrainingSet;
use crate::digest::TensorDigests;
use crate::error::RunError;

const FORMAT: &str = "retinanet.training_log";
const VERSION: u32 = 1;
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

/// A line after the first.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LogLine {
    /// A step was made.
    Step(StepLine),
    /// The model was evaluated.
    Evaluation(EvaluationLine),
}

#[derive(Serialize, Deserialize)]
struct Chained<T> {
    previous: Digest,
    #[serde(flatten)]
    content: T,
}

impl LogHeader {
    pub(super) fn new(recipe: &str, set: &TrainingSet, weights: &TensorDigests) -> Result<Self> {
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

/// A run's log.
#[derive(Debug)]
pub struct RunLog {
    path: PathBuf,
    file: File,
    header: LogHeader,
    lines: Vec<LogLine>,
    head: Digest,
}

impl RunLog {
    /// Begins a log.
    pub(super) fn begin(path: &Path, header: &LogHeader) -> Result<Self> {
        let unwritable = |source| WriteError { path: path.to_owned(), source };
        let mut options = OpenOptions::new();
        let mut file =
            options.write(true).create(true).truncate(true).open(path).map_err(unwritable)?;
        let line = to_line(header);
        file.write_all(&line).map_err(unwritable)?;
        let (path, header, head) = (path.to_owned(), header.clone(), hash(&line));
        Ok(Self { path, file, header, lines: Vec::new(), head })
    }

    /// Reads a log and checks its chain. A last line without its end is left out.
    ///
    /// # Errors
    /// [`RunError::Log`] naming the line at fault.
    pub fn open(path: &Path) -> Result<Self> {
        Ok(Self::read(path, u64::MAX, false)?.0)
    }

    /// Takes a log up after `step`: what follows is cut off.
    pub(super) fn resume(path: &Path, step: u64) -> Result<Self> {
        let (mut log, end) = Self::read(path, step, true)?;
        let unwritable = |source| WriteError { path: path.to_owned(), source };
        log.file.set_len(end).map_err(unwritable)?;
        log.file.seek(SeekFrom::Start(end)).map_err(unwritable)?;
        Ok(log)
    }

    fn read(path: &Path, last: u64, write: bool) -> Result<(Self, u64)> {
        let refuse = |line: Option<usize>, reason: String| RunError::Log {
            path: path.to_owned(),
            line,
            reason,
        };
        let opened = OpenOptions::new().read(true).write(write).open(path);
        let file = opened.map_err(|error| refuse(None, error.to_string()))?;
        let mut reader = BufReader::new(&file);
        let mut end = 0;
        let mut number = 0;
        let mut head = None;
        let mut header: Option<LogHeader> = None;
        let mut lines: Vec<LogLine> = Vec::new();
        loop {
            let mut line = Vec::new();
            let mut limited = std::io::Read::take(&mut reader, MAX_LINE);
            limited
                .read_until(b'\n', &mut line)
                .map_err(|error| refuse(None, error.to_string()))?;
            if line.last() != Some(&b'\n') {
                // The end, or a line that was being written.
                break;
            }
            number += 1;
            let at = Some(number);
            let plain = |error: serde_json::Error| {
                refuse(at, format!("is no line of a training log: {:?}", error.to_string()))
            };
            match head {
                None => {
                    let first: LogHeader = serde_json::from_slice(&line).map_err(plain)?;
                    if first.format != FORMAT || first.version != VERSION {
                        let reason = format!(
                            "is of {:?}, version {}; this release reads {FORMAT:?}, version {VERSION}",
                            first.format, first.version
                        );
                        return Err(refuse(at, reason).into());
                    }
                    header = Some(first);
                }
                Some(head) => {
                    let chained: Chained<LogLine> = serde_json::from_slice(&line).map_err(plain)?;
                    if chained.previous != head {
                        let reason = "does not follow the line before: it, or that one, was changed, moved or removed";
                        return Err(refuse(at, reason.to_owned()).into());
                    }
                    let step = match &chained.content {
                        LogLine::Step(line) => line.step,
                        LogLine::Evaluation(line) => line.step,
                    };
                    if step > last {
                        break;
                    }
                    lines.push(chained.content);
                }
            }
            end += line.len() as u64;
            head = Some(hash(&line));
        }
        let (Some(header), Some(head)) = (header, head) else {
            return Err(refuse(None, "it is empty".to_owned()).into());
        };
        Ok((Self { path: path.to_owned(), file, header, lines, head }, end))
    }

    /// The first line.
    pub fn header(&self) -> &LogHeader {
        &self.header
    }

    /// The lines after it.
    pub fn lines(&self) -> &[LogLine] {
        &self.lines
    }

    /// The line of a step.
    pub fn step(&self, number: u64) -> Option<&StepLine> {
        self.lines.iter().find_map(|line| match line {
            LogLine::Step(line) if line.step == number => Some(line),
            _ => None,
        })
    }

    /// The evaluations.
    pub fn evaluations(&self) -> impl Iterator<Item = &EvaluationLine> {
        self.lines.iter().filter_map(|line| match line {
            LogLine::Evaluation(line) => Some(line),
            LogLine::Step(_) => None,
        })
    }

    /// The hash of the last line.
    pub fn head(&self) -> Digest {
        self.head
    }

    pub(super) fn push(&mut self, content: LogLine) -> Result<()> {
        let line = to_line(&Chained { previous: self.head, content: &content });
        let unwritable = |source| WriteError { path: self.path.clone(), source };
        self.file.write_all(&line).map_err(unwritable)?;
        self.head = hash(&line);
        self.lines.push(content);
        Ok(())
    }

    pub(super) fn sync(&mut self) -> Result<()> {
        let unwritable = |source| WriteError { path: self.path.clone(), source };
        Ok(self.file.sync_data().map_err(unwritable)?)
    }
}

fn to_line(content: &impl Serialize) -> Vec<u8> {
    let mut line = serde_json::to_vec(content).expect("a line has string keys only");
    line.push(b'\n');
    line
}

fn hash(line: &[u8]) -> Digest {
    Digest::from_bytes(Sha256::digest(line).into())
}
