//! Convolution in pairs of bfloat16, for the fast mode: inputs and weights are rounded to 8 bits of
//! mantissa, sums stay in f32. Not canonical: the CPU fixes the order within a pair.
//!
//! The strips are those of the direct form, narrowed as they are copied.

use super::item::{Input, Item};
use super::spec::Conv2dSpec;
use super::strip::{Image, Strip, for_each_rows};
use crate::buffer::with_scratch;
use crate::gemm::pairs::{PAIRS, add_products, to_bf16};
use crate::gemm::{CHUNK, Finish, STREAM, Target, finish, prefetch_residual, tile_width, zeros};
use crate::simd::{Bf16, LANES, PairKernel, Pairs, Simd};

/// Weights packed as [output chunk][input block, ky, kx, pair of channels][32] pairs.
#[derive(Clone, Debug)]
pub(super) struct PairWeights {
    pub(super) bf16: Bf16,
    rows: usize,
    pairs: Vec<u32>,
}

impl PairWeights {
    /// Rounds and packs weights of shape out x in x kh x kw.
    pub(super) fn new(bf16: Bf16, spec: &Conv2dSpec, weight: &[f32]) -> Self {
        let taps = spec.kernel[0] * spec.kernel[1];
        let rows = spec.in_channels.div_ceil(LANES) * taps * PAIRS;
        let chunks = spec.out_channels.div_ceil(CHUNK);
        let mut pairs = vec![0; chunks * rows * CHUNK];
        for (chunk, packed) in pairs.chunks_exact_mut(rows * CHUNK).enumerate() {
            for (row, outputs) in packed.chunks_exact_mut(CHUNK).enumerate() {
                let (block_tap, pair) = (row / PAIRS, row % PAIRS);
                let (block, tap) = (block_tap / taps, block_tap % taps);
                let value = |co: usize, ci: usize| {
                    let inside = co < spec.out_channels && ci < spec.in_channels;
                    if inside {
                        to_bf16(weight[(co * spec.in_channels + ci) * taps + tap])
                    } else {
                        0
                    }
                };
                for (column, out) in outputs.iter_mut().enumerate() {
                    let (co, ci) = (chunk * CHUNK + column, block * LANES + 2 * pair);
                    *out = u32::from(value(co, ci)) | u32::from(value(co, ci + 1)) << 16;
                }
            }
        }
        Self { bf16, rows, pairs }
    }
}

pub(super) fn forward(
    spec: &Conv2dSpec,
    weights: &PairWeights,
    bias: Option<&[f32]>,
    relu: bool,
    items: &mut [Item<'_>],
) {
    let chunks = spec.out_channels.div_ceil(CHUNK);
    let offsets = |strip: &Strip| offsets(spec, strip);
    for_each_rows(spec, chunks, items, offsets, |image, [first_row, rows], chunks| {
        with_scratch(image.strip.len() / 2, |strip| {
            let stream = image.out_shape.len() >= STREAM;
            let finish = Finish { bias, relu, stream };
            weights.bf16.run(Rows { image, spec, weights, strip, first_row, rows, chunks, finish });
        });
    });
}

/// Where row (input block, ky, kx, pair) of the strip's first pixel lies, in pairs.
fn offsets(spec: &Conv2dSpec, strip: &Strip) -> Vec<u32> {
    let mut offsets = Vec::new();
    for block in 0..spec.in_channels.div_ceil(LANES) {
        for ky in 0..spec.kernel[0] {
            for kx in 0..spec.kernel[1] {
                let pixel = (block * strip.rows + ky) * strip.columns + kx;
                offsets.extend((0..PAIRS).map(|pair| (pixel * PAIRS + pair) as u32));
            }
        }
    }
    offsets
}

/// Some output rows with some chunks of output channels.
struct Rows<'a> {
    image: &'a Image<'a>,
    spec: &'a Conv2dSpec,
    weights: &'a PairWeights,
    /// Memory for the narrowed strip: two bfloat16 to a value.
    strip: &'a mut [f32],
    first_row: usize,
    rows: usize,
    chunks: std::ops::Range<usize>,
    finish: Finish<'a>,
}

impl PairKernel for Rows<'_> {
    #[inline(always)]
    fn run(mut self, pairs: Pairs) {
        self.narrow(pairs);
        let mut next = NextLines::new(&self);
        for chunk in self.chunks.clone() {
            let blocks = self.image.out_shape.blocks() - 2 * chunk;
            match (tile_width(12, self.image.out_shape.width), blocks) {
                (9, 2..) => self.chunk::<9, 2>(pairs, chunk, &mut next),
                (_, 2..) => self.chunk::<12, 2>(pairs, chunk, &mut next),
                _ => self.chunk::<12, 1>(pairs, chunk, &mut next),
            }
        }
        if self.finish.stream {
            pairs.f32().fence();
        }
    }
}

