//! Functions of single values on a GPU.

use crate::Result;
use crate::cuda::{Argument, Map, int};

/// What [`map_cuda`] computes of each value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Function {
    /// As [`relu`](super::relu).
    Relu,
    /// As [`exp`](super::exp).
    Exp,
    /// As [`sigmoid`](super::sigmoid).
    Sigmoid,
}

/// The function of each value of a map, bit for bit as on the CPU.
///
/// # Errors
/// The GPU has no room or failed.
pub fn map_cuda(function: Function, input: &Map) -> Result<Map> {
    let output = Map::room(input.gpu(), input.channels(), input.size())?;
    // What pads the planes goes along.
    let values = input.channels() * input.plane();
    let (code, count) = (function as i32, int("a map", values)?);
    // SAFETY: the kernel's parameters in its order; both maps have that many values.
    unsafe {
        let arguments = [
            Argument::of(&code),
            Argument::of(&count),
            Argument::of(input.pointer()),
            Argument::of(output.pointer()),
        ];
        input.gpu().launch("pointwise", [values.div_ceil(256), 1, 1], 256, &arguments)?;
    }
    Ok(output)
}
