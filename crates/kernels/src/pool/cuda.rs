//! Max-pooling on a GPU.

use super::spec::{MaxPool2dSpec, WHAT};
use crate::Result;
use crate::cuda::{Argument, Map, Parameter, int};

/// Mirrors `PoolSpec` in pool.cu.
#[repr(C)]
#[derive(Clone, Copy)]
struct PoolSpec {
    kernel: [i32; 2],
    stride: [i32; 2],
    padding: [i32; 2],
}

// SAFETY: repr(C), with the fields of its mirror.
unsafe impl Parameter for PoolSpec {}

/// Max-pools one image's activations: bit for bit [`max_pool2d`](super::max_pool2d).
///
/// # Errors
/// As [`MaxPool2dSpec::output_size`]; the GPU has no room or failed.
pub fn max_pool2d_cuda(spec: &MaxPool2dSpec, input: &Map) -> Result<Map> {
    let size = spec.output_size(input.size())?;
    let output = Map::room(input.gpu(), input.channels(), size)?;
    let pair = |[y, x]: [usize; 2]| Ok::<_, crate::Error>([int(WHAT, y)?, int(WHAT, x)?]);
    let pool = PoolSpec {
        kernel: pair(spec.kernel)?,
        stride: pair(spec.stride)?,
        padding: pair(spec.padding)?,
    };
    let item = input.item_into(&output);
    let blocks = [(size[0] * size[1]).div_ceil(256), input.channels(), 1];
    // SAFETY: the kernel's parameters in its order; the output was made for them.
    unsafe {
        let arguments = [Argument::of(&item), Argument::of(&pool)];
        input.gpu().launch("max_pool", blocks, 256, &arguments)?;
    }
    Ok(output)
}
