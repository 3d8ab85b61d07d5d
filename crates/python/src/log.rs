//! Logs of many images: lines that workers make, put together, and run again.

use std::path::PathBuf;
use std::sync::Arc;

use pyo3::prelude::*;
use retinanet::error::EvidenceError;
use retinanet::evidence::{Log, LooseLine, RerunConfig, Sample, assemble, is_log};
use retinanet::image::DecodeLimits;

use crate::detections::Detections;
use crate::detector::Detector;
use crate::errors::raised;
use crate::interrupt::interruptible;

/// Which images are meant, in the command's order and with its names.
#[pyclass(frozen, module = "retinanet._native")]
pub(crate) struct Listing(Arc<retinanet::data::Listing>);

#[pymethods]
impl Listing {
    #[new]
    fn new(py: Python<'_>, inputs: Vec<PathBuf>) -> PyResult<Self> {
        let listing = interruptible(py, move || retinanet::data::Listing::of(&inputs))?;
        Ok(Self(Arc::new(listing.map_err(raised)?)))
    }

    /// The deepest folder that all images have in common.
    fn root(&self) -> PathBuf {
        self.0.root().to_owned()
    }

    /// The names, in order.
    fn names(&self) -> Vec<String> {
        (0..self.0.len()).map(|index| self.0.name(index).into_owned()).collect()
    }

    /// The paths below the root, in order.
    fn paths(&self) -> Vec<PathBuf> {
        (0..self.0.len()).map(|index| self.0.relative_path(index).to_owned()).collect()
    }

    fn __len__(&self) -> usize {
        self.0.len()
    }
}

/// What a log will say about one image.
#[pyclass(frozen, module = "retinanet._native")]
pub(crate) struct LogLine(LooseLine);

#[pymethods]
impl LogLine {
    /// Detects in an image file; the line, and what was found if something was.
    #[staticmethod]
    fn create(
        py: Python<'_>,
        detector: &Detector,
        path: PathBuf,
        name: String,
    ) -> PyResult<(Self, Option<Detections>)> {
        detector.check_process()?;
        let detector = Arc::clone(&detector.inner);
        let recorded = interruptible(py, move || {
            LooseLine::record(&detector, path, &name, &DecodeLimits::default())
        })?;
        let (line, found) = recorded.map_err(raised)?;
        Ok((Self(line), found.map(Detections)))
    }

    #[staticmethod]
    fn from_json(text: &str) -> PyResult<Self> {
        let read = LooseLine::from_json(text);
        read.map(Self).map_err(|error| pyo3::exceptions::PyValueError::new_err(error.to_string()))
    }

    fn to_json(&self) -> String {
        self.0.to_json()
    }

    /// The image's name.
    fn image(&self) -> String {
        self.0.line().image.clone()
    }

    /// Why there is no answer, if there is none.
    fn error(&self) -> Option<String> {
        self.0.line().answer.as_ref().err().cloned()
    }
}

/// An error of the library on its way up, or one of Python's.
struct Raised(PyErr);

impl From<retinanet::Error> for Raised {
    fn from(error: retinanet::Error) -> Self {
        Self(raised(error))
    }
}

/// Writes the log of a whole listing from its lines, in its order: head, images and failures.
#[pyfunction]
pub(crate) fn write_log(
    path: PathBuf,
    detector: &Detector,
    listing: &Listing,
    lines: &Bound<'_, PyAny>,
    overwrite: bool,
) -> PyResult<(String, usize, usize)> {
    let lines = lines.try_iter()?.map(|line| {
        let line = line.map_err(Raised)?;
        let line = line.cast::<LogLine>().map_err(|error| Raised(error.into()))?;
        Ok(line.get().0.clone())
    });
    let written = assemble(&path, &detector.inner, &listing.0, lines, overwrite);
    let summary = written.map_err(|Raised(error)| error)?;
    Ok((summary.head.to_string(), summary.images, summary.failed))
}

/// Whether a file is a log; `false` where it cannot be read.
#[pyfunction]
#[pyo3(name = "is_log")]
pub(crate) fn is_a_log(path: PathBuf) -> bool {
    is_log(&path)
}

/// Whether a log's lines hold, and every bit is the same when its images are run again here; and the words that say so.
#[pyfunction]
#[pyo3(signature = (path, images, head))]
pub(crate) fn verify_log(
    py: Python<'_>,
    path: PathBuf,
    images: Option<PathBuf>,
    head: Option<String>,
) -> PyResult<(bool, String)> {
    let head = head.map(|head| {
        head.parse().map_err(|_| {
            let message = format!("head {head:?} is no hash: it has 64 hexadecimal digits");
            pyo3::exceptions::PyValueError::new_err(message)
        })
    });
    let head = head.transpose()?;
    let verified = interruptible(py, move || {
        let log = Log::open(path)?;
        head.map_or(Ok(()), |head| log.check_head(head))?;
        let all = Sample::all().choose(log.head(), "", log.len());
        let config = RerunConfig { images, ..RerunConfig::default() };
        let verification = log.verify(retinanet::Detector::builder(), &all, &config, |_| ())?;
        Ok((verification.is_same(), format!("head: {}\n{verification}", log.head())))
    })?;
    match verified {
        // A verdict, as a receipt whose seal does not hold is.
        Err(retinanet::Error::Evidence(
            error @ (EvidenceError::Broken { .. }
            | EvidenceError::Cut { .. }
            | EvidenceError::OtherHead { .. }),
        )) => Ok((false, error.to_string())),
        verified => verified.map_err(raised),
    }
}
