//! Decode, detect and write at the same time, in order.

use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

use super::BatchError;
use super::coco_ids::CocoIds;
use super::files::{BatchFiles, Opened};
use super::format::Format;
use super::identity::Identity;
use super::output::{Existing, Output};
use super::traced::detect_traced;
use crate::data::{Listing, Loader, LoaderConfig, Shard};
use crate::detection::Detections;
use crate::detector::PIXELS_TOGETHER;
use crate::determinism::StageDigests;
use crate::evidence::{self, FileRecord, LogHeader, LogLine, LogSummary, LogWriter};
use crate::image::{DecodeLimits, DecodeOptions, Image};
use crate::{Detector, Error, Result};

/// The most images that are detected, and then written, together.
const GROUP: usize = 16;
/// What is written beside the output where there is a log.
const RECEIPTS: &str = "receipts";

/// What a batch does. Of these, `workers` and `existing` decide nothing about the output's bytes.
#[derive(Debug, Clone, Default)]
pub struct BatchConfig {
    /// How results are written. Default: [`Format::Jsonl`].
    pub format: Format,
    /// Only this share of the list. Default: all.
    pub shard: Shard,
    /// Only detections of these labels are written. Default: all.
    pub labels: Vec<String>,
    /// COCO annotations, whose `file_name`s give the `image_id`s of [`Format::Coco`], and whose categories, by their
    /// names, the `category_id`s: then the results are those that [`eval`](crate::eval) scores, and
    /// [`Batch::labels_left_out`] are not among them. Default: the index in the list is the image's id, the
    /// class id the category's.
    pub annotations: Option<PathBuf>,
    /// Names of what else is written for each image (`overlay`, `masks`): a run that is continued must write the
    /// same. Default: nothing.
    pub extras: Vec<String>,
    /// What to do with an output that is there. Default: refuse.
    pub existing: Existing,
    /// Threads that decode. Default: as in [`LoaderConfig`].
    pub workers: Option<usize>,
    /// What an image may cost. They decide which images are lines with an error, no answer: a run is continued
    /// with other limits than it was begun with, and lines that are there stay.
    pub limits: DecodeLimits,
    /// A log to write, a line an image, which anyone can re-run: see [`evidence`](crate::evidence). It is of all
    /// detections, whatever `labels` leaves out, and is continued with the output. Default: none.
    pub receipts: Option<PathBuf>,
}

/// An image and what was found in it, before it is written.
#[derive(Debug)]
#[non_exhaustive]
pub struct Answer<'a> {
    /// The image's path below the listing's root: plain names only, no `..`.
    pub relative_path: &'a Path,
    /// The decoded image.
    pub image: &'a Image,
    /// What was found, of the labels asked for.
    pub detections: &'a Detections,
}

/// How far a batch is, after an image's line was written.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub struct Progress<'a> {
    /// Images of this run or shard.
    pub total: usize,
    /// How many have a line now.
    pub done: usize,
    /// How many had one before this run.
    pub before: usize,
    /// The image's name.
    pub name: &'a str,
    /// Why it failed, if it did.
    pub error: Option<&'a str>,
}

/// How a batch, or the joining of one, ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Summary {
    /// Images of this run or shard.
    pub total: usize,
    /// How many have a line now: all, unless it was stopped.
    pub done: usize,
    /// How many had one before this run.
    pub before: usize,
    /// How many failed, before and now.
    pub failed: usize,
    /// The log that was written with it, if one was and it is finished.
    pub log: Option<LogSummary>,
}

/// Detection over a listing of any length into one file, which can be continued and split.
///
/// Memory does not grow with the number of images (the list of paths aside), images are decoded by
/// parallel workers while the network runs, and the output's bytes are a function of the images, the
/// weights and the [`BatchConfig`].
///
/// ```no_run
/// use std::ops::ControlFlow;
///
/// use retinanet::Detector;
/// use retinanet::batch::{Batch, BatchConfig, Existing};
/// use retinanet::data::Listing;
///
/// let detector = Detector::builder().weights("person_r18.safetensors").build()?;
/// let config = BatchConfig { existing: Existing::Resume, ..BatchConfig::default() };
/// let summary = Batch::new(&detector, Listing::of(&["photos"])?, config)?.run(
///     "results.jsonl".as_ref(),
///     |_answer| Ok::<(), retinanet::Error>(()),
///     |progress| {
///         eprintln!("{} of {}", progress.done, progress.total);
///         ControlFlow::Continue(())
///     },
/// )?;
/// println!("{} failed", summary.failed);
/// # Ok::<(), retinanet::Error>(())
/// ```
#[derive(Debug)]
pub struct Batch<'a> {
    detector: &'a Detector,
    listing: Arc<Listing>,
    config: BatchConfig,
    coco_ids: CocoIds,
}

