//! The inverse cosine transform: libjpeg's accurate integer one, as its x86 vector code computes it.
//!
//! The algorithm is Loeffler, Ligtenberg and Moschytz's with constants of 13 fractional bits: columns
//! first, rounded to 2 fractional bits, then rows. For coefficients that an encoder can produce, all of
//! libjpeg-turbo's variants agree. Out-of-range ones (damaged or hostile files) overflow, and here the x86
//! code is followed: products and sums of inputs wrap to 16 bits, each pass saturates to 16 bits, the
//! result saturates to 8.

use crate::entropy::Block;

/// Rounds `x` to an integer with 13 fractional bits.
const fn fix(x: f64) -> i32 {
    (x * 8192.0 + 0.5) as i32
}

const F_0_298: i32 = fix(0.298_631_336);
const F_0_390: i32 = fix(0.390_180_644);
const F_0_541: i32 = fix(0.541_196_100);
const F_0_765: i32 = fix(0.765_366_865);
const F_0_899: i32 = fix(0.899_976_223);
const F_1_175: i32 = fix(1.175_875_602);
const F_1_501: i32 = fix(1.501_321_110);
const F_1_847: i32 = fix(1.847_759_065);
const F_1_961: i32 = fix(1.961_570_560);
const F_2_053: i32 = fix(2.053_119_869);
const F_2_562: i32 = fix(2.562_915_447);
const F_3_072: i32 = fix(3.072_711_026);

const CONST_BITS: u32 = 13;
const PASS1_BITS: u32 = 2;

type Rows = [[i16; 8]; 8];

/// Dequantises a block and transforms it to samples; `samples[y * stride + x]` becomes the sample at (x, y).
pub(crate) fn transform(
    coefficients: &Block,
    quantisation: &[u16; 64],
    samples: &mut [u8],
    stride: usize,
) {
    let (rows, _) = coefficients.as_chunks::<8>();
    let (factors, _) = quantisation.as_chunks::<8>();
    let mut input: Rows = [[0; 8]; 8];
    for ((to, row), factor) in input.iter_mut().zip(rows).zip(factors) {
        for ((to, &coefficient), &factor) in to.iter_mut().zip(row).zip(factor) {
            *to = coefficient.wrapping_mul(factor as i16);
        }
    }
    let only_first_row = coefficients[8..].iter().fold(0, |any, &c| any | c) == 0;
    if only_first_row && coefficients[1..8].iter().fold(0, |any, &c| any | c) == 0 {
        return fill(input[0][0], samples, stride);
    }
    const PASS1: u32 = CONST_BITS - PASS1_BITS;
    const PASS2: u32 = CONST_BITS + PASS1_BITS + 3;
    // Most blocks have low coefficients only, and zeros need no products.
    let small = input[4..].iter().flatten().fold(0, |any, &c| any | c) == 0
        && input[..4].iter().flat_map(|row| &row[4..]).fold(0, |any, &c| any | c) == 0;
    let output = if only_first_row {
        // This shortcut of the vector code wraps where the long way saturates.
        pass::<PASS2, false>(&input[0].map(|value| [value << PASS1_BITS; 8]))
    } else if small {
        pass::<PASS2, true>(&transpose(&pass::<PASS1, true>(&input)))
    } else {
        pass::<PASS2, false>(&transpose(&pass::<PASS1, false>(&input)))
    };
    for (y, row) in transpose(&output).iter().enumerate() {
        samples[y * stride..][..8].copy_from_slice(&row.map(to_sample));
    }
}

/// All samples of a block that has a DC coefficient only, which is dequantised.
fn fill(dc: i16, samples: &mut [u8], stride: usize) {
    let value = i32::from(dc << PASS1_BITS);
    let half = 1 << (PASS1_BITS + 3 - 1);
    let sample = to_sample(((value + half) >> (PASS1_BITS + 3)) as i16);
    for y in 0..8 {
        samples[y * stride..][..8].fill(sample);
    }
}

/// Saturates to a signed byte and moves zero to mid-grey.
#[inline(always)]
fn to_sample(value: i16) -> u8 {
    (value.clamp(-128, 127) + 128) as u8
}

/// Eight transforms at once: `input[k][i]` is the k-th coefficient of the i-th. Drops `DESCALE` bits. `SMALL`
/// says that only the first four coefficients can be other than zero.
#[inline(always)]
fn pass<const DESCALE: u32, const SMALL: bool>(input: &Rows) -> Rows {
    let mut output: Rows = [[0; 8]; 8];
    for i in 0..8 {
        let at = |k: usize| if SMALL && k >= 4 { 0 } else { input[k][i] };
        // A product of 16-bit numbers fits, sums of products wrap.
        let times = |value: i16, factor: i32| i32::from(value) * i32::from(factor as i16);
        let dot = |a: i16, factor_a: i32, b: i16, factor_b: i32| {
            times(a, factor_a).wrapping_add(times(b, factor_b))
        };

        let even_3 = dot(at(2), F_0_541 + F_0_765, at(6), F_0_541);
        let even_2 = dot(at(2), F_0_541, at(6), F_0_541 - F_1_847);
        let even_0 = i32::from(at(0).wrapping_add(at(4))) << CONST_BITS;
        let even_1 = i32::from(at(0).wrapping_sub(at(4))) << CONST_BITS;
        let even = [
            even_0.wrapping_add(even_3),
            even_1.wrapping_add(even_2),
            even_1.wrapping_sub(even_2),
            even_0.wrapping_sub(even_3),
        ];

        let z3 = at(7).wrapping_add(at(3));
        let z4 = at(5).wrapping_add(at(1));
        let z3_4 = dot(z3, F_1_175 - F_1_961, z4, F_1_175);
        let z4_3 = dot(z3, F_1_175, z4, F_1_175 - F_0_390);
        let odd = [
            dot(at(7), -F_0_899, at(1), F_1_501 - F_0_899).wrapping_add(z4_3),
            dot(at(5), -F_2_562, at(3), F_3_072 - F_2_562).wrapping_add(z3_4),
            dot(at(5), F_2_053 - F_2_562, at(3), -F_2_562).wrapping_add(z4_3),
            dot(at(7), F_0_298 - F_0_899, at(1), -F_0_899).wrapping_add(z3_4),
        ];

        for k in 0..4 {
            output[k][i] = descale::<DESCALE>(even[k].wrapping_add(odd[k]));
            output[7 - k][i] = descale::<DESCALE>(even[k].wrapping_sub(odd[k]));
        }
    }
    output
}

