//! The detector.

use std::path::PathBuf;
use std::sync::Arc;

use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use retinanet::determinism::DEFAULT_SEED;
use retinanet::labels::Categories;
use retinanet::weights::FetchOptions;
use retinanet::{Determinism, Device};

use crate::detections::Detections;
use crate::errors::{RetinaNetError, raised};
use crate::image::Image;
use crate::interrupt::interruptible;

/// A detector; calls from several threads wait for each other as the library has them wait.
#[pyclass(frozen, module = "retinanet._native")]
pub(crate) struct Detector {
    pub(crate) inner: Arc<retinanet::Detector>,
    /// The process that made it: a forked child has no threads to detect with.
    process: u32,
}

impl Detector {
    pub(crate) fn check_process(&self) -> PyResult<()> {
        if self.process == std::process::id() {
            return Ok(());
        }
        Err(RetinaNetError::new_err(
            "this detector was made before the process forked, and its threads did not come along: make \
             the detector in the worker, or start workers with multiprocessing's \"spawn\" method",
        ))
    }
}

#[pymethods]
impl Detector {
    #[new]
    #[pyo3(signature = (weights, *, device, threads, score_threshold, strict, seed, categories, batch_norm_eps, offline))]
    #[allow(clippy::too_many_arguments, reason = "keywords, all filled by the Python side")]
    fn new(
        py: Python<'_>,
        weights: PathBuf,
        device: String,
        threads: Option<usize>,
        score_threshold: Option<f64>,
        strict: bool,
        seed: Option<u64>,
        categories: Option<Vec<String>>,
        batch_norm_eps: Option<f64>,
        offline: Option<bool>,
    ) -> PyResult<Self> {
        let device: Device = device.parse().map_err(raised)?;
        let determinism = if strict { Determinism::default() } else { Determinism::fast() };
        let mut builder = retinanet::Detector::builder()
            .weights(weights)
            .device(device)
            .determinism(determinism.with_seed(seed.unwrap_or(DEFAULT_SEED)));
        if let Some(threads) = threads {
            builder = builder.threads(threads);
        }
        if let Some(threshold) = score_threshold {
            builder = builder.score_threshold(threshold);
        }
        if let Some(names) = categories {
            builder = builder.categories(Categories::new(names).map_err(raised)?);
        }
        if let Some(eps) = batch_norm_eps {
            builder = builder.batch_norm_eps(eps);
        }
        if let Some(offline) = offline {
            let mut options = FetchOptions::from_env()
                .map_err(|error| PyValueError::new_err(error.to_string()))?;
            options.offline = offline;
            builder = builder.fetch_options(options);
        }
        let inner = interruptible(py, move || builder.build())?.map_err(raised)?;
        Ok(Self { inner: Arc::new(inner), process: std::process::id() })
    }

    /// The detections of each image, in order.
    fn detect(&self, py: Python<'_>, images: Vec<PyRef<'_, Image>>) -> PyResult<Vec<Detections>> {
        self.check_process()?;
        let images: Vec<_> = images.iter().map(|image| Arc::clone(&image.0)).collect();
        let detector = Arc::clone(&self.inner);
        let found = interruptible(py, move || detector.detect_batch(&images))?;
        Ok(found.map_err(raised)?.into_iter().map(Detections).collect())
    }

    /// The detections of one image, and the digest of every stage on the way.
    fn detect_traced(
        &self,
        py: Python<'_>,
        image: &Image,
    ) -> PyResult<(Detections, Vec<(String, String)>)> {
        self.check_process()?;
        let (image, detector) = (Arc::clone(&image.0), Arc::clone(&self.inner));
        let traced = interruptible(py, move || detector.detect_traced(&image))?;
        let (found, stages) = traced.map_err(raised)?;
        let stages =
            stages.iter().map(|stage| (stage.stage.clone(), stage.digest.to_string())).collect();
        Ok((Detections(found), stages))
    }

    /// The names of the classes by id.
    fn categories(&self) -> Vec<String> {
        self.inner.categories().names().to_vec()
    }

    /// What answers are computed with, as JSON.
    fn environment(&self) -> PyResult<String> {
        serde_json::to_string(&self.inner.environment())
            .map_err(|error| RetinaNetError::new_err(error.to_string()))
    }

    #[getter]
    fn threads(&self) -> usize {
        self.inner.threads()
    }
}
