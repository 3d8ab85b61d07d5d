//! Convolution on a GPU.

use super::spec::{Algorithm, Conv2dSpec};
use super::winograd;
use crate::buffer::Shared;
use crate::cuda::{Argument, Buffer, Gpu, ITEMS, Item, Items, Map, Parameter, int};
use crate::{Error, Result, parallel};

/// A convolution with its weights on a GPU: bit for bit the results of [`Conv2d`](super::Conv2d).
#[derive(Debug)]
pub struct CudaConv2d {
    gpu: Gpu,
    spec: Conv2dSpec,
    form: Form,
    bias: Option<Buffer>,
}

#[derive(Debug)]
enum Form {
    /// Weights (k, columns), and for each k its input channel and window offset.
    Direct { weights: Buffer, taps: Buffer },
    /// Weights (point, input channel, columns).
    Winograd { weights: Buffer },
}

/// Mirrors `DirectSpec` in direct.cu.
#[repr(C)]
#[derive(Clone, Copy)]
struct DirectSpec {
    depth: i32,
    out_channels: i32,
    columns: i32,
    stride: [i32; 2],
    padding: [i32; 2],
    relu: i32,
    pointwise: i32,
}

// SAFETY: repr(C), with the fields of its mirror.
unsafe impl Parameter for DirectSpec {}

/// Mirrors `WinogradSpec` in winograd.cu.
#[repr(C)]
#[derive(Clone, Copy)]
struct WinogradSpec {
    in_channels: i32,
    out_channels: i32,
    columns: i32,
    padding: [i32; 2],
    relu: i32,
    first_tile: i32,
    tiles: i32,
    padded: i32,
}

// SAFETY: repr(C), with the fields of its mirror.
unsafe impl Parameter for WinogradSpec {}

/// One image of a call.
#[derive(Debug, Clone, Copy)]
pub struct CudaItem<'a> {
    /// What is convolved.
    pub input: &'a Map,
    /// Added after the bias; has the output's shape.
    pub residual: Option<&'a Map>,
}

/// A tile of a matrix product: outputs of a block along rows and columns, and its threads.
struct Tile {
    kernels: [&'static str; 2],
    rows: usize,
    columns: usize,
    threads: usize,
    /// Time of one block on a multiprocessor of its own, in arbitrary units: large tiles use what they
    /// fetch more often.
    cost: usize,
}

const TILES: [Tile; 3] = [
    Tile {
        kernels: ["direct_large", "winograd_multiply_large"],
        rows: 128,
        columns: 128,
        threads: 256,
        cost: 16,
    },
    Tile {
        kernels: ["direct_medium", "winograd_multiply_medium"],
        rows: 64,
        columns: 64,
        threads: 256,
        cost: 6,
    },
    Tile {
        kernels: ["direct_small", "winograd_multiply_small"],
        rows: 32,
        columns: 32,
        threads: 64,
        cost: 3,
    },
];

impl Tile {
    /// The one that is done first, when blocks are dealt out over the multiprocessors. It decides no bit.
    fn of(rows: usize, columns: usize, products: usize, multiprocessors: usize) -> &'static Self {
        let blocks =
            |tile: &Self| rows.div_ceil(tile.rows) * columns.div_ceil(tile.columns) * products;
        let time = |tile: &&Self| blocks(tile).div_ceil(multiprocessors) * tile.cost;
        TILES.iter().min_by_key(time).unwrap_or(&TILES[0])
    }
}

/// Values of transformed tiles, and of their sums, at a time: 128 MiB each.
const TRANSFORMED: usize = 32 << 20;
/// Tiles that are transformed together at least.
const FEWEST_TILES: usize = 256;
/// Threads of a transform.
const TRANSFORM_THREADS: usize = 128;

impl CudaConv2d {
    /// Lays out and copies weights of shape out x in x kh x kw and a bias of `out` values; Winograd's
    /// transform of them is the CPU's.
    ///
    /// # Errors
    /// The lengths do not match `spec`, a size in it is zero or too large, or the GPU has no room.
    pub fn new(gpu: &Gpu, spec: Conv2dSpec, weight: &[f32], bias: Option<&[f32]>) -> Result<Self> {
        Error::check_length("conv2d weight", spec.weights()?, weight.len())?;
        if let Some(bias) = bias {
            Error::check_length("conv2d bias", spec.out_channels, bias.len())?;
        }
        let bias = bias.map(|bias| gpu.copy_of(bias)).transpose()?;
        let inputs = spec.in_channels;
        let columns = columns(&spec);
        let form = match Algorithm::of(&spec) {
            Algorithm::Winograd => {
                let weights = winograd_weights(&spec, weight, columns);
                Form::Winograd { weights: gpu.copy_of(&weights)? }
            }
            Algorithm::Direct => {
                let depth = inputs * spec.kernel[0] * spec.kernel[1];
                let mut weights = vec![0.0; depth * columns];
                for (n, row) in weight.chunks_exact(depth).enumerate() {
                    for (k, value) in row.iter().enumerate() {
                        weights[k * columns + n] = *value;
                    }
                }
                Form::Direct { weights: gpu.copy_of(&weights)?, taps: gpu.copy_of(&taps(&spec)?)? }
            }
        };
        Ok(Self { gpu: gpu.clone(), spec, form, bias })
    }

