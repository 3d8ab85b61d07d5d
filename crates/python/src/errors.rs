//! The library's errors as Python's.

use pyo3::create_exception;
use pyo3::exceptions::{PyException, PyFileNotFoundError, PyValueError};
use pyo3::prelude::*;
use retinanet::image::ImageError;

create_exception!(
    retinanet,
    RetinaNetError,
    PyException,
    "Something that retinanet refuses or cannot do; the message says what and what to do next."
);
create_exception!(
    retinanet,
    ImageReadError,
    RetinaNetError,
    "An image that cannot be read, decoded or resized."
);
create_exception!(
    retinanet,
    WeightsError,
    RetinaNetError,
    "Weights that cannot be found, read or used."
);
create_exception!(
    retinanet,
    DeterminismError,
    RetinaNetError,
    "Something that would break the promise of equal bits."
);

/// Adds the exceptions to the module.
pub(crate) fn add(module: &Bound<'_, PyModule>) -> PyResult<()> {
    let py = module.py();
    module.add("RetinaNetError", py.get_type::<RetinaNetError>())?;
    module.add("ImageReadError", py.get_type::<ImageReadError>())?;
    module.add("WeightsError", py.get_type::<WeightsError>())?;
    module.add("DeterminismError", py.get_type::<DeterminismError>())
}

/// The exception for an error, with its message.
pub(crate) fn raised(error: retinanet::Error) -> PyErr {
    use retinanet::Error;
    let message = error.to_string();
    match error {
        Error::Image(ImageError::Read { source, .. })
            if source.kind() == std::io::ErrorKind::NotFound =>
        {
            PyFileNotFoundError::new_err(message)
        }
        Error::Image(_) => ImageReadError::new_err(message),
        Error::Weights(_) | Error::Fetch(_) | Error::Identity(_) => WeightsError::new_err(message),
        Error::Determinism(_) => DeterminismError::new_err(message),
        Error::Label(_) | Error::Detector(_) => PyValueError::new_err(message),
        _ => RetinaNetError::new_err(message),
    }
}
