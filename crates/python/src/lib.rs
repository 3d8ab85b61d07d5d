//! The detector for Python. Types and customs of Python are in `python/retinanet`; here is what it calls.

mod detections;
mod detector;
mod errors;
mod image;
mod interrupt;
mod log;
mod receipt;

use pyo3::prelude::*;

/// The command `retinanet`, with these arguments; its exit status.
#[pyfunction]
fn run_command(py: Python<'_>, arguments: Vec<std::ffi::OsString>) -> u8 {
    py.detach(|| retinanet_cli::run(arguments))
}

#[pymodule]
fn _native(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add("__version__", env!("CARGO_PKG_VERSION"))?;
    module.add("NUMERICS_VERSION", retinanet::determinism::NUMERICS_VERSION)?;
    errors::add(module)?;
    module.add_function(wrap_pyfunction!(run_command, module)?)?;
    module.add_function(wrap_pyfunction!(log::write_log, module)?)?;
    module.add_function(wrap_pyfunction!(log::is_a_log, module)?)?;
    module.add_function(wrap_pyfunction!(log::verify_log, module)?)?;
    module.add_class::<log::Listing>()?;
    module.add_class::<log::LogLine>()?;
    module.add_class::<image::Image>()?;
    module.add_class::<detections::Detections>()?;
    module.add_class::<detector::Detector>()?;
    module.add_class::<receipt::Receipt>()?;
    Ok(())
}
