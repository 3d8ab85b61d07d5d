//! Pictures in and out.

use std::path::PathBuf;
use std::sync::Arc;

use numpy::{PyArray3, PyArrayMethods, PyReadonlyArray3, PyUntypedArrayMethods};
use pyo3::prelude::*;

use crate::errors::raised;
use crate::interrupt::interruptible;

/// An upright 8-bit RGB picture.
#[pyclass(frozen, module = "retinanet._native")]
pub(crate) struct Image(pub(crate) Arc<retinanet::Image>);

#[pymethods]
impl Image {
    /// Decodes a file, as the command does.
    #[staticmethod]
    fn open(py: Python<'_>, path: PathBuf) -> PyResult<Self> {
        let image = interruptible(py, move || retinanet::Image::open(path))?;
        Ok(Self(Arc::new(image.map_err(raised)?)))
    }

    /// Decodes the bytes of a file.
    #[staticmethod]
    fn decode(py: Python<'_>, name: String, data: Vec<u8>) -> PyResult<Self> {
        let image = interruptible(py, move || retinanet::Image::decode(&data, &name))?;
        Ok(Self(Arc::new(image.map_err(raised)?)))
    }

    /// A copy of an array of shape (height, width, 3); any strides.
    #[staticmethod]
    fn from_array(array: PyReadonlyArray3<'_, u8>) -> PyResult<Self> {
        let [height, width, _] = *array.shape() else { unreachable!("three dimensions") };
        // `as_slice` would also give Fortran's order, as it lies in memory.
        let pixels = match array.as_slice() {
            Ok(rows) if array.is_c_contiguous() => rows.to_vec(),
            _ => array.as_array().iter().copied().collect(),
        };
        let image = retinanet::Image::from_rgb8(width, height, pixels).map_err(raised)?;
        Ok(Self(Arc::new(image)))
    }

    /// The pixels, (height, width, 3) uint8.
    fn to_array<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyArray3<u8>>> {
        let size = [self.0.height(), self.0.width(), 3];
        numpy::PyArray1::from_slice(py, self.0.as_rgb8()).reshape(size)
    }

    /// Writes a PNG, whole or not at all.
    fn save_png(&self, path: PathBuf) -> PyResult<()> {
        self.0.save_png(path).map_err(raised)
    }

    #[getter]
    fn width(&self) -> usize {
        self.0.width()
    }

    #[getter]
    fn height(&self) -> usize {
        self.0.height()
    }
}
