//! The detector for Python. Types and customs of Python are in `python/retinanet`; here is what it calls.

mod detections;
mod detector;
mod errors;
mod image;
mod interrupt;
mod receipt;

use pyo3::prelude::*;

#[pymodule]
fn _native(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add("__version__", env!("CARGO_PKG_VERSION"))?;
    module.add("NUMERICS_VERSION", retinanet::determinism::NUMERICS_VERSION)?;
    errors::add(module)?;
    module.add_class::<image::Image>()?;
    module.add_class::<detections::Detections>()?;
    module.add_class::<detector::Detector>()?;
    module.add_class::<receipt::Receipt>()?;
    Ok(())
}
