//! The gradient of a convolution's weights: sums over all pixels of an image.
//!
//! # The order of operations
//! Several pairs of input and output gradient belong to one sum where a convolution is used at several levels of a
//! pyramid. Each pair is cut into *chunks*, functions of the output's size alone:
//!
//! - Direct form: whole rows, as many as have up to 1,024 pixels together, and one at least. A weight's sum over a
//!   chunk is one chain `acc = fma(x, g, acc)` from +0 over its output pixels, row by row and left to right, where `x` is
//!   the input's value under that tap, +0 in the padding, and `g` the output's gradient.
//! - Winograd's form ([`Algorithm::of`] says where): 256 tiles of 4x4 output pixels, row by row and left to right. `V` is
//!   the forward pass's transform of a tile's input; `M` is the tile's output gradient, +0 past the edges, transformed by
//!   the output transform's transpose along y, then along x; at each of the 36 points one chain
//!   `acc = fma(v, m, acc)` from +0 over the chunk's tiles.
//!
//! The chunks of all pairs in their order are added pairwise, as [`sum`](mod@crate::sum) does in its third step. In
//! Winograd's form the 36 sums then become the nine weights' gradients in f64 (the transpose of the weights' transform,
//! along y, then along x, each a sum from left to right), rounded once.

mod chunks;
mod direct;
mod image;
mod reduce;
pub mod reference;
#[cfg(test)]
mod tests;
mod tile;
mod winograd;

use image::Image;

use super::item::Input;
use super::spec::{Algorithm, Conv2dSpec};
use crate::layout::{Blocked, BlockedBuffer, BlockedShape};
use crate::{Error, Level, Result};

/// What a convolution read and the gradient of what it answered.
#[derive(Clone, Copy, Debug)]
pub struct GradientPair<'a> {
    /// Blocked, or planar where it has fewer than 16 channels.
    pub input: Input<'a>,
    /// The gradient of the output.
    pub grad_output: Blocked<'a>,
}

/// The gradient of a convolution's weights, out x in x kh x kw, summed over `pairs`; `gradient` is overwritten.
///
/// The [module](self) says in which order it adds. Without pairs it is +0.
///
/// # Errors
/// A size in `spec` is zero, `gradient` is not as long as the weights, or a pair's shapes do not fit `spec`.
///
/// Mirrors `torch.nn.grad.conv2d_weight`.
pub fn weight_gradient(
    level: Level,
    spec: &Conv2dSpec,
    pairs: &[GradientPair<'_>],
    gradient: &mut [f32],
) -> Result<()> {
    Error::check_length("conv2d weight gradient", spec.weights()?, gradient.len())?;
    // Planes become blocks.
    let mut copies = Vec::new();
    for pair in pairs {
        if let Input::Planar { data, size } = pair.input {
            copies.push(BlockedBuffer::from_chw(BlockedShape::new(spec.in_channels, size), data)?);
        }
    }
    let mut copies = copies.iter();
    let mut images = Vec::with_capacity(pairs.len());
    for pair in pairs {
        let input = match (pair.input, copies.as_slice()) {
            (Input::Blocked(blocked), _) => blocked,
            (Input::Planar { .. }, [copy, ..]) => {
                copies.next();
                copy.as_ref()
            }
            (Input::Planar { .. }, []) => continue,
        };
        check(spec, input.shape(), pair.grad_output.shape())?;
        images.push(Image { input, gradient: pair.grad_output });
    }
    match Algorithm::of(spec) {
        Algorithm::Winograd => winograd::weight_gradient(level, spec, &images, gradient),
        Algorithm::Direct => direct::weight_gradient(level, spec, &images, gradient),
    }
    Ok(())
}

fn check(spec: &Conv2dSpec, input: BlockedShape, gradient: BlockedShape) -> Result<()> {
    let bad = |reason| Err(Error::Shape { what: "conv2d weight gradient", reason });
    if input.channels != spec.in_channels {
        return bad(format!("an input of {input:?} into {spec:?}"));
    }
    let wanted = BlockedShape::new(spec.out_channels, spec.output_size(input.size())?);
    if gradient != wanted {
        return bad(format!("the output's gradient is {gradient:?}, expected {wanted:?}"));
    }
    Ok(())
}
