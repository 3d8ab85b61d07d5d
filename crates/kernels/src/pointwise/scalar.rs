//! [`exp`] and [`sigmoid`], one value at a time: the definition that every level and device equals.

use crate::fma;

/// Adding and subtracting this rounds a small number to the nearest integer, ties to even.
pub(super) const ROUNDER: f32 = 12_582_912.0; // 1.5 * 2^23
/// As [`ROUNDER`], with the exponent bias in the low bits of the sum.
pub(super) const EXPONENT_ROUNDER: f32 = ROUNDER + 127.0;
/// exp of anything above is infinite.
pub(super) const LARGEST: f32 = 89.0;
/// exp of anything below rounds to zero.
pub(super) const SMALLEST: f32 = -104.0;
/// 1 / ln 2
pub(super) const LOG2_E: f32 = std::f32::consts::LOG2_E;
/// ln 2 rounded to f32 ...
pub(super) const LN_2: f32 = std::f32::consts::LN_2;
/// ... and what that lost, rounded to f32.
pub(super) const LN_2_LOST: f32 = f32::from_bits(0xb102_e308);
/// 1/3!, 1/4!, ..., nearly: the minimax polynomial for (exp(r) - 1 - r - r^2/2) / r^3, lowest power first,
/// so that exp(r) is off by less than 2^-33.
pub(super) const TAIL: [f32; 5] = [
    f32::from_bits(0x3e2a_aaaa),
    f32::from_bits(0x3d2a_aa74),
    f32::from_bits(0x3c08_8984),
    f32::from_bits(0x3ab6_a65d),
    f32::from_bits(0x394f_0478),
];

/// The exponential function: within 0.64 units in the last place of the exact value where that is a
/// normal number, and never decreasing.
///
/// Infinite above 88.72284, subnormal below -87.33655, zero below -103.97208, NaN for NaN. It is
/// made of `+`, `-`, `*`, [`fma`](crate::fma) and bit operations, in this order on every level and
/// device, so that all give the same bits (std's calls the platform's C library):
///
/// 1. `x` is cut to -104 ..= 89 by compare-and-select.
/// 2. `n = x / ln 2` rounded to an integer; `r + lost = x - n ln 2`, with `|r| < 0.3467`.
/// 3. `exp(r + lost) = 1 + (r + (lost + r^2 p(r)))`, where `p` is one chain of fused steps and what
///    the two outer sums round away is added back at the end.
/// 4. Multiplied by 2^n in two steps, so that only the second can round (to a subnormal).
///
/// It computes in the caller's floating-point environment; see [`with_ieee`](crate::with_ieee).
///
/// ```
/// use retinanet_kernels::exp;
/// assert_eq!(exp(0.0), 1.0);
/// assert_eq!(exp(1.0), std::f32::consts::E);
/// assert_eq!(exp(-200.0), 0.0);
/// ```
pub fn exp(x: f32) -> f32 {
    let x = if LARGEST < x { LARGEST } else { x };
    let x = if x < SMALLEST { SMALLEST } else { x };

    let n = (x * LOG2_E + ROUNDER) - ROUNDER;
    let near = fma(n, -LN_2, x);
    let r = fma(n, -LN_2_LOST, near);
    let lost = fma(n, -LN_2_LOST, near - r);

    let mut p = TAIL[4];
    p = fma(p, r, TAIL[3]);
    p = fma(p, r, TAIL[2]);
    p = fma(p, r, TAIL[1]);
    p = fma(p, r, TAIL[0]);
    p = fma(p, r, 0.5);
    let small = fma(r * r, p, lost);
    let sum = r + small;
    let sum_lost = small - (sum - r);
    let y = 1.0 + sum;
    let y_lost = sum - (y - 1.0);
    let y = y + (y_lost + sum_lost);

    let half = (n * 0.5 + ROUNDER) - ROUNDER;
    y * power_of_two(half) * power_of_two(n - half)
}

/// The logistic function `1 / (1 + exp(-x))`, computed in just that form with [`exp`].
///
/// Never decreasing, within 0 ..= 1, 1 above 16.7, 0 below -88.72284 (where `exp(-x)` is infinite;
/// `torch.sigmoid` does the same), NaN for NaN. Within 2.5 units in the last place of the
/// exact value while that is a normal number.
///
/// ```
/// use retinanet_kernels::sigmoid;
/// assert_eq!(sigmoid(0.0), 0.5);
/// assert_eq!(sigmoid(f32::NEG_INFINITY), 0.0);
/// ```
pub fn sigmoid(x: f32) -> f32 {
    1.0 / (1.0 + exp(0.0 - x))
}

/// 2^n for an integer -126 <= n <= 127.
fn power_of_two(n: f32) -> f32 {
    f32::from_bits((n + EXPONENT_ROUNDER).to_bits() << 23)
}
