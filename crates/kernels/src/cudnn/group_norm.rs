//! Group normalisation of the fast mode: sums in f32, in a fixed order.

use super::map::{THREADS, pixels_in};
use super::{CudnnGpu, Map};
use crate::Result;
use crate::cuda::{Argument, Buffer, ITEMS, Item, Items, Parameter, int};
use crate::norm::GroupNormSpec;

/// A group normalisation whose parameters are on a GPU.
#[derive(Debug)]
pub struct CudnnGroupNorm {
    on: CudnnGpu,
    spec: GroupNormSpec,
    gamma: Buffer,
    beta: Buffer,
}

/// Mirrors `NormSpec` in shared.cu.
#[repr(C)]
#[derive(Clone, Copy)]
struct NormSpec {
    channels: i32,
    groups: i32,
    vectors: i32,
    eps: f32,
    relu: i32,
}

// SAFETY: repr(C), with the fields of its mirror.
unsafe impl Parameter for NormSpec {}

/// As `STRIP` in shared.cu.
const STRIP: usize = 16;

impl CudnnGroupNorm {
    /// Copies one `gamma` and one `beta` per channel.
    ///
    /// # Errors
    /// The spec's groups or eps make no sense, a length is not its channels, or the GPU has no room.
    pub fn new(on: &CudnnGpu, spec: GroupNormSpec, gamma: &[f32], beta: &[f32]) -> Result<Self> {
        spec.check(gamma, beta, spec.channels)?;
        let (gamma, beta) = (on.gpu().copy_of(gamma)?, on.gpu().copy_of(beta)?);
        Ok(Self { on: on.clone(), spec, gamma, beta })
    }

    /// Normalises each map in place.
    ///
    /// # Errors
    /// A map has not the spec's channels or the GPU's format; the GPU has no room or failed.
    pub fn forward_in_place(&self, maps: &mut [Map], relu: bool) -> Result<()> {
        for map in maps.iter() {
            map.check("group_norm", self.spec.channels, self.on.format())?;
        }
        maps.chunks(ITEMS).try_for_each(|maps| self.normalise(maps, relu))
    }

    fn normalise(&self, maps: &[Map], relu: bool) -> Result<()> {
        let (gpu, format, channels) = (self.on.gpu(), self.on.format(), self.spec.channels);
        let vectors = channels.div_ceil(format.lanes());
        let strips = |item: &Item| pixels_in(item).div_ceil(STRIP);
        let mut scratch = 0;
        let mut all = Vec::with_capacity(maps.len());
        for map in maps {
            let item = Item { scratch: int("group_norm", scratch)?, ..map.item_into(map) };
            scratch += strips(&item) * channels;
            all.push(item);
        }
        int("group_norm", scratch)?;
        let (by_strip, strip_blocks) =
            Items::new(all.iter().copied(), |item| (strips(item) * vectors).div_ceil(THREADS))?;
        let (by_vector, vector_blocks) =
            Items::new(all.iter().copied(), |item| (pixels_in(item) * vectors).div_ceil(THREADS))?;
        let spec = NormSpec {
            channels: int("group_norm", channels)?,
            groups: int("group_norm", self.spec.groups)?,
            vectors: int("group_norm", vectors)?,
            eps: self.spec.eps,
            relu: relu.into(),
        };
        let [means, squares] = [gpu.room::<f32>(scratch)?, gpu.room::<f32>(scratch)?];
        let affine = maps.len() * channels;
        let [scale, shift] = [gpu.room::<f32>(affine)?, gpu.room::<f32>(affine)?];
        let (by_strip, by_vector) = (Argument::of(&by_strip), Argument::of(&by_vector));
        let spec = Argument::of(&spec);
        let [means, squares, scale, shift, gamma, beta] =
            [&means, &squares, &scale, &shift, &self.gamma, &self.beta]
                .map(|buffer| Argument::of(buffer.pointer()));
        let strips = format.of(["norm_strips_f32", "norm_strips_f16", "norm_strips_bf16"]);
        let apply = format.of(["norm_apply_f32", "norm_apply_f16", "norm_apply_bf16"]);
        // SAFETY: the kernels' parameters in their order; scratch is made for these maps.
        unsafe {
            let blocks = [strip_blocks, 1, 1];
            gpu.launch(strips, blocks, THREADS, &[by_strip, spec, means, squares])?;
            let arguments = [by_strip, spec, means, squares, gamma, beta, scale, shift];
            let blocks = [maps.len(), self.spec.groups, 1];
            gpu.launch("norm_groups", blocks, THREADS, &arguments)?;
            let arguments = [by_vector, spec, scale, shift];
            gpu.launch(apply, [vector_blocks, 1, 1], THREADS, &arguments)
        }
    }
}
