//! The three transforms, each a fixed sequence of operations. Along one axis it is written once for
//! vectors and for the scalar reference; along both, here for the reference, and beside the loads and
//! stores in the kernels.

// See gemm: no iterators or closures over vectors.
#![allow(clippy::needless_range_loop)]

use crate::simd::Arithmetic;

/// Points of a 6x6 tile.
pub(in super::super) const POINTS: usize = 36;

/// The transform of six input values along one axis.
#[inline(always)]
pub(super) fn input_1d<A: Arithmetic>(s: A, d: [A::V; 6]) -> [A::V; 6] {
    let t = s.sub(d[1], d[3]);
    let u = s.sub(d[4], d[2]);
    [
        s.fma(s.splat(1.5), t, s.fma_power(-2.0, d[2], s.add(d[0], d[4]))),
        s.fma_power(-0.5, d[3], s.fma(s.splat(-2.5), d[2], s.sub(d[4], d[1]))),
        s.fma(s.splat(-2.5), d[3], s.fma_power(0.5, d[2], s.add(d[4], d[1]))),
        s.fma_power(-0.5, t, u),
        s.fma_power(2.0, t, u),
        s.fma(s.splat(-1.5), u, s.fma_power(-2.0, d[3], s.add(d[1], d[5]))),
    ]
}

/// The transform of a 6x6 patch [y][x]: along y, then along x.
#[inline(always)]
pub(in super::super) fn input_2d<A: Arithmetic>(s: A, patch: [[A::V; 6]; 6]) -> [[A::V; 6]; 6] {
    let p = patch;
    let mut columns = [[s.splat(0.0); 6]; 6];
    for x in 0..6 {
        columns[x] = input_1d(s, [p[0][x], p[1][x], p[2][x], p[3][x], p[4][x], p[5][x]]);
    }
    let c = columns;
    let mut out = [[s.splat(0.0); 6]; 6];
    for y in 0..6 {
        out[y] = input_1d(s, [c[0][y], c[1][y], c[2][y], c[3][y], c[4][y], c[5][y]]);
    }
    out
}

/// The transform of six sums to four outputs along one axis.
#[inline(always)]
pub(super) fn output_1d<A: Arithmetic>(s: A, m: [A::V; 6]) -> [A::V; 4] {
    let sum = s.add(m[1], m[2]);
    let difference = s.sub(m[1], m[2]);
    [
        s.add(s.add(s.add(m[0], sum), m[3]), m[4]),
        s.fma_power(-0.5, m[4], s.fma_power(2.0, m[3], difference)),
        s.fma_power(0.25, m[4], s.fma_power(4.0, m[3], sum)),
        s.add(s.fma_power(-0.125, m[4], s.fma_power(8.0, m[3], difference)), m[5]),
    ]
}

/// The transform of 6x6 sums [y][x] to 4x4 outputs: along y, then along x.
#[inline(always)]
pub(in super::super) fn output_2d<A: Arithmetic>(s: A, sums: [[A::V; 6]; 6]) -> [[A::V; 4]; 4] {
    let m = sums;
    let mut columns = [[s.splat(0.0); 4]; 6];
    for x in 0..6 {
        columns[x] = output_1d(s, [m[0][x], m[1][x], m[2][x], m[3][x], m[4][x], m[5][x]]);
    }
    let c = columns;
    let mut out = [[s.splat(0.0); 4]; 4];
    for y in 0..4 {
        out[y] = output_1d(s, [c[0][y], c[1][y], c[2][y], c[3][y], c[4][y], c[5][y]]);
    }
    out
}

/// The transpose of [`output_1d`]: four outputs' gradients to those of six sums.
#[inline(always)]
pub(in super::super) fn gradient_1d<A: Arithmetic>(s: A, g: [A::V; 4]) -> [A::V; 6] {
    let even = s.add(g[0], g[2]);
    let odd = s.add(g[1], g[3]);
    let two = s.fma_power(4.0, g[2], s.fma_power(2.0, g[1], g[0]));
    let half = s.fma_power(0.25, g[2], s.fma_power(-0.5, g[1], g[0]));
    [
        g[0],
        s.add(even, odd),
        s.sub(even, odd),
        s.fma_power(8.0, g[3], two),
        s.fma_power(-0.125, g[3], half),
        g[3],
    ]
}

