//! The slow, obvious gradient of the weights that the kernels must equal bit for bit.

use super::direct::chunk_rows;
use super::winograd::TILES;
use crate::conv2d::spec::{Algorithm, Conv2dSpec};
use crate::conv2d::winograd::{gradient_2d, input_2d, weight_gradients_2d};
use crate::fma;
use crate::simd::Scalar;

/// An image in (c, y, x): the input, its height and width, and the gradient of the output.
pub type Image<'a> = (&'a [f32], [usize; 2], &'a [f32]);

/// [`super::weight_gradient`], one weight after the other.
///
/// # Panics
/// A length does not match `spec`.
pub fn weight_gradient(spec: &Conv2dSpec, images: &[Image<'_>]) -> Vec<f32> {
    let mut gradient = Vec::new();
    for co in 0..spec.out_channels {
        for ci in 0..spec.in_channels {
            match Algorithm::of(spec) {
                Algorithm::Winograd => gradient.extend(winograd(spec, images, co, ci)),
                Algorithm::Direct => {
                    for tap in 0..spec.kernel[0] * spec.kernel[1] {
                        gradient.push(direct(spec, images, co, ci, tap));
                    }
                }
            }
        }
    }
    gradient
}

/// The value at (y, x) of a plane, +0 outside.
fn at(plane: &[f32], [h, w]: [usize; 2], y: isize, x: isize) -> f32 {
    let inside = y >= 0 && x >= 0 && (y as usize) < h && (x as usize) < w;
    if inside { plane[y as usize * w + x as usize] } else { 0.0 }
}

/// Neighbours are added, a last one alone moves up, until one is left.
fn pairwise(sums: Vec<f32>) -> f32 {
    match sums[..] {
        [] => 0.0,
        [one] => one,
        _ => pairwise(
            sums.chunks(2).map(|p| if p.len() == 2 { p[0] + p[1] } else { p[0] }).collect(),
        ),
    }
}

fn planes<'a>(
    spec: &Conv2dSpec,
    &(input, size, gradient): &Image<'a>,
    co: usize,
    ci: usize,
) -> (&'a [f32], &'a [f32], [usize; 2]) {
    let out = spec.output_size(size).expect("a valid spec");
    let (pixels, out_pixels) = (size[0] * size[1], out[0] * out[1]);
    (&input[ci * pixels..][..pixels], &gradient[co * out_pixels..][..out_pixels], out)
}

fn direct(spec: &Conv2dSpec, images: &[Image<'_>], co: usize, ci: usize, tap: usize) -> f32 {
    let (ky, kx) = (tap / spec.kernel[1], tap % spec.kernel[1]);
    let mut chunks = Vec::new();
    for image in images {
        let (input, gradient, [height, width]) = planes(spec, image, co, ci);
        for first in (0..height).step_by(chunk_rows(width)) {
            let mut acc = 0.0;
            for oy in first..height.min(first + chunk_rows(width)) {
                for ox in 0..width {
                    let y = (oy * spec.stride[0] + ky) as isize - spec.padding[0] as isize;
                    let x = (ox * spec.stride[1] + kx) as isize - spec.padding[1] as isize;
                    acc = fma(at(input, image.1, y, x), gradient[oy * width + ox], acc);
                }
            }
            chunks.push(acc);
        }
    }
    pairwise(chunks)
}

fn winograd(spec: &Conv2dSpec, images: &[Image<'_>], co: usize, ci: usize) -> [f32; 9] {
    let mut chunks = vec![Vec::new(); 36];
    for image in images {
        let (input, gradient, [height, width]) = planes(spec, image, co, ci);
        let across = width.div_ceil(4);
        let tiles = height.div_ceil(4) * across;
        for first in (0..tiles).step_by(TILES) {
            let mut acc = [0.0; 36];
            for tile in first..tiles.min(first + TILES) {
                let (oy, ox) = ((4 * (tile / across)) as isize, (4 * (tile % across)) as isize);
                let pad = spec.padding.map(|p| p as isize);
                let row = |i| {
                    let y = oy + i as isize - pad[0];
                    std::array::from_fn(|j| at(input, image.1, y, ox + j as isize - pad[1]))
                };
                let v = input_2d(Scalar, std::array::from_fn(row));
                let size = [height, width];
                let row = |i| {
                    std::array::from_fn(|j| at(gradient, size, oy + i as isize, ox + j as isize))
                };
                let m = gradient_2d(Scalar, std::array::from_fn(row));
                for (point, acc) in acc.iter_mut().enumerate() {
                    let (y, x) = (point / 6, point % 6);
                    *acc = fma(v[y][x], m[y][x], *acc);
                }
            }
            for (chunks, acc) in chunks.iter_mut().zip(acc) {
                chunks.push(acc);
            }
        }
    }
    let sums: [[f32; 1]; 36] = std::array::from_fn(|point| [pairwise(chunks[point].clone())]);
    weight_gradients_2d(&sums).map(|[value]| value)
}
