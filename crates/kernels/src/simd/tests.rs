//! Each operation on each level equals its scalar definition, bit for bit.

use super::*;
use crate::Level;
use proptest::prelude::*;

/// Values with the hard cases over-represented.
pub(crate) fn hard_f32() -> impl Strategy<Value = f32> {
    prop_oneof![
        4 => -8.0f32..8.0,
        2 => any::<u32>().prop_map(f32::from_bits),
        1 => prop_oneof![
            Just(0.0f32), Just(-0.0), Just(f32::INFINITY), Just(f32::NEG_INFINITY), Just(f32::NAN),
            Just(f32::MIN_POSITIVE), Just(-f32::MIN_POSITIVE), Just(f32::from_bits(1)), Just(f32::MAX),
        ],
    ]
}

struct Operations<'a> {
    a: &'a [f32; LANES],
    b: &'a [f32; LANES],
    c: &'a [f32; LANES],
}

impl Kernel for Operations<'_> {
    type Output = [[f32; LANES]; 9];
    #[inline(always)]
    fn run<S: Simd>(self, s: S) -> Self::Output {
        let mut out = [[0.0; LANES]; 9];
        // SAFETY: all pointers are to arrays of 16 values.
        unsafe {
            let (a, b, c) =
                (s.load(self.a.as_ptr()), s.load(self.b.as_ptr()), s.load(self.c.as_ptr()));
            let results = [
                s.add(a, b),
                s.sub(a, b),
                s.mul(a, b),
                s.fma(a, b, c),
                s.relu(a),
                s.max_first(a, b),
                s.div(a, b),
                s.select_lt(a, b, c, a),
                s.shift_to_exponent(a),
            ];
            for (out, v) in out.iter_mut().zip(results) {
                s.store(out.as_mut_ptr(), v);
            }
        }
        out
    }
}

/// The payload of a NaN is not promised.
fn bits(x: f32) -> u32 {
    if x.is_nan() { f32::NAN.to_bits() } else { x.to_bits() }
}

proptest! {
    #[test]
    fn every_level_computes_the_scalar_definitions(
        a in prop::array::uniform16(hard_f32()), b in prop::array::uniform16(hard_f32()), c in prop::array::uniform16(hard_f32()),
    ) {
        for level in Level::available() {
            let out = level.run(Operations { a: &a, b: &b, c: &c });
            for i in 0..LANES {
                let (a, b, c) = (a[i], b[i], c[i]);
                let expected = [
                    a + b, a - b, a * b, soft_fma_checked(a, b, c),
                    if a < 0.0 { 0.0 } else { a }, if b > a || b.is_nan() { b } else { a },
                    a / b, if a < b { c } else { a }, f32::from_bits(a.to_bits() << 23),
                ];
                for (operation, expected) in expected.into_iter().enumerate() {
                    prop_assert_eq!(bits(out[operation][i]), bits(expected), "{} operation {} of {} {} {}", level, operation, a, b, c);
                }
            }
        }
    }

    #[test]
    fn software_fma_equals_the_c_library(a in hard_f32(), b in hard_f32(), c in hard_f32()) {
        soft_fma_checked(a, b, c);
    }

    /// Products that nearly cancel the addend are where a wrong emulation rounds twice.
    #[test]
    fn software_fma_equals_the_c_library_near_cancellation(a in hard_f32(), b in hard_f32(), ulps in -3i32..=3) {
        let c = -(a * b);
        let c = f32::from_bits(c.to_bits().wrapping_add_signed(ulps));
        soft_fma_checked(a, b, c);
    }
}

fn soft_fma_checked(a: f32, b: f32, c: f32) -> f32 {
    let soft = portable::soft_fma(a, b, c);
    let libm = std::hint::black_box(a).mul_add(b, c);
    assert_eq!(bits(soft), bits(libm), "{a:e} * {b:e} + {c:e}");
    soft
}
