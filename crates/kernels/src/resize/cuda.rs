//! The network's input, made on a GPU.

use super::normalisation::Normalisation;
use super::spec::ResizeSpec;
use crate::cuda::{Argument, Gpu, Map, Parameter, int};
use crate::{Error, Result};

/// Mirrors `ResizeArgs` in resize.cu.
#[repr(C)]
#[derive(Clone, Copy)]
struct ResizeArgs {
    source: [i32; 2],
    resized: [i32; 2],
    padded: [i32; 2],
}

// SAFETY: repr(C), with the fields of its mirror.
unsafe impl Parameter for ResizeArgs {}

/// Normalises, resizes and pads an interleaved RGB image: bit for bit
/// [`resize_normalised`](super::resize_normalised).
///
/// # Errors
/// `rgb` has not the source's length; the GPU has no room or failed.
pub fn resize_normalised_cuda(
    gpu: &Gpu,
    spec: &ResizeSpec,
    normalisation: &Normalisation,
    rgb: &[u8],
) -> Result<Map> {
    Error::check_length("resize source", spec.source_len(), rgb.len())?;
    let pair = |[y, x]: [usize; 2]| Ok::<_, Error>([int("a side", y)?, int("a side", x)?]);
    let args = ResizeArgs {
        source: pair(spec.source())?,
        resized: pair(spec.resized())?,
        padded: pair(spec.padded())?,
    };
    let output = Map::room(gpu, 3, spec.padded())?;
    let source = gpu.copy_of(rgb)?;
    let table = gpu.copy_of(&[0, 1, 2].map(|channel| *normalisation.channel(channel)).concat())?;
    let blocks = [(spec.padded()[0] * spec.padded()[1]).div_ceil(256), 3, 1];
    // SAFETY: the kernel's parameters in its order; source and output have the lengths of the spec.
    unsafe {
        let arguments = [
            Argument::of(&args),
            Argument::of(source.pointer()),
            Argument::of(table.pointer()),
            Argument::of(output.pointer()),
        ];
        gpu.launch("resize_normalised", blocks, 256, &arguments)?;
    }
    Ok(output)
}
