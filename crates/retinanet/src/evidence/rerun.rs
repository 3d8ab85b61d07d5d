//! Re-running a log's images, decoded ahead and compared one by one.

use std::path::{Component, Path, PathBuf};
use std::sync::mpsc::channel;
use std::sync::{Mutex, PoisonError};

use super::EvidenceError;
use super::file::open_on_record;
use super::header::LogHeader;
use super::kept::Kept;
use super::line::{Answered, FileRecord, LogLine};
use super::scan::Log;
use super::verification::{LineDifference, LogVerification, LoggedDifference};
use super::whereabouts::Whereabouts;
use crate::data::{Dataset, Loader, LoaderConfig};
use crate::detector::DetectorBuilder;
use crate::determinism::{DEFAULT_SEED, Stream};
use crate::image::{DecodeLimits, DecodeOptions, Image};
use crate::receipt::{Recorded, Unusable};
use crate::weights::Manifest;
use crate::{Detector, Error, Result};

/// Images that are computed at the same time: while one is hashed, another uses the threads.
const TOGETHER: usize = 2;

/// How a log's images are re-run.
#[derive(Debug, Clone, Default)]
pub struct RerunConfig {
    /// The folder that the images' names start at. Default: where they were when the log was made.
    pub images: Option<PathBuf>,
    /// Threads that decode. Default: as in [`LoaderConfig`].
    pub workers: Option<usize>,
    /// What an image may cost.
    pub limits: DecodeLimits,
}

/// How far a re-run is.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub struct RerunProgress<'a> {
    /// Images to re-run.
    pub total: usize,
    /// How many are done.
    pub done: usize,
    /// The image that was done last.
    pub name: &'a str,
    /// Whether it is as the log says.
    pub same: bool,
}

impl Log {
    /// Detects again in the images of these numbers and compares bit for bit.
    ///
    /// `builder` may say where the weights are (default: where they were, or the manifest's of the same SHA-256),
    /// how many threads to use, and so on; configuration, categories and mode are the log's. `progress` is called
    /// after each image, in the order in which they end.
    ///
    /// # Errors
    /// What keeps the comparison as a whole from being made: weights that are not there, a device. An image that
    /// is not there is [`LogVerification::not_compared`], and the others go on. Other weights than the log's are
    /// [`LogVerification::weights`], and nothing is re-run.
    ///
    /// # Panics
    /// If a number is not that of an image.
    pub fn verify(
        &self,
        builder: DetectorBuilder,
        which: &[usize],
        config: &RerunConfig,
        mut progress: impl FnMut(RerunProgress<'_>),
    ) -> Result<LogVerification> {
        let hint = Whereabouts::read_beside(self.path());
        let nowhere = |what, advice: String| EvidenceError::Nowhere {
            what,
            path: self.path().to_owned(),
            advice,
        };
        let root = match (&config.images, &hint) {
            (Some(root), _) => root.clone(),
            (None, Some(hint)) => hint.images.clone(),
            (None, None) => {
                let advice = "give the folder that the names in it start at (`--images`)";
                return Err(nowhere("images", advice.to_owned()).into());
            }
        };
        let weights_sha256 = self.header().weights_sha256;
        let builder = match weights_of(self.header(), hint.as_ref()) {
            Some(weights) => builder.weights_unless_given(&weights),
            None if builder.given_weights().is_some() => builder,
            None => {
                let advice =
                    format!("give the file whose sha256 is {weights_sha256} (`--weights`)");
                return Err(nowhere("weights", advice).into());
            }
        };
        let mut verification = LogVerification::new(self.header().clone());
        let recorded = Recorded {
            mode: self.header().mode,
            seed: DEFAULT_SEED,
            weights_sha256,
            configuration: &self.header().configuration,
            categories: &self.header().categories,
        };
        let detector = match recorded.rebuild(builder)? {
            Ok(detector) => detector,
            Err(Unusable { found, reason }) => {
                verification.weights = Some((found, Some(reason)));
                return Ok(verification);
            }
        };
        let here = detector.environment();
        let found = here.weights_sha256;
        verification.here = Some(here);
        if let Some(found) = found.filter(|found| *found != weights_sha256) {
            verification.weights = Some((found.to_string(), None));
            return Ok(verification);
        }
        let defaults = LoaderConfig::default();
        let loading =
            LoaderConfig { workers: config.workers.unwrap_or(defaults.workers), ..defaults };
        let files = LoggedFiles {
            kept: self.kept(),
            which: which.to_vec(),
            root,
            limits: config.limits.clone(),
        };
        let epoch = Mutex::new(Loader::new(files, loading)?.epoch(0)?);
        let runners = TOGETHER.min(detector.threads());
        std::thread::scope(|scope| {
            let (sender, receiver) = channel();
            for _ in 0..runners {
                let (sender, epoch, detector) = (sender.clone(), &epoch, &detector);
                scope.spawn(move || {
                    loop {
                        let next = epoch.lock().unwrap_or_else(PoisonError::into_inner).next();
                        let Some(sample) = next else { return };
                        let compared = sample.result.map_err(Error::from).and_then(|logged| {
                            let verdict = compare(detector, &logged)?;
                            Ok((which[sample.index], logged.line.image, verdict))
                        });
                        if sender.send(compared).is_err() {
                            return;
                        }
                    }
                });
            }
            drop(sender);
            for compared in receiver {
                let (index, image, verdict) = compared?;
                verification.checked += 1;
                let same = matches!(verdict, Verdict::Same);
                let (total, done) = (which.len(), verification.checked);
                progress(RerunProgress { total, done, name: &image, same });
                match verdict {
                    Verdict::Same => {}
                    Verdict::Different(differences) => {
                        verification.different.push(LoggedDifference { index, image, differences });
                    }
                    Verdict::NotCompared(reason) => {
                        verification.not_compared.push((index, image, reason));
                    }
                }
            }
            Ok::<(), Error>(())
        })?;
        verification.checked -= verification.not_compared.len();
        verification.different.sort_by_key(|different| different.index);
        verification.not_compared.sort();
        Ok(verification)
    }
}

/// Where the log's weights are, as far as that is known: where they were, or a name of the manifest.
fn weights_of(header: &LogHeader, hint: Option<&Whereabouts>) -> Option<String> {
    let were = hint.map(|hint| &hint.weights);
    if let Some(were) = were.filter(|were| were.is_file()) {
        return Some(were.to_string_lossy().into_owned());
    }
    let sha256 = header.weights_sha256.to_string();
    let manifest = Manifest::builtin();
    let known = manifest
        .entries()
        .iter()
        .find(|entry| entry.sources.iter().any(|source| source.sha256.accepts(&sha256)));
    let known = known.map(|entry| entry.name.clone());
    known.or_else(|| were.map(|were| were.to_string_lossy().into_owned()))
}

/// The files of a log's images.
struct LoggedFiles {
    kept: std::sync::Arc<Kept>,
    which: Vec<usize>,
    root: PathBuf,
    limits: DecodeLimits,
}

/// A line of a log and what its file holds now.
struct Logged {
    line: LogLine,
    /// Or why it cannot be read.
    file: Result<(FileRecord, Result<Image>)>,
}

impl Dataset for LoggedFiles {
    type Sample = Logged;
    type Error = Error;

