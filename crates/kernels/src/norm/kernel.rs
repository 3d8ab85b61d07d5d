//! The three passes over one plane, sixteen channels at a time.

use crate::simd::{Kernel, LANES, Simd};

/// Pixels whose partial sums are kept apart.
pub(super) const PARTIALS: usize = 4;
/// Pixels of one run.
pub(super) const RUN: usize = 256;

/// The sum of each channel of a plane.
pub(super) struct Sum<'a>(pub(super) &'a [f32]);

impl Kernel for Sum<'_> {
    type Output = [f32; LANES];

    #[inline(always)]
    fn run<S: Simd>(self, s: S) -> [f32; LANES] {
        let mut total = s.splat(0.0);
        for run in self.0.chunks(RUN * LANES) {
            let mut partial = [s.splat(0.0); PARTIALS];
            let mut fours = run.chunks_exact(PARTIALS * LANES);
            for four in fours.by_ref() {
                for (j, partial) in partial.iter_mut().enumerate() {
                    *partial = s.add(*partial, s.read(four, j * LANES));
                }
            }
            let rest = fours.remainder();
            for (j, partial) in partial.iter_mut().enumerate().take(rest.len() / LANES) {
                *partial = s.add(*partial, s.read(rest, j * LANES));
            }
            total = s.add(total, tree(s, partial));
        }
        let mut out = [0.0; LANES];
        s.write(&mut out, 0, total);
        out
    }
}

/// The sums of `x - mean` and of its square for each channel of a plane.
pub(super) struct Centred<'a> {
    pub(super) plane: &'a [f32],
    pub(super) mean: &'a [f32],
}

impl Kernel for Centred<'_> {
    type Output = [[f32; LANES]; 2];

    #[inline(always)]
    fn run<S: Simd>(self, s: S) -> [[f32; LANES]; 2] {
        let mean = s.read(self.mean, 0);
        let mut totals = [s.splat(0.0); 2];
        for run in self.plane.chunks(RUN * LANES) {
            let mut sums = [s.splat(0.0); PARTIALS];
            let mut squares = [s.splat(0.0); PARTIALS];
            let mut fours = run.chunks_exact(PARTIALS * LANES);
            for four in fours.by_ref() {
                for j in 0..PARTIALS {
                    let d = s.sub(s.read(four, j * LANES), mean);
                    sums[j] = s.add(sums[j], d);
                    squares[j] = s.fma(d, d, squares[j]);
                }
            }
            let rest = fours.remainder();
            for j in 0..rest.len() / LANES {
                let d = s.sub(s.read(rest, j * LANES), mean);
                sums[j] = s.add(sums[j], d);
                squares[j] = s.fma(d, d, squares[j]);
            }
            totals[0] = s.add(totals[0], tree(s, sums));
            totals[1] = s.add(totals[1], tree(s, squares));
        }
        let mut out = [[0.0; LANES]; 2];
        for (out, total) in out.iter_mut().zip(totals) {
            s.write(out, 0, total);
        }
        out
    }
}

/// Step 3 of a sum.
#[inline(always)]
pub(super) fn tree<S: Simd>(s: S, [a, b, c, d]: [S::V; PARTIALS]) -> S::V {
    s.add(s.add(a, c), s.add(b, d))
}

/// `output = fma(x - mean, scale, shift)`, then ReLU where asked, of each channel of a plane; `x` is
/// the output itself where there is no input.
pub(super) struct Normalise<'a> {
    pub(super) input: Option<&'a [f32]>,
    pub(super) output: &'a mut [f32],
    pub(super) mean: &'a [f32],
    pub(super) scale: &'a [f32],
    pub(super) shift: &'a [f32],
    pub(super) relu: bool,
}

impl Kernel for Normalise<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let mean = s.read(self.mean, 0);
        let scale = s.read(self.scale, 0);
        let shift = s.read(self.shift, 0);
        for at in (0..self.output.len()).step_by(LANES) {
            let x = match self.input {
                Some(input) => s.read(input, at),
                None => s.read(self.output, at),
            };
            let y = s.fma(s.sub(x, mean), scale, shift);
            s.write(self.output, at, if self.relu { s.relu(y) } else { y });
        }
    }
}
