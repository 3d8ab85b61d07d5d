//! The source of the layers between convolutions.

use std::path::Path;

use super::Format;
use crate::Result;
use crate::cuda::{Module, Nvidia};

const COMMON: &str = include_str!("../cuda/common.cu");
const SHARED: [&str; 2] = [include_str!("formats.cu"), include_str!("shared.cu")];
const LAYERS: &str = include_str!("layers.cu");

/// The source as one text: the layers once for each format.
pub fn source() -> String {
    let layers = Format::ALL.map(|format| LAYERS.replace("FORMAT", format.name()));
    let parts = [COMMON].into_iter().chain(SHARED).map(str::to_owned).chain(layers);
    parts.collect::<Vec<_>>().join("\n")
}

/// Compiles it to PTX, as [`cuda::compile`](crate::cuda::compile) does the canonical kernels.
///
/// # Errors
/// As there.
pub fn compile(capability: (i32, i32)) -> Result<String> {
    module().compile(capability)
}

/// Compiles it for GPUs of this compute capability onto a shelf, as [`cuda::prepare`](crate::cuda::prepare)
/// does the canonical kernels.
///
/// # Errors
/// As there.
pub fn prepare(capability: (i32, i32), shelf: &Path) -> Result<()> {
    module().prepare(capability, shelf)
}

/// It as something to compile and keep.
fn module() -> Module {
    Module { name: "retinanet_fast.cu", source: source() }
}

impl Nvidia {
    /// Also loads the layers of the fast mode, which [`Cudnn`](super::Cudnn) needs.
    ///
    /// # Errors
    /// As [`Nvidia::open`].
    pub fn with_fast_layers(self, shelf: Option<&Path>) -> Result<Self> {
        self.with(&module(), shelf)
    }
}
