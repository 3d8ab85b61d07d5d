//! Losses, scores and times, for people and their tools.

use std::fs::{File, OpenOptions};
use std::io::{self, BufRead, BufReader, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use retinanet::WriteError;
use serde::{Deserialize, Serialize};

use super::evaluation::Scores;
use super::log::{EvaluationLine, StepLine};
use crate::Result;
use crate::error::RunError;

/// `metrics.jsonl`: a line a step and an evaluation. It holds times, and so is no part of any hash.
#[derive(Debug)]
pub(super) struct Metrics {
    path: PathBuf,
    file: File,
}

#[derive(Serialize)]
#[serde(untagged)]
enum Line {
    Step {
        step: u64,
        loss: f64,
        classification: f64,
        regression: f64,
        learning_rate: f64,
        gradient_norm: f32,
        images_per_second: f64,
    },
    Evaluation {
        step: u64,
        #[serde(flatten)]
        scores: Scores,
    },
}

#[derive(Deserialize)]
struct Numbered {
    step: u64,
}

impl Metrics {
    /// The file, without what it says of steps after `step`.
    pub(super) fn open(path: &Path, step: u64) -> Result<Self> {
        let unwritable = |source| WriteError { path: path.to_owned(), source };
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).truncate(false);
        let mut file = options.open(path).map_err(unwritable)?;
        let mut end = 0;
        let mut reader = BufReader::new(&file);
        let mut line = Vec::new();
        while step > 0 && next_line(&mut reader, &mut line).map_err(unwritable)? {
            let numbered: Option<Numbered> = serde_json::from_slice(&line).ok();
            let kept = line.last() == Some(&b'\n') && numbered.is_some_and(|one| one.step <= step);
            if !kept {
                break;
            }
            end += line.len() as u64;
        }
        file.set_len(end).map_err(unwritable)?;
        file.seek(SeekFrom::Start(end)).map_err(unwritable)?;
        Ok(Self { path: path.to_owned(), file })
    }

    pub(super) fn step(&mut self, line: &StepLine, images_per_second: f64) -> Result<()> {
        let &StepLine { step, classification, regression, learning_rate, gradient_norm, .. } = line;
        let loss = classification + regression;
        self.write(&Line::Step {
            step,
            loss,
            classification,
            regression,
            learning_rate,
            gradient_norm,
            images_per_second,
        })
    }

    pub(super) fn evaluation(&mut self, line: &EvaluationLine) -> Result<()> {
        let EvaluationLine { step, scores } = *line;
        self.write(&Line::Evaluation { step, scores })
    }

    fn write(&mut self, line: &Line) -> Result<()> {
        let mut text = serde_json::to_vec(line).expect("a line has string keys only");
        text.push(b'\n');
        let unwritable = |source| WriteError { path: self.path.clone(), source };
        Ok(self.file.write_all(&text).map_err(unwritable)?)
    }

    pub(super) fn sync(&mut self) -> Result<()> {
        let unwritable = |source| WriteError { path: self.path.clone(), source };
        Ok(self.file.sync_data().map_err(unwritable)?)
    }
}

/// The most bytes of a line.
const MAX_LINE: u64 = 1 << 16;

/// Reads the next line in place of the last one; `false` at the end.
fn next_line(reader: &mut impl BufRead, line: &mut Vec<u8>) -> io::Result<bool> {
    line.clear();
    Ok(Read::take(reader, MAX_LINE).read_until(b'\n', line)? > 0)
}

/// A step, as its curves have it.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize)]
pub struct StepPoint {
    /// Its number, from 1.
    pub step: u64,
    /// The mean focal loss.
    pub classification: f64,
    /// The mean box loss.
    pub regression: f64,
    /// The base learning rate.
    pub learning_rate: f64,
}

/// An evaluation, as its curves have it.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize)]
pub struct ScorePoint {
    /// The step after which it was made.
    pub step: u64,
    /// Over IoU 0.50 to 0.95.
    pub ap: Option<f64>,
    /// At IoU 0.50.
    pub ap50: Option<f64>,
}

/// What `metrics.jsonl` has, to be drawn.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Curves {
    /// The steps.
    pub steps: Vec<StepPoint>,
    /// The evaluations.
    pub scores: Vec<ScorePoint>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Point {
    Step(StepPoint),
    Scores(ScorePoint),
}

impl Curves {
    /// Reads a run's metrics, up to the first line that is none.
    ///
    /// # Errors
    /// [`RunError::Folder`] where the file cannot be read.
    pub fn read(path: &Path) -> Result<Self> {
        let unreadable = |source| RunError::Folder { path: path.to_owned(), source };
        let mut reader = BufReader::new(retinanet::files::open_regular(path).map_err(unreadable)?);
        let (mut curves, mut line) = (Self::default(), Vec::new());
        while next_line(&mut reader, &mut line).map_err(unreadable)? {
            match serde_json::from_slice(&line) {
                Ok(Point::Step(point)) => curves.steps.push(point),
                Ok(Point::Scores(point)) => curves.scores.push(point),
                Err(_) => break,
            }
        }
        Ok(curves)
    }
}
