//! [`ln`] and [`log1p`], one value at a time: the definition that every level equals.

use crate::fma;

/// ln 2 cut to 16 bits, so that a small whole multiple of it is exact ...
pub(super) const LN_2_HIGH: f32 = f32::from_bits(0x3f31_7180);
/// ... and the rest, rounded to f32.
pub(super) const LN_2_LOW: f32 = f32::from_bits(0x3717_f7d1);
/// `(2 atanh(s) - 2 s) / s^3` as a polynomial in `s^2`, lowest power first, for `-1/7 <= s <= 1/5`: ln(1 + f) is
/// off by less than 2^-30 of itself.
pub(super) const ATANH: [f32; 4] = [
    f32::from_bits(0x3f2a_aaab),
    f32::from_bits(0x3ecc_cd36),
    f32::from_bits(0x3e92_162d),
    f32::from_bits(0x3e73_36b7),
];
/// 2^25, which makes a normal number of every subnormal one.
const LIFT: f32 = 33_554_432.0;

/// The natural logarithm: within 0.95 units in the last place of the exact value.
///
/// Minus infinity for either zero, NaN below and for NaN. It is made of `+`, `-`, `*`, `/`,
/// [`fma`](crate::fma) and bit operations, in this order on every device: `x = 2^k (1 + f)` exactly, with
/// `-1/4 <= f < 1/2`; then `s = f / (2 + f)`, and `ln(1 + f) = f - (f^2/2 - s (f^2/2 + s^2 p(s^2)))`, where
/// `p` is one chain of fused steps and k ln 2 is added in two parts.
///
/// It computes in the caller's floating-point environment; see [`with_ieee`](crate::with_ieee).
///
/// ```
/// use retinanet_kernels::ln;
/// assert_eq!(ln(1.0), 0.0);
/// assert_eq!(ln(2.0), std::f32::consts::LN_2);
/// assert_eq!(ln(0.0), f32::NEG_INFINITY);
/// ```
pub fn ln(x: f32) -> f32 {
    if x == 0.0 {
        return f32::NEG_INFINITY;
    }
    if x < 0.0 {
        return f32::NAN;
    }
    if x == f32::INFINITY || x.is_nan() {
        return x;
    }
    let (k, f) = if x < f32::MIN_POSITIVE {
        let (k, f) = split(x * LIFT);
        (k - 25.0, f)
    } else {
        split(x)
    };
    finish(k, f, 0.0)
}

/// `ln(1 + x)` without the rounding of that sum: within 0.95 units in the last place of the exact value.
///
/// Minus infinity for -1, NaN below and for NaN; -0 stays. From -1/4 to 2, `1 + x = 2^k (1 + f)` holds exactly
/// for `f = x` below 1/2 and `f = (x - 1) / 2` above; elsewhere `f` comes from the rounded sum, and what that
/// lost is divided by it and added. The rest is as in [`ln`].
///
/// ```
/// use retinanet_kernels::log1p;
/// assert_eq!(log1p(1.0), std::f32::consts::LN_2);
/// assert_eq!(log1p(1e-20), 1e-20);
/// ```
pub fn log1p(x: f32) -> f32 {
    if x == -1.0 {
        return f32::NEG_INFINITY;
    }
    if x < -1.0 {
        return f32::NAN;
    }
    if x == 0.0 || x == f32::INFINITY || x.is_nan() {
        return x;
    }
    if (-0.25..0.5).contains(&x) {
        return finish(0.0, x, 0.0);
    }
    if (0.5..2.0).contains(&x) {
        return finish(1.0, (x - 1.0) * 0.5, 0.0);
    }
    let sum = 1.0 + x;
    let lost = if x > 1.0 { 1.0 - (sum - x) } else { x - (sum - 1.0) };
    let (k, f) = split(sum);
    finish(k, f, lost / sum)
}

/// `k` and `f` with `x = 2^k (1 + f)` and `-1/4 <= f < 1/2`, both exact, for a normal number above 0.
fn split(x: f32) -> (f32, f32) {
    // The exponent of x / 0.75, without the division: 0.75 has the mantissa 0x40_0000.
    let above = x.to_bits().wrapping_sub(0x3f40_0000);
    let k = above as i32 >> 23;
    let scaled = f32::from_bits(x.to_bits().wrapping_sub((k as u32) << 23));
    (k as f32, scaled - 1.0)
}

/// `k ln 2 + ln(1 + f) + lost`
fn finish(k: f32, f: f32, lost: f32) -> f32 {
    let s = f / (2.0 + f);
    let z = s * s;
    let mut p = ATANH[3];
    p = fma(p, z, ATANH[2]);
    p = fma(p, z, ATANH[1]);
    p = fma(p, z, ATANH[0]);
    let half_square = 0.5 * f * f;
    let tail = s * fma(z, p, half_square) + fma(k, LN_2_LOW, lost);
    k * LN_2_HIGH + (f - (half_square - tail))
}