    /// The shape.
    pub fn spec(&self) -> &Conv2dSpec {
        &self.spec
    }

    /// Convolves each item's input, adds bias and residual, and applies ReLU where asked.
    ///
    /// # Errors
    /// A shape does not match, or the GPU has no room or failed.
    pub fn forward(&self, items: &[CudaItem<'_>], relu: bool) -> Result<Vec<Map>> {
        let mut outputs = Vec::with_capacity(items.len());
        for item in items {
            let size = self.spec.output_size(item.input.size())?;
            let bad = |reason: String| Error::Shape { what: "conv2d item", reason };
            if item.input.channels() != self.spec.in_channels {
                return Err(bad(format!(
                    "{} channels into {:?}",
                    item.input.channels(),
                    self.spec
                )));
            }
            let wanted = (self.spec.out_channels, size);
            let residual = item.residual.map(|map| (map.channels(), map.size()));
            if residual.is_some_and(|residual| residual != wanted) {
                return Err(bad(format!("residual {residual:?}, wanted {wanted:?}")));
            }
            outputs.push(Map::room(&self.gpu, wanted.0, wanted.1)?);
        }
        for (items, outputs) in items.chunks(ITEMS).zip(outputs.chunks(ITEMS)) {
            let items: Vec<Item> = items
                .iter()
                .zip(outputs)
                .map(|(item, output)| {
                    let residual = item.residual.map_or(0, |map| *map.pointer());
                    Item { residual, ..item.input.item_into(output) }
                })
                .collect();
            match &self.form {
                Form::Direct { weights, taps } => {
                    self.direct(&items, outputs, weights, taps, relu)?
                }
                Form::Winograd { weights } => self.winograd(&items, weights, relu)?,
            }
        }
        Ok(outputs)
    }

    fn direct(
        &self,
        items: &[Item],
        outputs: &[Map],
        weights: &Buffer,
        taps: &Buffer,
        relu: bool,
    ) -> Result<()> {
        let spec = &self.spec;
        let pixels: usize = outputs.iter().map(Map::plane).sum();
        let tile = Tile::of(pixels, spec.out_channels, 1, self.gpu.multiprocessors());
        let plane =
            |item: &Item| (item.out_height as usize * item.out_width as usize).next_multiple_of(4);
        let (items, blocks) =
            Items::new(items.iter().copied(), |item| plane(item).div_ceil(tile.rows))?;
        let pointwise = spec.kernel == [1, 1] && spec.stride == [1, 1] && spec.padding == [0, 0];
        let direct = DirectSpec {
            depth: int("conv2d depth", spec.in_channels * spec.kernel[0] * spec.kernel[1])?,
            out_channels: int("conv2d channels", spec.out_channels)?,
            columns: int("conv2d channels", columns(spec))?,
            stride: pair(spec.stride)?,
            padding: pair(spec.padding)?,
            relu: relu.into(),
            pointwise: pointwise.into(),
        };
        let blocks = [blocks, spec.out_channels.div_ceil(tile.columns), 1];
        // SAFETY: the kernel's parameters in its order; maps and weights were made for these shapes, and
        // were checked against each other.
        unsafe {
            self.gpu.launch(
                tile.kernels[0],
                blocks,
                tile.threads,
                &[
                    Argument::of(&items),
                    Argument::of(&direct),
                    Argument::of(taps.pointer()),
                    Argument::of(weights.pointer()),
                    Argument::of(self.bias_pointer()),
                ],
            )
        }
    }

    fn winograd(&self, items: &[Item], weights: &Buffer, relu: bool) -> Result<()> {
        let spec = &self.spec;
        let (inputs, outputs) = (spec.in_channels, spec.out_channels);
        let tiles_of = |item: &Item| {
            (item.out_height as usize).div_ceil(4) * (item.out_width as usize).div_ceil(4)
        };
        let (items, tiles) = Items::new(items.iter().copied(), tiles_of)?;
        let per_tile = winograd::POINTS * inputs.max(outputs);
        let together =
            (TRANSFORMED / per_tile / 4 * 4).max(FEWEST_TILES).min(tiles.next_multiple_of(4));
        let transformed = self.gpu.room::<f32>(winograd::POINTS * inputs * together)?;
        let sums = self.gpu.room::<f32>(winograd::POINTS * outputs * together)?;
        for first in (0..tiles).step_by(together) {
            let count = together.min(tiles - first);
            let winograd = WinogradSpec {
                in_channels: int("conv2d channels", inputs)?,
                out_channels: int("conv2d channels", outputs)?,
                columns: int("conv2d channels", columns(spec))?,
                padding: pair(spec.padding)?,
                relu: relu.into(),
                first_tile: int("tiles", first)?,
                tiles: int("tiles", count)?,
                padded: int("tiles", count.next_multiple_of(4))?,
            };
            let (items, winograd) = (Argument::of(&items), Argument::of(&winograd));
            let (transformed, sums) =
                (Argument::of(transformed.pointer()), Argument::of(sums.pointer()));
            let weights = Argument::of(weights.pointer());
            let bias = Argument::of(self.bias_pointer());
            let columns = count.div_ceil(TRANSFORM_THREADS);
            let tile = Tile::of(count, outputs, winograd::POINTS, self.gpu.multiprocessors());
            let product =
                [count.div_ceil(tile.rows), outputs.div_ceil(tile.columns), winograd::POINTS];
            // SAFETY: the kernels' parameters in their order; scratch is made for `together` tiles, maps
            // and weights for these shapes, and they were checked against each other.
            unsafe {
                let threads = TRANSFORM_THREADS;
                let arguments = [items, winograd, transformed];
                self.gpu.launch("winograd_input", [columns, inputs, 1], threads, &arguments)?;
                let arguments = [winograd, transformed, weights, sums];
                self.gpu.launch(tile.kernels[1], product, tile.threads, &arguments)?;
                let arguments = [items, winograd, sums, bias];
                self.gpu.launch("winograd_output", [columns, outputs, 1], threads, &arguments)?;
            }
        }
        Ok(())
    }

    /// A null pointer where there is no bias.
    fn bias_pointer(&self) -> &u64 {
        self.bias.as_ref().map_or(&0, Buffer::pointer)
    }
}

/// (point, input channel, columns), by the transform of the CPU.
fn winograd_weights(spec: &Conv2dSpec, weight: &[f32], columns: usize) -> Vec<f32> {
    let inputs = spec.in_channels;
    let mut weights = vec![0.0; winograd::POINTS * inputs * columns];
    let shared = Shared::new(&mut weights);
    parallel::for_each(inputs, |ci| {
        // SAFETY: each task has its own input channel's row of every point.
        let mut rows: [&mut [f32]; winograd::POINTS] = std::array::from_fn(|point| unsafe {
            shared.part((point * inputs + ci) * columns, columns)
        });
        for (n, kernels) in weight.chunks_exact(inputs * 9).enumerate() {
            let points = winograd::weight_2d(&winograd::CANONICAL, &kernels[ci * 9..][..9]);
            for (row, value) in rows.iter_mut().zip(points) {
                row[n] = value;
            }
        }
    });
    weights
}

/// Columns of the weights: output channels, padded so that rows stay aligned.
fn columns(spec: &Conv2dSpec) -> usize {
    spec.out_channels.next_multiple_of(4)
}

/// For each k: the input channel, and ky and kx in one number.
fn taps(spec: &Conv2dSpec) -> Result<Vec<i32>> {
    let mut taps = Vec::new();
    for channel in 0..spec.in_channels {
        for ky in 0..spec.kernel[0] {
            for kx in 0..spec.kernel[1] {
                let offset = (ky < 1 << 15 && kx < 1 << 16).then_some(ky << 16 | kx);
                let offset = offset.ok_or_else(|| Error::Shape {
                    what: "conv2d",
                    reason: format!("a kernel this large does not fit the GPU: {spec:?}"),
                })?;
                taps.extend([int("conv2d channels", channel)?, int("conv2d kernel", offset)?]);
            }
        }
    }
    Ok(taps)
}

fn pair([y, x]: [usize; 2]) -> Result<[i32; 2]> {
    Ok([int("conv2d stride or padding", y)?, int("conv2d stride or padding", x)?])
}