/// The transform of 4x4 outputs' gradients [y][x] to those of 6x6 sums: along y, then along x.
#[inline(always)]
pub(in super::super) fn gradient_2d<A: Arithmetic>(s: A, tile: [[A::V; 4]; 4]) -> [[A::V; 6]; 6] {
    let t = tile;
    let mut columns = [[s.splat(0.0); 6]; 4];
    for x in 0..4 {
        columns[x] = gradient_1d(s, [t[0][x], t[1][x], t[2][x], t[3][x]]);
    }
    let c = columns;
    let mut out = [[s.splat(0.0); 6]; 6];
    for y in 0..6 {
        out[y] = gradient_1d(s, [c[0][y], c[1][y], c[2][y], c[3][y]]);
    }
    out
}

/// The transpose of the weights' transform, of `N` side by side: sums at the 36 points, [point][N], to the gradients
/// of nine weights, [ky * 3 + kx][N]; in f64, rounded once.
#[inline(always)]
pub(in super::super) fn weight_gradients_2d<const N: usize>(
    sums: &[[f32; N]; POINTS],
) -> [[f32; N]; 9] {
    let mut columns = [[[0.0f64; N]; 6]; 3];
    for x in 0..6 {
        for n in 0..N {
            let u = |y: usize| f64::from(sums[6 * y + x][n]);
            let taps = taps_1d([u(0), u(1), u(2), u(3), u(4), u(5)]);
            for ky in 0..3 {
                columns[ky][x][n] = taps[ky];
            }
        }
    }
    let mut out = [[0.0f32; N]; 9];
    for ky in 0..3 {
        let c = &columns[ky];
        for n in 0..N {
            let taps = taps_1d([c[0][n], c[1][n], c[2][n], c[3][n], c[4][n], c[5][n]]);
            for kx in 0..3 {
                out[3 * ky + kx][n] = taps[kx] as f32;
            }
        }
    }
    out
}

/// The transpose of [`CANONICAL`] along one axis, without the points that a tap takes no part in.
#[inline(always)]
fn taps_1d(u: [f64; 6]) -> [f64; 3] {
    let g = &CANONICAL;
    [
        (((u[0] + g[1][0] * u[1]) + g[2][0] * u[2]) + g[3][0] * u[3]) + g[4][0] * u[4],
        ((g[1][1] * u[1] + g[2][1] * u[2]) + g[3][1] * u[3]) + g[4][1] * u[4],
        (((g[1][2] * u[1] + g[2][2] * u[2]) + g[3][2] * u[3]) + g[4][2] * u[4]) + u[5],
    ]
}

/// The transform of one 3x3 kernel; `g` is the transform along one axis.
pub(in super::super) fn weight_2d(g: &[[f64; 3]; 6], kernel: &[f32]) -> [f32; POINTS] {
    let taps: [[f64; 1]; 9] = std::array::from_fn(|tap| [f64::from(kernel[tap])]);
    weights_2d(g, &taps).map(|[value]| value)
}

/// The transform of three taps along one axis.
pub(in super::super) const CANONICAL: [[f64; 3]; 6] = [
    [1.0, 0.0, 0.0],
    [-1.0 / 3.0, -1.0 / 3.0, -1.0 / 3.0],
    [1.0 / 3.0, -1.0 / 3.0, 1.0 / 3.0],
    [1.0 / 15.0, 2.0 / 15.0, 4.0 / 15.0],
    [-16.0 / 15.0, 8.0 / 15.0, -4.0 / 15.0],
    [0.0, 0.0, 1.0],
];

/// The transform of `N` 3x3 kernels side by side, [ky * 3 + kx][N], to [point][N]: in f64, rounded
/// once. `g` is the transform along one axis.
#[inline(always)]
pub(super) fn weights_2d<const N: usize>(
    g: &[[f64; 3]; 6],
    kernels: &[[f64; N]; 9],
) -> [[f32; N]; POINTS] {
    let k = kernels;
    let mut columns = [[[0.0; N]; 3]; 6];
    for i in 0..6 {
        for x in 0..3 {
            for n in 0..N {
                columns[i][x][n] = dot(g[i], k[x][n], k[3 + x][n], k[6 + x][n]);
            }
        }
    }
    let mut out = [[0.0; N]; POINTS];
    for i in 0..6 {
        let [left, middle, right] = &columns[i];
        for j in 0..6 {
            for n in 0..N {
                out[6 * i + j][n] = dot(g[j], left[n], middle[n], right[n]) as f32;
            }
        }
    }
    out
}

#[inline(always)]
fn dot(g: [f64; 3], a: f64, b: f64, c: f64) -> f64 {
    (g[0] * a + g[1] * b) + g[2] * c
}
