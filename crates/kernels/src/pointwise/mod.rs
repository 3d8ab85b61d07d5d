//! Functions of single values: [`exp`], [`sigmoid`], [`ln`] and [`log1p`], and over slices [`relu`], [`add`] and the rest.
//!
//! A slice may hold any layout, the blocked one included: each value is treated alike.

#[cfg(feature = "cuda")]
mod cuda;
mod logarithm;
mod scalar;
#[cfg(test)]
mod tests;
mod vector;

#[cfg(feature = "cuda")]
pub use cuda::{Function, map_cuda};
pub use logarithm::{ln, log1p};
pub use scalar::{exp, sigmoid};
pub(crate) use vector::{exp as exp_vector, log1p_to_one};

use crate::buffer::Shared;
use crate::{Error, Level, Result, parallel};
use vector::{Add, Exp, Map, Relu, ReluMask, Sigmoid, Unary};

/// Values that one task handles: 64 KiB, small against the second-level cache.
const PIECE: usize = 16 * 1024;

/// `output[i] = input[i] < 0 ? +0 : input[i]`, so -0 and NaN stay what they are.
///
/// # Errors
/// The slices differ in length.
pub fn relu(level: Level, input: &[f32], output: &mut [f32]) -> Result<()> {
    map(level, Relu, input, output)
}

/// [`relu`] in place.
pub fn relu_in_place(level: Level, values: &mut [f32]) {
    map_in_place(level, Relu, values);
}

/// [`exp`] of each value.
///
/// # Errors
/// The slices differ in length.
pub fn exp_slice(level: Level, input: &[f32], output: &mut [f32]) -> Result<()> {
    map(level, Exp, input, output)
}

/// [`exp`] of each value, in place.
pub fn exp_in_place(level: Level, values: &mut [f32]) {
    map_in_place(level, Exp, values);
}

/// [`sigmoid`] of each value.
///
/// # Errors
/// The slices differ in length.
pub fn sigmoid_slice(level: Level, input: &[f32], output: &mut [f32]) -> Result<()> {
    map(level, Sigmoid, input, output)
}

/// [`sigmoid`] of each value, in place.
pub fn sigmoid_in_place(level: Level, values: &mut [f32]) {
    map_in_place(level, Sigmoid, values);
}

/// `output[i] = a[i] + b[i]`
///
/// # Errors
/// The slices differ in length.
pub fn add(level: Level, a: &[f32], b: &[f32], output: &mut [f32]) -> Result<()> {
    Error::check_length("add: first summand", output.len(), a.len())?;
    Error::check_length("add: second summand", output.len(), b.len())?;
    pieces(output, |range, output| {
        let (a, b) = (Some(&a[range.clone()]), &b[range]);
        level.run(Add { a, b, output });
    });
    Ok(())
}

/// `values[i] = values[i] + b[i]`
///
/// # Errors
/// The slices differ in length.
pub fn add_in_place(level: Level, values: &mut [f32], b: &[f32]) -> Result<()> {
    Error::check_length("add: second summand", values.len(), b.len())?;
    pieces(values, |range, output| {
        let b = &b[range];
        level.run(Add { a: None, b, output });
    });
    Ok(())
}

/// The gradient of [`relu`], in place: `gradient[i] = output[i] <= 0 ? +0 : gradient[i]`, where `output` is what ReLU
/// answered. A NaN there lets the gradient through, as PyTorch does.
///
/// # Errors
/// The slices differ in length.
pub fn relu_backward_in_place(level: Level, output: &[f32], gradient: &mut [f32]) -> Result<()> {
    Error::check_length("ReLU's output", gradient.len(), output.len())?;
    pieces(gradient, |range, gradient| {
        let output = &output[range];
        level.run(ReluMask { output, gradient });
    });
    Ok(())
}

fn map(level: Level, op: impl Unary, input: &[f32], output: &mut [f32]) -> Result<()> {
    Error::check_length("pointwise input", output.len(), input.len())?;
    pieces(output, |range, output| {
        let input = Some(&input[range]);
        level.run(Map { op, input, output });
    });
    Ok(())
}

fn map_in_place(level: Level, op: impl Unary, values: &mut [f32]) {
    pieces(values, |_, output| {
        let input = None;
        level.run(Map { op, input, output });
    });
}

/// Gives each task its own piece of the output, and where it lies.
fn pieces(output: &mut [f32], task: impl Fn(std::ops::Range<usize>, &mut [f32]) + Sync) {
    let len = output.len();
    let shared = Shared::new(output);
    parallel::for_each(len.div_ceil(PIECE), |i| {
        let start = i * PIECE;
        let piece = (len - start).min(PIECE);
        // SAFETY: pieces do not overlap.
        let output = unsafe { shared.part(start, piece) };
        task(start..start + piece, output);
    });
}