/// An image of a group: decoded, or why not.
struct Input {
    index: usize,
    /// `None` where it could not be read.
    file: Option<FileRecord>,
    result: Result<Image, String>,
}

/// An image of a group with its answer.
struct Answered {
    index: usize,
    file: Option<FileRecord>,
    result: Result<(Image, Traced), String>,
}

/// What was found, and the stages' digests where a log is written.
type Traced = (Detections, Option<StageDigests>);

/// What a batch writes, line by line.
struct Written {
    output: Output,
    log: Option<LogWriter>,
}

impl<'a> Batch<'a> {
    /// A batch of everything in `listing`, or of the configured shard.
    ///
    /// # Errors
    /// [`LabelError`](crate::labels::LabelError) for a label the model does not have; [`BatchError`](super::BatchError) or
    /// [`EvalError`](crate::eval::EvalError) for annotations that cannot be used or do not know all images.
    pub fn new(
        detector: &'a Detector,
        listing: impl Into<Arc<Listing>>,
        config: BatchConfig,
    ) -> Result<Self> {
        let listing = listing.into();
        for label in &config.labels {
            detector.categories().id_of(label)?;
        }
        let coco_ids = match &config.annotations {
            Some(annotations) => CocoIds::read(annotations, &listing, detector.categories())?,
            None => CocoIds::indices(),
        };
        Ok(Self { detector, listing, config, coco_ids })
    }

    /// Labels, of those asked for, that the annotations do not know: their detections are in no results.
    pub fn labels_left_out(&self) -> Vec<&str> {
        let asked =
            |label: &&String| self.config.labels.is_empty() || self.config.labels.contains(label);
        self.coco_ids.only_in_model().iter().filter(asked).map(String::as_str).collect()
    }

