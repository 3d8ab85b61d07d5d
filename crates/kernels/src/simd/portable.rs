//! The level every CPU has: arrays of `f32`, no intrinsics.

use super::{Arithmetic, LANES, Simd};

/// The portable level.
#[derive(Clone, Copy)]
pub(crate) struct Portable;

/// Sixteen values, aligned as the widest level aligns them.
#[derive(Clone, Copy)]
#[repr(C, align(64))]
pub(crate) struct Lanes(pub(super) [f32; LANES]);

/// `a * b + c` rounded once, exact on every machine.
///
/// Where the target has the instruction this is it. Elsewhere (baseline x86-64) the C library's
/// `fmaf` would be called, whose quality is not ours to promise, so it is done here: the product of
/// two `f32` is exact in `f64`; the sum is rounded to odd in `f64`, which has more than twice the
/// bits, so that rounding it again to `f32` gives the correctly rounded result (Boldo and
/// Melquiond, "Emulation of FMA and correctly rounded sums", 2008).
#[inline(always)]
pub fn fma(a: f32, b: f32, c: f32) -> f32 {
    #[cfg(any(target_feature = "fma", target_arch = "aarch64"))]
    #[allow(clippy::disallowed_methods)] // here it is the instruction
    {
        a.mul_add(b, c)
    }
    #[cfg(not(any(target_feature = "fma", target_arch = "aarch64")))]
    {
        soft_fma(a, b, c)
    }
}

#[inline(always)]
#[cfg_attr(any(target_feature = "fma", target_arch = "aarch64"), allow(dead_code))]
pub(super) fn soft_fma(a: f32, b: f32, c: f32) -> f32 {
    let product = f64::from(a) * f64::from(b);
    let addend = f64::from(c);
    let sum = product + addend;
    // Knuth's two-sum: `error` is exactly what rounding `sum` lost. It is NaN for a non-finite sum,
    // and then the comparison below is false and `sum` stands.
    let virtual_addend = sum - product;
    let error = (product - (sum - virtual_addend)) + (addend - virtual_addend);
    let bits = sum.to_bits();
    // Round to odd: an inexact sum whose last bit is even moves one step towards the exact value.
    let inexact = (error > 0.0) | (error < 0.0);
    let even = bits & 1 == 0;
    let away = (error > 0.0) == (sum > 0.0);
    let step = if away { 1u64 } else { u64::MAX };
    let odd = if inexact & even { bits.wrapping_add(step) } else { bits };
    f64::from_bits(odd) as f32
}

/// [`soft_fma`] of each lane, mostly without its two-sum: the sum is rounded to `f64` and then to `f32`, and
/// all lanes are redone where that may have gone wrong in one of them.
///
/// Let `x` be the exact value, `s` what it rounds to in `f64`, and `m` any point where rounding to `f32` changes
/// its answer: halfway between two neighbours. Every `m` is an `f64`, and rounding is monotone and leaves an `f64`
/// as it is; so `x < m` gives `s <= m`, and `x > m` gives `s >= m`. Unless `s` is such an `m` itself, `s` and `x`
/// therefore lie between the same two of them and round to the same `f32`. Where `|s| >= 2^-126` an `m`, the one
/// below infinity included, is an `f64` whose last 29 bits are a one and 28 zeros; below that, where the places
/// of the bits change, every `s` but zero is redone. A zero is exact: a product is 0 or at least 2^-298. Infinities
/// and NaN round to themselves.
#[inline(always)]
#[cfg_attr(any(target_feature = "fma", target_arch = "aarch64"), allow(dead_code))]
pub(super) fn soft_fma_lanes(a: Lanes, b: Lanes, c: Lanes) -> Lanes {
    let mut out = c;
    let mut doubtful = 0u64;
    for i in 0..LANES {
        let sum = f64::from(a.0[i]) * f64::from(b.0[i]) + f64::from(c.0[i]);
        out.0[i] = sum as f32;
        let halfway = sum.to_bits() & 0x1fff_ffff == 0x1000_0000;
        let tiny = (sum.abs() < f64::from(f32::MIN_POSITIVE)) & (sum != 0.0);
        doubtful |= u64::from(halfway | tiny);
    }
    if doubtful == 0 { out } else { redo(a, b, c) }
}

#[cold]
#[inline(never)]
fn redo(a: Lanes, b: Lanes, c: Lanes) -> Lanes {
    let mut out = c;
    for i in 0..LANES {
        out.0[i] = soft_fma(a.0[i], b.0[i], c.0[i]);
    }
    out
}