impl Rows<'_> {
    /// Copies the input under the rows, rounded, with the zeros around it.
    #[inline(always)]
    fn narrow(&mut self, pairs: Pairs) {
        let (spec, layout) = (self.spec, self.image.strip);
        let Input::Blocked(input) = self.image.input else { return };
        let [height, width] = layout.size;
        let row_values = layout.columns * PAIRS;
        for i in 0..layout.planes * layout.rows {
            let (plane, y) = (i / layout.rows, i % layout.rows);
            let row = &mut self.strip[i * row_values..][..row_values];
            let y = self.first_row * spec.stride[0] + y;
            if y < spec.padding[0] || y - spec.padding[0] >= height {
                row.fill(0.0);
                continue;
            }
            let source =
                &input.plane(plane)[(y - spec.padding[0]) * width * LANES..][..width * LANES];
            let valid = spec.in_channels - plane * LANES;
            let (left, row) = row.split_at_mut(spec.padding[1] * PAIRS);
            left.fill(0.0);
            row[width * PAIRS..].fill(0.0);
            assert!(row.len() >= width * PAIRS);
            for x in 0..width {
                // SAFETY: pixel x < width is inside the source, and inside the row by the assertion.
                unsafe {
                    let out = row.as_mut_ptr().add(x * PAIRS).cast();
                    pairs.narrow(pairs.f32().load(source.as_ptr().add(x * LANES)), valid, out);
                }
            }
        }
    }

    #[inline(always)]
    fn chunk<const P: usize, const N: usize>(
        &self,
        pairs: Pairs,
        chunk: usize,
        next: &mut NextLines,
    ) {
        let Self { image, weights, .. } = *self;
        let (layout, width) = (image.strip, image.out_shape.width);
        let plane = image.out_shape.plane() * LANES;
        let step = self.spec.stride[1] * PAIRS;
        let packed = &weights.pairs[chunk * weights.rows * CHUNK..][..weights.rows * CHUNK];
        for row in 0..self.rows {
            let start = row * self.spec.stride[0] * layout.columns * PAIRS;
            for x in (0..width).step_by(P) {
                let at = 2 * chunk * plane + ((self.first_row + row) * width + x) * LANES;
                let target = Target {
                    out: image.output.at(at),
                    plane,
                    residual: image.residual.map(|r| r[at..].as_ptr()),
                    residual_plane: plane,
                    valid: P.min(width - x),
                    vectors: N,
                };
                prefetch_residual::<_, P, N>(pairs.f32(), &target);
                let mut acc = zeros::<_, P, N>(pairs.f32());
                // SAFETY: as in the direct form: a strip's columns leave room for a register tile
                // that starts inside the row, its rows hold every ky; the table was made for this
                // strip; the weights hold a row of 32 pairs per entry; `valid` pixels of N blocks lie
                // inside the output and are this task's alone.
                unsafe {
                    let input = self.strip[start + x * step..].as_ptr().cast::<u32>();
                    let mut w = packed.as_ptr();
                    for offset in &image.offsets {
                        next.prefetch_one(pairs);
                        let values = input.add(*offset as usize);
                        add_products(pairs, &mut acc, values, step, w);
                        w = w.add(CHUNK);
                    }
                    finish(pairs.f32(), &acc, &target, &self.finish, chunk * CHUNK);
                }
            }
        }
    }
}

/// The cache lines of the input under the rows after these, which the same thread mostly narrows
/// next: asked for one by one while it multiplies, they are there by then.
struct NextLines {
    line: *const f32,
    /// Lines of a plane, and those left of this plane.
    lines: usize,
    left: usize,
    /// Values from a plane's last line to the next plane's first.
    gap: usize,
    planes: usize,
}

impl NextLines {
    fn new(rows: &Rows<'_>) -> Self {
        let (spec, layout) = (rows.spec, rows.image.strip);
        let [height, width] = layout.size;
        let first = (rows.first_row + rows.rows) * spec.stride[0];
        let first = first.saturating_sub(spec.padding[0]).min(height);
        let lines = layout.rows.min(height - first) * width;
        let (line, plane) = match rows.image.input {
            Input::Blocked(b) => (b.data()[first * width * LANES..].as_ptr(), b.shape().plane()),
            Input::Planar { data, .. } => (data.as_ptr(), 0),
        };
        let planes = if lines > 0 { layout.planes } else { 0 };
        Self { line, lines, left: lines, gap: plane.saturating_sub(lines) * LANES, planes }
    }

    #[inline(always)]
    fn prefetch_one(&mut self, pairs: Pairs) {
        if self.planes == 0 {
            return;
        }
        pairs.f32().prefetch(self.line);
        self.line = self.line.wrapping_add(LANES);
        self.left -= 1;
        if self.left == 0 {
            self.left = self.lines;
            self.line = self.line.wrapping_add(self.gap);
            self.planes -= 1;
        }
    }
}