/// Drops bits, rounding to nearest, and saturates to 16 bits.
#[inline(always)]
fn descale<const BITS: u32>(value: i32) -> i16 {
    let value = value.wrapping_add(1 << (BITS - 1)) >> BITS;
    value.clamp(i32::from(i16::MIN), i32::from(i16::MAX)) as i16
}

/// Rows become columns: three times, the rows of the upper half and those of the lower half are
/// interleaved. Written so that it becomes vector code.
#[inline(always)]
fn transpose(rows: &Rows) -> Rows {
    interleave(&interleave(&interleave(rows)))
}

#[inline(always)]
fn interleave(rows: &Rows) -> Rows {
    let mut mixed: Rows = [[0; 8]; 8];
    for i in 0..4 {
        let (a, b) = (rows[i], rows[i + 4]);
        mixed[2 * i] = [a[0], b[0], a[1], b[1], a[2], b[2], a[3], b[3]];
        mixed[2 * i + 1] = [a[4], b[4], a[5], b[5], a[6], b[6], a[7], b[7]];
    }
    mixed
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The transform as the standard defines it, in floating point; tables, because cosines are banned here.
    fn reference(coefficients: &Block, quantisation: &[u16; 64]) -> [f64; 64] {
        // cos(k * pi / 16) for k = 0 to 8.
        const COS: [f64; 9] = [
            1.0,
            0.980_785_280_403_230_4,
            0.923_879_532_511_286_7,
            0.831_469_612_302_545_2,
            0.707_106_781_186_547_5,
            0.555_570_233_019_602_2,
            0.382_683_432_365_089_8,
            0.195_090_322_016_128_3,
            0.0,
        ];
        let cos = |k: usize| match k % 32 {
            k @ 0..=8 => COS[k],
            k @ 9..=16 => -COS[16 - k],
            k @ 17..=24 => -COS[k - 16],
            k => COS[32 - k],
        };
        let scale = |k: usize| if k == 0 { COS[4] } else { 1.0 };
        let mut samples = [0.0; 64];
        for (at, sample) in samples.iter_mut().enumerate() {
            let (y, x) = (at / 8, at % 8);
            for (k, (&coefficient, &factor)) in coefficients.iter().zip(quantisation).enumerate() {
                let (v, u) = (k / 8, k % 8);
                *sample += f64::from(coefficient)
                    * f64::from(factor)
                    * scale(u)
                    * scale(v)
                    * cos((2 * x + 1) * u)
                    * cos((2 * y + 1) * v)
                    / 4.0;
            }
            *sample += 128.0;
        }
        samples
    }

    fn transformed(coefficients: &Block, quantisation: &[u16; 64]) -> [u8; 64] {
        let mut samples = [0; 64];
        transform(coefficients, quantisation, &mut samples, 8);
        samples
    }

    #[test]
    fn samples_are_within_one_of_the_definition() {
        let mut state = 1_u32;
        let mut random = |below: u32| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 8) % below
        };
        for round in 0..2000 {
            let quantisation = [(); 64].map(|()| 1 + random(20) as u16);
            let mut coefficients = [0; 64];
            for _ in 0..round % 20 {
                coefficients[random(64) as usize] = random(31) as i16 - 15;
            }
            coefficients[0] = random(60) as i16 - 30;
            let expected = reference(&coefficients, &quantisation);
            for (sample, expected) in transformed(&coefficients, &quantisation).iter().zip(expected)
            {
                let expected = if expected < 0.0 { 0.0 } else { expected };
                let expected = if expected > 255.0 { 255.0 } else { expected };
                assert!((f64::from(*sample) - expected).abs() < 1.0, "{sample} for {expected}");
            }
        }
    }

    #[test]
    fn shortcuts_equal_the_long_way_in_range() {
        for dc in -1024..=1024 {
            let mut coefficients = [0; 64];
            coefficients[0] = dc;
            let quantisation = [1; 64];
            let short = transformed(&coefficients, &quantisation);
            let mut input = [[0; 8]; 8];
            input[0][0] = dc;
            let columns = transpose(&pass::<11, false>(&input));
            let long = transpose(&pass::<18, false>(&columns));
            assert_eq!(short, std::array::from_fn(|at| to_sample(long[at / 8][at % 8])));
        }
    }

    #[test]
    fn a_shortcut_wraps_where_the_long_way_saturates() {
        let mut coefficients = [0; 64];
        coefficients[0] = 8192;
        assert_eq!(transformed(&coefficients, &[1; 64]), [0; 64]);
        coefficients[8] = 1;
        assert_eq!(transformed(&coefficients, &[1; 64]), [255; 64]);
    }
}
