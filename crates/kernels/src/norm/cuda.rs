//! Group normalisation on a GPU.

use super::spec::GroupNormSpec;
use crate::cuda::{Argument, Buffer, Gpu, ITEMS, Item, Items, Map, Parameter, int};
use crate::{Error, Result};

/// A group normalisation whose parameters are on a GPU: bit for bit
/// [`group_norm`](super::group_norm).
#[derive(Debug)]
pub struct CudaGroupNorm {
    spec: GroupNormSpec,
    gamma: Buffer,
    beta: Buffer,
}

/// Mirrors `NormSpec` in norm.cu.
#[repr(C)]
#[derive(Clone, Copy)]
struct NormSpec {
    channels: i32,
    groups: i32,
    eps: f32,
    relu: i32,
}

// SAFETY: repr(C), with the fields of its mirror.
unsafe impl Parameter for NormSpec {}

/// Threads of a block.
const THREADS: usize = 256;
/// Pixels of a run, as in kernel.rs.
const RUN: usize = super::kernel::RUN;
/// Runs of a block: four threads each.
const RUNS_PER_BLOCK: usize = THREADS / super::kernel::PARTIALS;

impl CudaGroupNorm {
    /// Copies one `gamma` and one `beta` per channel.
    ///
    /// # Errors
    /// The spec's groups or eps make no sense, a length is not its channels, or the GPU has no room.
    pub fn new(gpu: &Gpu, spec: GroupNormSpec, gamma: &[f32], beta: &[f32]) -> Result<Self> {
        spec.check(gamma, beta, spec.channels)?;
        Ok(Self { spec, gamma: gpu.copy_of(gamma)?, beta: gpu.copy_of(beta)? })
    }

    /// Normalises each map in place.
    ///
    /// # Errors
    /// A map has not the spec's channels; the GPU has no room or failed.
    pub fn forward_in_place(&self, maps: &mut [Map], relu: bool) -> Result<()> {
        for map in maps.iter() {
            Error::check_length("group_norm channels", self.spec.channels, map.channels())?;
        }
        maps.chunks(ITEMS).try_for_each(|maps| self.normalise(maps, relu))
    }

    fn normalise(&self, maps: &[Map], relu: bool) -> Result<()> {
        let gpu = self.gamma.gpu();
        let channels = self.spec.channels;
        let pixels = |item: &Item| item.in_height as usize * item.in_width as usize;
        let runs = |item: &Item| pixels(item).div_ceil(RUN) * channels;
        let mut scratch = 0;
        let mut all = Vec::with_capacity(maps.len());
        for map in maps {
            let item = Item { scratch: int("group_norm", scratch)?, ..map.item_into(map) };
            scratch += runs(&item);
            all.push(item);
        }
        let (by_run, run_blocks) =
            Items::new(all.iter().copied(), |item| runs(item).div_ceil(RUNS_PER_BLOCK))?;
        let (by_pixel, pixel_blocks) =
            Items::new(all.iter().copied(), |item| pixels(item).div_ceil(THREADS))?;
        let spec = NormSpec {
            channels: int("group_norm", channels)?,
            groups: int("group_norm", self.spec.groups)?,
            eps: self.spec.eps,
            relu: relu.into(),
        };
        let values = maps.len() * channels;
        let [sums, squares] = [gpu.room::<f32>(scratch)?, gpu.room::<f32>(scratch)?];
        let [mean, scale, shift] =
            [gpu.room::<f32>(values)?, gpu.room::<f32>(values)?, gpu.room::<f32>(values)?];
        let totals = gpu.room::<f32>(2 * values)?;
        let none = 0u64;
        let (spec, none) = (Argument::of(&spec), Argument::of(&none));
        let (by_run, by_pixel, count) =
            (Argument::of(&by_run), Argument::of(&by_pixel), by_run.count());
        let [sums, squares, mean, scale, shift, totals, gamma, beta] =
            [&sums, &squares, &mean, &scale, &shift, &totals, &self.gamma, &self.beta]
                .map(|buffer| Argument::of(buffer.pointer()));
        // SAFETY: the kernels' parameters in their order; scratch is made for these maps.
        unsafe {
            let blocks = [run_blocks, 1, 1];
            gpu.launch("norm_sums", blocks, THREADS, &[by_run, spec, none, sums, none])?;
            let arguments = [by_run, spec, sums, totals, mean];
            gpu.launch("norm_mean", [count, 1, 1], THREADS, &arguments)?;
            gpu.launch("norm_sums", blocks, THREADS, &[by_run, spec, mean, sums, squares])?;
            let arguments = [by_run, spec, sums, squares, gamma, beta, totals, scale, shift];
            gpu.launch("norm_affine", [count, 1, 1], THREADS, &arguments)?;
            let arguments = [by_pixel, spec, mean, scale, shift];
            gpu.launch("norm_apply", [pixel_blocks, channels, 1], THREADS, &arguments)
        }
    }
}
