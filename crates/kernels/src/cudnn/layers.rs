//! Max-pooling, ReLU and upsampling of the fast mode, and what cuDNN may leave of a convolution.

use super::map::{THREADS, pixels_out};
use super::{Convolution, Map, Operands};
use crate::cuda::{Argument, Gpu, ITEMS, Item, Items, Parameter, int};
use crate::pool::MaxPool2dSpec;
use crate::{Error, Result};

/// Mirrors `PoolSpec` in shared.cu.
#[repr(C)]
#[derive(Clone, Copy)]
struct PoolSpec {
    kernel: [i32; 2],
    stride: [i32; 2],
    padding: [i32; 2],
}

// SAFETY: repr(C), with the fields of its mirror.
unsafe impl Parameter for PoolSpec {}

/// Max-pools each map. They have the same channels and format.
///
/// # Errors
/// As [`MaxPool2dSpec::output_size`]; the maps differ; the GPU has no room or failed.
pub fn max_pool2d_cudnn(spec: &MaxPool2dSpec, inputs: &[Map]) -> Result<Vec<Map>> {
    let pair = |[y, x]: [usize; 2]| Ok::<_, Error>([int("max_pool2d", y)?, int("max_pool2d", x)?]);
    let pool = PoolSpec {
        kernel: pair(spec.kernel)?,
        stride: pair(spec.stride)?,
        padding: pair(spec.padding)?,
    };
    let sizes = inputs.iter().map(|input| spec.output_size(input.size()));
    let outputs = like(inputs, &sizes.collect::<Result<Vec<_>>>()?)?;
    let names = ["max_pool_f32", "max_pool_f16", "max_pool_bf16"];
    let pairs: Vec<_> = inputs.iter().zip(&outputs).collect();
    each_vector(&pairs, names, &[Argument::of(&pool)])?;
    Ok(outputs)
}

/// ReLU of each map. They have the same channels and format.
///
/// # Errors
/// The maps differ; the GPU has no room or failed.
pub fn relu_cudnn(inputs: &[Map]) -> Result<Vec<Map>> {
    let outputs = like(inputs, &inputs.iter().map(Map::size).collect::<Vec<_>>())?;
    let pairs: Vec<_> = inputs.iter().zip(&outputs).collect();
    each_vector(&pairs, ["relu_f32", "relu_f16", "relu_bf16"], &[])?;
    Ok(outputs)
}

/// Adds each coarse map's nearest values to the fine map of its place.
///
/// # Errors
/// There are not as many coarse maps as fine ones; they have not all the same channels and format; a
/// coarse map is empty; the GPU failed.
pub fn upsample_nearest_add_cudnn(coarse: &[Map], fine: &mut [Map]) -> Result<()> {
    Error::check_length("upsample_nearest coarse maps", fine.len(), coarse.len())?;
    let pairs: Vec<_> = coarse.iter().zip(&*fine).collect();
    for (coarse, fine) in &pairs {
        fine.check("upsample_nearest", coarse.channels(), coarse.format())?;
        if coarse.size().contains(&0) && !fine.size().contains(&0) {
            let reason = format!("the coarse map is empty: {:?}", coarse.size());
            return Err(Error::Shape { what: "upsample_nearest", reason });
        }
    }
    each_vector(&pairs, ["upsample_add_f32", "upsample_add_f16", "upsample_add_bf16"], &[])
}

/// Bias, residual and ReLU of a convolution whose output holds its sums: for a library that has no kernel
/// that does all at once.
///
/// # Errors
/// The GPU failed.
///
/// # Safety
/// As [`ConvolutionLibrary::convolve`](super::ConvolutionLibrary::convolve).
pub unsafe fn finish_convolution(
    gpu: &Gpu,
    convolution: &Convolution,
    operands: &Operands,
) -> Result<()> {
    let [out_height, out_width] = convolution.output;
    let item = Item {
        residual: operands.residual,
        output: operands.output,
        out_height: int("a side", out_height)?,
        out_width: int("a side", out_width)?,
        ..Item::default()
    };
    let vectors = convolution.spec.out_channels / convolution.format.lanes();
    let (items, blocks) =
        Items::new([item], |item| (pixels_out(item) * vectors).div_ceil(THREADS))?;
    let (vectors, relu) = (int("channels", vectors)?, i32::from(convolution.relu));
    let arguments = [
        Argument::of(&items),
        Argument::of(&vectors),
        Argument::of(&operands.bias),
        Argument::of(&relu),
    ];
    let kernel = convolution.format.of(["finish_f32", "finish_f16", "finish_bf16"]);
    // SAFETY: the kernel's parameters in its order; the rest is the caller's.
    unsafe { gpu.launch(kernel, [blocks, 1, 1], THREADS, &arguments) }
}

/// Room for a map of each size, with the channels and format of the inputs, which must agree.
fn like(inputs: &[Map], sizes: &[[usize; 2]]) -> Result<Vec<Map>> {
    let Some(first) = inputs.first() else { return Ok(Vec::new()) };
    let mut outputs = Vec::with_capacity(inputs.len());
    for (input, size) in inputs.iter().zip(sizes) {
        input.check("map", first.channels(), first.format())?;
        outputs.push(Map::room(first.gpu(), first.format(), first.channels(), *size)?);
    }
    Ok(outputs)
}

/// Starts a kernel with a thread for each vector of each output; `between` are its arguments after the
/// items and before the number of vectors of a pixel.
fn each_vector(
    pairs: &[(&Map, &Map)],
    kernels: [&'static str; 3],
    between: &[Argument<'_>],
) -> Result<()> {
    let Some((first, _)) = pairs.first() else { return Ok(()) };
    let vectors = first.vectors()?;
    for pairs in pairs.chunks(ITEMS) {
        let items = pairs.iter().map(|(input, output)| input.item_into(output));
        let units = |item: &Item| (pixels_out(item) * vectors as usize).div_ceil(THREADS);
        let (items, blocks) = Items::new(items, units)?;
        let mut arguments = vec![Argument::of(&items)];
        arguments.extend_from_slice(between);
        arguments.push(Argument::of(&vectors));
        let kernel = first.format().of(kernels);
        // SAFETY: the kernel's parameters in its order; each output was made for its input, and all have
        // as many channels as the first.
        unsafe { first.gpu().launch(kernel, [blocks, 1, 1], THREADS, &arguments)? };
    }
    Ok(())
}
