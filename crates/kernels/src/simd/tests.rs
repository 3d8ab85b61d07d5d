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

const POWERS: [f32; 5] = [-2.0, 0.5, -0.125, 8.0, 1.0];

struct Powers<'a> {
    b: &'a [f32; LANES],
    c: &'a [f32; LANES],
}

impl Kernel for Powers<'_> {
    type Output = [[f32; LANES]; 5];
    #[inline(always)]
    fn run<S: Simd>(self, s: S) -> Self::Output {
        let mut out = [[0.0; LANES]; 5];
        for i in 0..POWERS.len() {
            let (b, c) = (s.read(self.b, 0), s.read(self.c, 0));
            s.write(&mut out[i], 0, s.fma_power(POWERS[i], b, c));
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
    fn powers_of_two_are_multiplied_exactly(
        b in prop::array::uniform16(hard_f32()), c in prop::array::uniform16(hard_f32()),
    ) {
        for level in Level::available() {
            let out = level.run(Powers { b: &b, c: &c });
            for (power, out) in POWERS.into_iter().zip(out) {
                for i in 0..LANES {
                    let expected = soft_fma_checked(power, b[i], c[i]);
                    prop_assert_eq!(bits(out[i]), bits(expected), "{}: {} * {} + {}", level, power, b[i], c[i]);
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
    #[allow(clippy::disallowed_methods)] // the very function it is compared with
    let libm = std::hint::black_box(a).mul_add(b, c);
    assert_eq!(bits(soft), bits(libm), "{a:e} * {b:e} + {c:e}");
    soft
}

/// `x * y + c` on its plain way through `f64`, rounded twice.
fn twice_rounded(x: f32, y: f32, c: f32) -> f32 {
    (f64::from(x) * f64::from(y) + f64::from(c)) as f32
}

/// Sums just beside the middle of two neighbours: in `f64` exactly in the middle. `shift` scales all of it.
fn beside_the_middle(shift: i32) -> [(f32, f32, f32); 4] {
    let two = |power: i32| f32::from_bits(((127 + power) as u32) << 23);
    // c is a number with 24 bits; the product adds half of its last place, and a bit 2^-46 of that.
    let half = 1.0 + two(-23);
    let more = [(half, two(-12) * half), (half, two(-12) * (1.0 - two(-23)))];
    let scaled = |x: f32| x * two(shift);
    [
        (more[0].0, scaled(more[0].1 * two(-12)), scaled(1.0)),
        (more[0].0, scaled(-more[0].1 * two(-12)), scaled(-1.0)),
        (more[1].0, scaled(more[1].1 * two(-12)), scaled(1.0 + two(-23))),
        (more[1].0, scaled(-more[1].1 * two(-12)), scaled(-1.0 - two(-23))),
    ]
}

fn lanes_at(at: usize, (a, b, c): (f32, f32, f32)) -> [f32; LANES] {
    let [mut xs, mut ys, mut zs] = [[1.5f32; LANES], [0.25; LANES], [-3.0; LANES]];
    (xs[at], ys[at], zs[at]) = (a, b, c);
    portable::soft_fma_lanes(portable::Lanes(xs), portable::Lanes(ys), portable::Lanes(zs)).0
}

/// The multiply-adds of each level, with one case among others.
fn at_levels(at: usize, (a, b, c): (f32, f32, f32)) -> Vec<[f32; LANES]> {
    let [mut xs, mut ys, mut zs] = [[1.5f32; LANES], [0.25; LANES], [-3.0; LANES]];
    (xs[at], ys[at], zs[at]) = (a, b, c);
    let levels = Level::available().iter();
    levels.map(|level| level.run(Operations { a: &xs, b: &ys, c: &zs })[3]).collect()
}

#[test]
fn where_rounding_twice_goes_wrong_the_lanes_are_redone() {
    let mut wrong = 0;
    for shift in [-100, -40, 0, 40, 100] {
        for (at, case) in beside_the_middle(shift).into_iter().enumerate() {
            let (a, b, c) = case;
            let right = soft_fma_checked(a, b, c);
            wrong += usize::from(bits(twice_rounded(a, b, c)) != bits(right));
            for at in [at, LANES - 1] {
                for found in at_levels(at, case) {
                    assert_eq!(bits(found[at]), bits(right), "{a:e} * {b:e} + {c:e}");
                }
                let found = lanes_at(at, case);
                assert_eq!(bits(found[at]), bits(right), "{a:e} * {b:e} + {c:e}");
                assert_eq!(found[(at + 1) % LANES], 1.5 * 0.25 - 3.0);
            }
        }
    }
    assert!(wrong >= 10, "only {wrong} of the cases tell the two ways apart");
}

#[test]
fn results_that_underflow_are_redone() {
    let two = |power: i32| f32::from_bits(((127 + power) as u32) << 23);
    // Half of the smallest number, less a 2^-46th of it.
    let (x, y) = (two(-60) * (1.0 + two(-23)), two(-90) * (1.0 - two(-23)));
    let mut wrong = 0;
    for k in (0..300).chain((1 << 22)..(1 << 22) + 50).chain((1 << 23) - 20..(1 << 23) + 20) {
        let c = f32::from_bits(k);
        for (y, c) in [(y, c), (-y, c), (y, -c), (-y, -c)] {
            let right = soft_fma_checked(x, y, c);
            wrong += usize::from(bits(twice_rounded(x, y, c)) != bits(right));
            assert_eq!(bits(lanes_at(3, (x, y, c))[3]), bits(right), "{x:e} * {y:e} + {c:e}");
            for found in at_levels(13, (x, y, c)) {
                assert_eq!(bits(found[13]), bits(right), "{x:e} * {y:e} + {c:e}");
            }
        }
    }
    assert!(wrong >= 100, "only {wrong} of the cases tell the two ways apart");
}

proptest! {
    #[test]
    fn lanes_equal_the_scalar(
        a in prop::array::uniform16(hard_f32()), b in prop::array::uniform16(hard_f32()), c in prop::array::uniform16(hard_f32()),
    ) {
        let found = portable::soft_fma_lanes(portable::Lanes(a), portable::Lanes(b), portable::Lanes(c)).0;
        for i in 0..LANES {
            prop_assert_eq!(bits(found[i]), bits(soft_fma_checked(a[i], b[i], c[i])));
        }
    }
}
