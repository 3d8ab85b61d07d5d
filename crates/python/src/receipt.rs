//! Receipts: an answer on record, and what running it again shows.

use std::path::PathBuf;
use std::sync::Arc;

use pyo3::prelude::*;

use crate::detections::Detections;
use crate::detector::Detector;
use crate::errors::raised;
use crate::interrupt::interruptible;

/// A detection on record.
#[pyclass(frozen, module = "retinanet._native")]
pub(crate) struct Receipt(retinanet::receipt::Receipt);

#[pymethods]
impl Receipt {
    /// Detects in an image file and records everything about it.
    #[staticmethod]
    fn create(py: Python<'_>, detector: &Detector, path: PathBuf) -> PyResult<Self> {
        detector.check_process()?;
        let detector = Arc::clone(&detector.inner);
        let made =
            interruptible(py, move || retinanet::receipt::Receipt::create(&detector, &path))?;
        made.map(Self).map_err(raised)
    }

    #[staticmethod]
    fn open(path: PathBuf) -> PyResult<Self> {
        retinanet::receipt::Receipt::open(path).map(Self).map_err(raised)
    }

    fn save(&self, path: PathBuf) -> PyResult<()> {
        self.0.save(path).map_err(raised)
    }

    /// Whether every bit is the same when it is run again here, and the words that say so.
    #[pyo3(signature = (image=None))]
    fn verify(&self, py: Python<'_>, image: Option<PathBuf>) -> PyResult<(bool, String)> {
        let receipt = self.0.clone();
        let verified = interruptible(py, move || {
            receipt.verify(retinanet::Detector::builder(), image.as_deref())
        })?;
        let verified = verified.map_err(raised)?;
        Ok((verified.is_same(), verified.to_string()))
    }

    fn digest(&self) -> String {
        self.0.digest().to_string()
    }

    fn detections(&self) -> Detections {
        Detections(self.0.detections().clone())
    }
}