    /// Runs it into `out`.
    ///
    /// For each image with an answer, `each` is called before its line is written, for several images at the same
    /// time: there further files can be made. After a line is written, `progress` is called, in order;
    /// [`ControlFlow::Break`] ends the run after that line, to be continued later.
    ///
    /// An image that cannot be read, decoded or resized, or that the network has no finite answer for, is a
    /// line with its error and the batch goes on.
    ///
    /// # Errors
    /// [`BatchError`](super::BatchError) for an output that is there and cannot be continued;
    /// [`Error::Write`] for one that cannot be written (what was written can be continued); whatever `each`
    /// answers; a device's or the network's own failure.
    pub fn run<E: From<Error> + Send>(
        &self,
        out: &Path,
        each: impl Fn(&Answer<'_>) -> Result<(), E> + Sync,
        mut progress: impl FnMut(Progress<'_>) -> ControlFlow<()> + Send,
    ) -> Result<Summary, E> {
        let shard = self.config.shard;
        let total = shard.share_of(self.listing.len());
        let name = |position| self.listing.name(shard.place(position)).into_owned();
        let mut written = self.open(out, total, name)?;
        let before = written.output.written;
        let loader = self.loader()?;
        let (sender, receiver) = sync_channel(1);
        std::thread::scope(|scope| {
            let written = &mut written;
            let progress = &mut progress;
            let each = &each;
            let writer = scope.spawn(move || self.write(receiver, written, each, progress));
            let detected = self.detect_all(&loader, before, &sender);
            drop(sender);
            let written = writer.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
            written.and(detected.map_err(E::from))
        })?;
        let Written { mut output, mut log } = written;
        let mut finished = None;
        if output.written == total {
            finished = log.as_mut().map(LogWriter::finish).transpose()?;
            output.finish()?;
        } else {
            log.as_mut().map_or(Ok(()), LogWriter::sync)?;
            output.sync()?;
        }
        let Output { written: done, failed, .. } = output;
        Ok(Summary { total, done, before, failed, log: finished })
    }

    /// Begins or continues the output, and the log with it: to the shorter of the two.
    fn open(&self, out: &Path, total: usize, name: impl Fn(usize) -> String) -> Result<Written> {
        let (existing, identity) = (self.config.existing, self.identity());
        let Some(path) = &self.config.receipts else {
            let output = Output::open(out, existing, &identity, total, usize::MAX, name)?;
            return Ok(Written { output, log: None });
        };
        if std::path::absolute(path).ok() == std::path::absolute(out).ok() {
            return Err(BatchError::Twofold { path: path.clone() }.into());
        }
        // Both, before either is touched.
        for file in [path, out] {
            existing.check(file)?;
        }
        let header = LogHeader::of(self.detector, &self.listing, self.config.shard)?;
        let resume = existing == Existing::Resume;
        if resume {
            Output::check_begun_alike(out, &identity)?;
            if length_of(path) == 0 && length_of(out) > 0 {
                return Err(BatchError::NoLog { path: path.clone(), output: out.to_owned() }.into());
            }
        }
        let mut log = LogWriter::open(path, resume, &header, &name)?;
        evidence::leave_hint(path, self.listing.root(), self.detector)?;
        let output = Output::open(out, existing, &identity, total, log.written(), name)?;
        log.cut_to(output.written)?;
        Ok(Written { output, log: Some(log) })
    }

    fn loader(&self) -> Result<Loader<BatchFiles>> {
        let defaults = LoaderConfig::default();
        let config = LoaderConfig {
            workers: self.config.workers.unwrap_or(defaults.workers),
            ahead: 2 * GROUP,
            shard: self.config.shard,
            ..defaults
        };
        let limits = self.config.limits.clone();
        let files = BatchFiles {
            listing: Arc::clone(&self.listing),
            options: DecodeOptions { limits, ..DecodeOptions::default() },
            sizes: self.coco_ids.sizes().filter(|_| self.config.format == Format::Coco),
        };
        Loader::new(files, config)
    }

    /// Detects in everything from the shard's image number `skip` on, until nobody listens.
    fn detect_all(
        &self,
        loader: &Loader<BatchFiles>,
        skip: usize,
        sender: &SyncSender<Vec<Answered>>,
    ) -> Result<()> {
        let mut group: Vec<Input> = Vec::with_capacity(GROUP);
        let mut pixels = 0;
        for sample in loader.epoch_from(0, skip)? {
            let (file, image) = match sample.result {
                Ok(Opened { file, image }) => (Some(file), image),
                Err(error) => (None, Err(error.into())),
            };
            let checked = image.and_then(|image| {
                let size = self.input_pixels(&image)?;
                Ok((image, size))
            });
            let (result, size) = match checked {
                Ok((image, size)) => (Ok(image), size),
                Err(error) => (Err(error.to_string()), 0),
            };
            // What the detector would not take together anyway is written sooner in groups of its own.
            let full = group.len() == GROUP || pixels + size > PIXELS_TOGETHER;
            if full && !group.is_empty() {
                if sender.send(self.detect(std::mem::take(&mut group))?).is_err() {
                    return Ok(());
                }
                pixels = 0;
            }
            pixels += size;
            group.push(Input { index: sample.index, file, result });
        }
        if !group.is_empty() {
            sender.send(self.detect(group)?).ok();
        }
        Ok(())
    }

    /// How much of the network's input an image takes.
    fn input_pixels(&self, image: &Image) -> Result<usize> {
        let transform = &self.detector.model().config().transform;
        let (_, [height, width]) = transform.output_sizes(image.height(), image.width())?;
        Ok(height * width)
    }

    fn detect(&self, group: Vec<Input>) -> Result<Vec<Answered>> {
        let images: Vec<&Image> =
            group.iter().filter_map(|input| input.result.as_ref().ok()).collect();
        let mut answers = self.answers(&images)?.into_iter();
        let answered = group.into_iter().map(|Input { index, file, result }| {
            let result = result.and_then(|image| {
                let found = answers.next().expect("an answer for each image")?;
                Ok((image, found))
            });
            Answered { index, file, result }
        });
        Ok(answered.collect())
    }

    /// The answer to each image, or why it has none.
    fn answers(&self, images: &[&Image]) -> Result<Vec<Result<Traced, String>>> {
        let settle = |answer: Result<Traced>| match answer {
            Ok(found) => Ok(Ok(found)),
            Err(error) if error.is_about_an_image() => Ok(Err(error.to_string())),
            Err(error) => Err(error),
        };
        if self.config.receipts.is_some() {
            let found = detect_traced(self.detector, images).into_iter();
            let traced = found.map(|one| one.map(|(found, stages)| (found, Some(stages))));
            return traced.map(settle).collect();
        }
        match self.detector.detect_batch(images) {
            Ok(found) => Ok(found.into_iter().map(|found| Ok((found, None))).collect()),
            Err(error) if error.is_about_an_image() => {
                let alone = |image: &&Image| Ok((self.detector.detect(image)?, None));
                images.iter().map(alone).map(settle).collect()
            }
            Err(error) => Err(error),
        }
    }

    /// Makes further files and writes the lines of each group; stops listening when it ends.
    fn write<E: From<Error> + Send>(
        &self,
        groups: Receiver<Vec<Answered>>,
        written: &mut Written,
        each: &(impl Fn(&Answer<'_>) -> Result<(), E> + Sync),
        progress: &mut (impl FnMut(Progress<'_>) -> ControlFlow<()> + Send),
    ) -> Result<(), E> {
        let Written { output, log } = written;
        let (total, before) = (self.config.shard.share_of(self.listing.len()), output.written);
        for group in groups {
            let bodies = std::thread::scope(|scope| {
                let threads: Vec<_> = group
                    .iter()
                    .map(|answered| scope.spawn(move || self.line(answered, each)))
                    .collect();
                threads
                    .into_iter()
                    .map(|thread| {
                        thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
                    })
                    .collect::<Vec<Result<String, E>>>()
            });
            for (answered, body) in group.iter().zip(bodies) {
                let error = answered.result.as_ref().err().map(String::as_str);
                let name = self.listing.name(answered.index);
                let body = body?;
                if let Some(log) = log.as_mut() {
                    log.push(answered.logged(&name))?;
                }
                if output.push(&body, error.is_some())? {
                    log.as_mut().map_or(Ok(()), LogWriter::sync)?;
                }
                let done = output.written;
                if progress(Progress { total, done, before, name: &name, error }).is_break() {
                    return Ok(());
                }
            }
        }
        Ok(())
    }

    /// Makes an image's further files; its line's body.
    fn line<E: From<Error>>(
        &self,
        answered: &Answered,
        each: &impl Fn(&Answer<'_>) -> Result<(), E>,
    ) -> Result<String, E> {
        let name = self.listing.name(answered.index);
        match &answered.result {
            Err(error) => Ok(self.config.format.failed(&name, error)),
            Ok((image, (found, _))) => {
                let selected;
                let mut detections = found;
                if !self.config.labels.is_empty() {
                    selected = found.only(&self.config.labels)?;
                    detections = &selected;
                }
                let relative_path = self.listing.relative_path(answered.index);
                each(&Answer { relative_path, image, detections })?;
                let results = || self.coco_ids.results(answered.index, detections);
                Ok(self.config.format.found(&name, detections, results)?)
            }
        }
    }

    fn identity(&self) -> Identity {
        let environment = self.detector.environment();
        let config = self.detector.model().config();
        // In fast mode, or with pinned cuDNN.
        let bits_differ = !environment.problems.is_empty();
        Identity {
            kind: Identity::kind(),
            format: self.config.format,
            shard: self.config.shard.to_string(),
            images: self.listing.len(),
            list_sha256: self.listing.digest(),
            annotations_sha256: self.coco_ids.digest(self.detector.categories()),
            weights_sha256: environment.weights_sha256,
            mode: environment.mode,
            mode_device: bits_differ.then_some(environment.device),
            labels: self.config.labels.clone(),
            extras: {
                let log = self.config.receipts.iter().map(|_| RECEIPTS.to_owned());
                self.config.extras.iter().cloned().chain(log).collect()
            },
            versions: environment.versions,
            config: serde_json::to_value(config).expect("a configuration has string keys only"),
            categories: self.detector.categories().names().to_vec(),
        }
    }
}

impl Answered {
    /// Its line in a log.
    fn logged(&self, name: &str) -> LogLine {
        let answer = match &self.result {
            Ok((image, (found, Some(stages)))) => {
                Ok(evidence::Answered::of(image, found, stages.clone()))
            }
            Ok((_, (_, None))) => unreachable!("with a log, every answer is traced"),
            Err(error) => Err(error.clone()),
        };
        LogLine { image: name.to_owned(), file: self.file.clone(), answer }
    }
}

/// A file's size; none where there is no file.
fn length_of(path: &Path) -> u64 {
    std::fs::metadata(path).map_or(0, |metadata| metadata.len())
}
