//! What was found in one image.

use std::sync::Arc;

use numpy::{PyArray1, PyArray2, PyArray3, PyArrayMethods};
use pyo3::prelude::*;
use retinanet::OverlayStyle;

use crate::errors::raised;
use crate::image::Image;

/// Detections, best score first.
#[pyclass(frozen, module = "retinanet._native")]
pub(crate) struct Detections(pub(crate) retinanet::Detections);

#[pymethods]
impl Detections {
    /// (N, 4) float32: x1, y1, x2, y2 in the image's pixels.
    fn boxes<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyArray2<f32>>> {
        let corners = self.0.iter().flat_map(|found| <[f32; 4]>::from(found.bounding_box));
        PyArray1::from_iter(py, corners).reshape([self.0.len(), 4])
    }

    /// (N) int64: class ids.
    fn labels<'py>(&self, py: Python<'py>) -> Bound<'py, PyArray1<i64>> {
        PyArray1::from_iter(py, self.0.iter().map(|found| found.label_id as i64))
    }

    /// (N) float32.
    fn scores<'py>(&self, py: Python<'py>) -> Bound<'py, PyArray1<f32>> {
        PyArray1::from_iter(py, self.0.iter().map(|found| found.score))
    }

    /// The names of the labels.
    fn names(&self) -> Vec<String> {
        self.0.iter().map(|found| found.label.clone()).collect()
    }

    /// SHA-256 over the exact bits.
    fn digest(&self) -> PyResult<String> {
        Ok(self.0.digest().map_err(raised)?.to_string())
    }

    /// (height, width).
    fn image_size(&self) -> (usize, usize) {
        let [height, width] = self.0.image_size();
        (height, width)
    }

    fn __len__(&self) -> usize {
        self.0.len()
    }

    fn above(&self, score: f32) -> Self {
        Self(self.0.above(score))
    }

    fn only(&self, labels: Vec<String>) -> PyResult<Self> {
        self.0.only(&labels).map(Self).map_err(raised)
    }

    /// (N, height, width) bool: filled boxes.
    fn masks<'py>(&self, py: Python<'py>, label: &str) -> PyResult<Bound<'py, PyArray3<bool>>> {
        let masks = py.detach(|| self.0.masks(label)).map_err(raised)?;
        let [height, width] = self.0.image_size();
        let pixels = masks.iter().flat_map(|mask| mask.as_bytes().iter().map(|byte| *byte != 0));
        PyArray1::from_iter(py, pixels).reshape([masks.len(), height, width])
    }

    /// The picture with masks, boxes and captions on it.
    #[pyo3(signature = (image, mask_opacity, captions))]
    fn draw(
        &self,
        py: Python<'_>,
        image: &Image,
        mask_opacity: f32,
        captions: bool,
    ) -> PyResult<Image> {
        let style =
            OverlayStyle { mask_opacity, without_captions: !captions, ..OverlayStyle::default() };
        let drawn = py.detach(|| self.0.overlay(&image.0, &style)).map_err(raised)?;
        Ok(Image(Arc::new(drawn)))
    }

    /// As the command's JSON has them: `{image_size, detections, categories}`.
    fn to_json(&self) -> PyResult<String> {
        serde_json::to_string(&self.0)
            .map_err(|error| crate::errors::RetinaNetError::new_err(error.to_string()))
    }

    /// Reads what `to_json` wrote, to the same bits.
    #[staticmethod]
    fn from_json(text: &str) -> PyResult<Self> {
        let read = serde_json::from_str(text);
        read.map(Self).map_err(|error| pyo3::exceptions::PyValueError::new_err(error.to_string()))
    }
}