    fn len(&self) -> usize {
        self.which.len()
    }

    fn get(&self, index: usize, _: &mut Stream) -> Result<Logged> {
        let number = self.which[index];
        let line = self.kept.line(number)?;
        let relative = Path::new(&line.image);
        let plain = |part| matches!(part, Component::Normal(_));
        if line.image.is_empty() || !relative.components().all(plain) {
            // A log that comes from elsewhere must not say which file of this machine is read.
            let reason = format!("names {:?}, which is no file below a folder", line.image);
            return Err(self.kept.broken(number, reason).into());
        }
        let options = DecodeOptions {
            limits: self.limits.clone(),
            apply_exif_orientation: !line.file.as_ref().is_some_and(|file| file.as_stored),
            ..DecodeOptions::default()
        };
        let file = open_on_record(&self.root.join(relative), &line.image, &options, None);
        Ok(Logged { line, file })
    }

    fn size_in_bytes(&self, logged: &Logged) -> usize {
        let Ok((_, Ok(image))) = &logged.file else { return 0 };
        image.as_rgb8().len()
    }
}

/// How an image compares with its line.
enum Verdict {
    Same,
    Different(Vec<LineDifference>),
    NotCompared(String),
}

fn compare(detector: &Detector, logged: &Logged) -> Result<Verdict> {
    let Logged { line, file } = logged;
    let (record, image) = match (file, &line.file) {
        (Ok((record, image)), _) => (record, image),
        // As little as then.
        (Err(_), None) => return Ok(Verdict::Same),
        (Err(error), Some(_)) => return Ok(Verdict::NotCompared(error.to_string())),
    };
    let mut differences = Vec::new();
    let same_file = line.file.as_ref() == Some(record);
    if let Some(then) = line.file.as_ref().filter(|_| !same_file) {
        let (expected, found) = (then.sha256, record.sha256);
        differences.push(LineDifference::ImageFile { expected, found });
    }
    let found = match image {
        Ok(image) => match detector.detect_traced(image) {
            Ok(found) => Ok((image, found)),
            Err(error @ (Error::Image(_) | Error::Postprocess(_) | Error::Determinism(_))) => {
                Err(error.to_string())
            }
            Err(error) => return Err(error),
        },
        Err(error) => Err(error.to_string()),
    };
    match (&line.answer, found) {
        (Err(_), Err(_)) => {}
        (Err(then), Ok(_)) => differences.push(LineDifference::AnsweredNow { then: then.clone() }),
        // Another limit, say: the picture is the same, and nothing was compared.
        (Ok(_), Err(now)) if same_file => return Ok(Verdict::NotCompared(now)),
        (Ok(_), Err(now)) => differences.push(LineDifference::NotRerun { now }),
        (Ok(then), Ok((image, (detections, stages)))) => {
            let now = Answered {
                width: image.width(),
                height: image.height(),
                detections: detections.len(),
                stages,
            };
            if let Some(part) = then.stages.first_difference(&now.stages) {
                differences.push(LineDifference::Stage(part));
            } else if *then != now {
                differences.push(LineDifference::Counts);
            }
        }
    }
    Ok(if differences.is_empty() { Verdict::Same } else { Verdict::Different(differences) })
}