impl Portable {
    #[inline(always)]
    fn map2(a: Lanes, b: Lanes, f: impl Fn(f32, f32) -> f32) -> Lanes {
        let mut out = a;
        for i in 0..LANES {
            out.0[i] = f(a.0[i], b.0[i]);
        }
        out
    }
}

impl Arithmetic for Portable {
    type V = Lanes;

    #[inline(always)]
    fn splat(self, x: f32) -> Lanes {
        Lanes([x; LANES])
    }

    #[inline(always)]
    fn add(self, a: Lanes, b: Lanes) -> Lanes {
        Self::map2(a, b, |a, b| a + b)
    }

    #[inline(always)]
    fn sub(self, a: Lanes, b: Lanes) -> Lanes {
        Self::map2(a, b, |a, b| a - b)
    }

    #[inline(always)]
    fn fma(self, a: Lanes, b: Lanes, c: Lanes) -> Lanes {
        #[cfg(any(target_feature = "fma", target_arch = "aarch64"))]
        {
            let mut out = c;
            for i in 0..LANES {
                out.0[i] = fma(a.0[i], b.0[i], c.0[i]);
            }
            out
        }
        #[cfg(not(any(target_feature = "fma", target_arch = "aarch64")))]
        {
            soft_fma_lanes(a, b, c)
        }
    }

    #[cfg(not(any(target_feature = "fma", target_arch = "aarch64")))]
    #[inline(always)]
    fn fma_power(self, power: f32, b: Lanes, c: Lanes) -> Lanes {
        let mut out = c;
        let mut inexact = 0u32;
        for i in 0..LANES {
            // Exact if the way back is: neither underflow nor overflow.
            let product = b.0[i] * power;
            let back = product * (1.0 / power);
            inexact |= u32::from((back < b.0[i]) | (back > b.0[i]));
            out.0[i] = product + c.0[i];
        }
        if inexact == 0 { out } else { soft_fma_lanes(Lanes([power; LANES]), b, c) }
    }
}

impl Simd for Portable {
    const TILE_PIXELS: usize = if Self::EMULATED { 8 } else { 6 };
    const EMULATED: bool = cfg!(not(any(target_feature = "fma", target_arch = "aarch64")));
    #[cfg(target_arch = "x86_64")]
    type Wide = super::wide::Two;

    #[inline(always)]
    unsafe fn load(self, p: *const f32) -> Lanes {
        // SAFETY: the caller promises 16 readable values; arrays of f32 need no more alignment.
        Lanes(unsafe { p.cast::<[f32; LANES]>().read() })
    }

    #[inline(always)]
    unsafe fn store(self, p: *mut f32, v: Lanes) {
        // SAFETY: the caller promises 16 writable values; arrays of f32 need no more alignment.
        unsafe { p.cast::<[f32; LANES]>().write(v.0) }
    }

    #[inline(always)]
    unsafe fn stream(self, p: *mut f32, v: Lanes) {
        // SAFETY: the caller promises 16 writable values.
        unsafe { self.store(p, v) }
    }

    #[inline(always)]
    fn fence(self) {}

    #[inline(always)]
    fn prefetch(self, _p: *const f32) {}

    #[inline(always)]
    fn mul(self, a: Lanes, b: Lanes) -> Lanes {
        Self::map2(a, b, |a, b| a * b)
    }

    #[inline(always)]
    fn div(self, a: Lanes, b: Lanes) -> Lanes {
        Self::map2(a, b, |a, b| a / b)
    }

    #[inline(always)]
    fn select_lt(self, a: Lanes, b: Lanes, yes: Lanes, no: Lanes) -> Lanes {
        let mut out = no;
        for i in 0..LANES {
            out.0[i] = if a.0[i] < b.0[i] { yes.0[i] } else { no.0[i] };
        }
        out
    }

    #[inline(always)]
    fn shift_to_exponent(self, x: Lanes) -> Lanes {
        Self::map2(x, x, |x, _| f32::from_bits(x.to_bits() << 23))
    }

    #[inline(always)]
    fn relu(self, x: Lanes) -> Lanes {
        Self::map2(x, x, |x, _| if x < 0.0 { 0.0 } else { x })
    }

    #[inline(always)]
    fn max_first(self, first: Lanes, x: Lanes) -> Lanes {
        Self::map2(first, x, |first, x| if x > first || x.is_nan() { x } else { first })
    }
}
