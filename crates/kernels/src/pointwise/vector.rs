//! The pointwise operations on sixteen values at a time.

use super::logarithm::{ATANH, LN_2_HIGH, LN_2_LOW};
use super::scalar::{EXPONENT_ROUNDER, LARGEST, LN_2, LN_2_LOST, LOG2_E, ROUNDER, SMALLEST, TAIL};
use crate::simd::{Kernel, LANES, Simd};

/// A function of one value.
pub(super) trait Unary: Copy + Sync {
    /// The function, on sixteen values.
    fn apply<S: Simd>(self, s: S, x: S::V) -> S::V;
}

#[derive(Clone, Copy)]
pub(super) struct Relu;
#[derive(Clone, Copy)]
pub(super) struct Exp;
#[derive(Clone, Copy)]
pub(super) struct Sigmoid;

impl Unary for Relu {
    #[inline(always)]
    fn apply<S: Simd>(self, s: S, x: S::V) -> S::V {
        s.relu(x)
    }
}

impl Unary for Exp {
    #[inline(always)]
    fn apply<S: Simd>(self, s: S, x: S::V) -> S::V {
        exp(s, x)
    }
}

impl Unary for Sigmoid {
    #[inline(always)]
    fn apply<S: Simd>(self, s: S, x: S::V) -> S::V {
        let one = s.splat(1.0);
        let e = exp(s, s.sub(s.splat(0.0), x));
        s.div(one, s.add(one, e))
    }
}

/// The steps of [`super::exp`].
#[inline(always)]
pub(crate) fn exp<S: Simd>(s: S, x: S::V) -> S::V {
    let (largest, smallest) = (s.splat(LARGEST), s.splat(SMALLEST));
    let (one, rounder) = (s.splat(1.0), s.splat(ROUNDER));
    let x = s.select_lt(largest, x, largest, x);
    let x = s.select_lt(x, smallest, smallest, x);

    let n = s.sub(s.add(s.mul(x, s.splat(LOG2_E)), rounder), rounder);
    let near = s.fma(n, s.splat(-LN_2), x);
    let r = s.fma(n, s.splat(-LN_2_LOST), near);
    let lost = s.fma(n, s.splat(-LN_2_LOST), s.sub(near, r));

    let mut p = s.splat(TAIL[4]);
    p = s.fma(p, r, s.splat(TAIL[3]));
    p = s.fma(p, r, s.splat(TAIL[2]));
    p = s.fma(p, r, s.splat(TAIL[1]));
    p = s.fma(p, r, s.splat(TAIL[0]));
    p = s.fma(p, r, s.splat(0.5));
    let small = s.fma(s.mul(r, r), p, lost);
    let sum = s.add(r, small);
    let sum_lost = s.sub(small, s.sub(sum, r));
    let y = s.add(one, sum);
    let y_lost = s.sub(sum, s.sub(y, one));
    let y = s.add(y, s.add(y_lost, sum_lost));

    let half = s.sub(s.add(s.mul(n, s.splat(0.5)), rounder), rounder);
    let y = s.mul(y, power_of_two(s, half));
    s.mul(y, power_of_two(s, s.sub(n, half)))
}

#[inline(always)]
fn power_of_two<S: Simd>(s: S, n: S::V) -> S::V {
    s.shift_to_exponent(s.add(n, s.splat(EXPONENT_ROUNDER)))
}

/// The steps of [`super::log1p`] for `0 <= x <= 1` and NaN.
#[inline(always)]
pub(crate) fn log1p_to_one<S: Simd>(s: S, x: S::V) -> S::V {
    let (zero, one, half) = (s.splat(0.0), s.splat(1.0), s.splat(0.5));
    let f = s.select_lt(x, half, x, s.mul(s.sub(x, one), half));
    let high = s.select_lt(x, half, zero, s.splat(LN_2_HIGH));
    let low = s.select_lt(x, half, zero, s.splat(LN_2_LOW));

    let quotient = s.div(f, s.add(s.splat(2.0), f));
    let z = s.mul(quotient, quotient);
    let mut p = s.splat(ATANH[3]);
    p = s.fma(p, z, s.splat(ATANH[2]));
    p = s.fma(p, z, s.splat(ATANH[1]));
    p = s.fma(p, z, s.splat(ATANH[0]));
    let half_square = s.mul(s.mul(half, f), f);
    let tail = s.add(s.mul(quotient, s.fma(z, p, half_square)), low);
    s.add(high, s.sub(f, s.sub(half_square, tail)))
}

/// `gradient = output > 0 ? gradient : +0`
pub(super) struct ReluMask<'a> {
    pub(super) output: &'a [f32],
    pub(super) gradient: &'a mut [f32],
}

impl Kernel for ReluMask<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let Self { output, gradient } = self;
        let zero = s.splat(0.0);
        // Below the least positive number is what is not above 0; of a NaN it is not true.
        let least = s.splat(f32::from_bits(1));
        let whole = gradient.len() / LANES * LANES;
        for at in (0..whole).step_by(LANES) {
            let kept = s.select_lt(s.read(output, at), least, zero, s.read(gradient, at));
            s.write(gradient, at, kept);
        }
        for (gradient, output) in gradient[whole..].iter_mut().zip(&output[whole..]) {
            *gradient = if *output <= 0.0 { 0.0 } else { *gradient };
        }
    }
}

/// `output = op(input)`, or `op(output)` where there is no input.
pub(super) struct Map<'a, U> {
    pub(super) op: U,
    pub(super) input: Option<&'a [f32]>,
    pub(super) output: &'a mut [f32],
}

impl<U: Unary> Kernel for Map<'_, U> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let Self { op, input, output } = self;
        let whole = output.len() / LANES * LANES;
        for at in (0..whole).step_by(LANES) {
            let x = match input {
                Some(input) => s.read(input, at),
                None => s.read(output, at),
            };
            s.write(output, at, op.apply(s, x));
        }
        let rest = output.len() - whole;
        if rest > 0 {
            let mut lanes = [0.0; LANES];
            lanes[..rest].copy_from_slice(match input {
                Some(input) => &input[whole..],
                None => &output[whole..],
            });
            let y = op.apply(s, s.read(&lanes, 0));
            s.write(&mut lanes, 0, y);
            output[whole..].copy_from_slice(&lanes[..rest]);
        }
    }
}

/// `output = a + b`, or `output + b` where there is no `a`.
pub(super) struct Add<'a> {
    pub(super) a: Option<&'a [f32]>,
    pub(super) b: &'a [f32],
    pub(super) output: &'a mut [f32],
}

impl Kernel for Add<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let Self { a, b, output } = self;
        let whole = output.len() / LANES * LANES;
        for at in (0..whole).step_by(LANES) {
            let x = match a {
                Some(a) => s.read(a, at),
                None => s.read(output, at),
            };
            s.write(output, at, s.add(x, s.read(b, at)));
        }
        for at in whole..output.len() {
            output[at] = a.map_or(output[at], |a| a[at]) + b[at];
        }
    }
}
