//! Chains in `f64` equal the chains of exact steps, bit for bit, where they must be redone too.

use proptest::prelude::*;

use super::CHUNK;
use super::deferred::chains;
#[cfg(target_arch = "x86_64")]
use super::{Lists, lists_len};
#[cfg(target_arch = "x86_64")]
use crate::simd::Kernel;
use crate::simd::{Arithmetic, Array, Doubles, LANES, Pair, Portable, Simd, fma, hard_f32};
#[cfg(target_arch = "x86_64")]
use crate::{Level, buffer::AlignedBuffer};

const PIXELS: usize = 3;

/// One chain: what it starts from, and its products.
#[derive(Clone, Debug)]
struct Chain {
    before: f32,
    products: Vec<(f32, f32)>,
}

impl Chain {
    fn new(before: f32, products: &[(f32, f32)]) -> Self {
        Self { before, products: products.to_vec() }
    }

    fn exact(&self) -> f32 {
        self.products.iter().fold(self.before, |sum, (x, w)| fma(*x, *w, sum))
    }

    /// Each sum rounded to `f64` and then to `f32`, infinity unknown: what the chains do where nothing is redone.
    fn twice_rounded(&self) -> f32 {
        let scale = f64::from_bits((1023 - 896) << 52);
        let sum = self.products.iter().fold(f64::from(self.before) * scale, |sum, (x, w)| {
            let sum = f64::from(*x) * scale * f64::from(*w) + sum;
            f64::from_bits((sum.to_bits() + (1 << 28)) & !((1 << 29) - 1))
        });
        (sum / scale) as f32
    }

    /// The chain in pixel 1 and each of the channels, beside pixels of other values.
    fn computed<D: Doubles>(&self) -> [f32; CHUNK] {
        let len = self.products.len();
        let (mut values, mut weights) = (vec![0.5; len * PIXELS], vec![0.0; len * CHUNK]);
        for (k, (x, w)) in self.products.iter().enumerate() {
            values[k * PIXELS + 1] = *x;
            weights[k * CHUNK..][..CHUNK].fill(*w);
        }
        let s = Portable;
        let mut acc = [[s.splat(1.0); 2]; PIXELS];
        acc[1] = [s.splat(self.before); 2];
        // SAFETY: there are `len` rows of values and weights.
        unsafe {
            let place = |k: usize| values.as_ptr().wrapping_add(k * PIXELS);
            chains::<D, Portable, PIXELS, 2>(s, &mut acc, place, 1, len, weights.as_ptr());
        }
        let mut out = [0.0; CHUNK];
        s.write(&mut out, 0, acc[1][0]);
        s.write(&mut out, LANES, acc[1][1]);
        out
    }

    /// Each sum rounded to `f64` and then to `f32`, ties to even, infinity unknown: what the lists' steps do where
    /// nothing is redone.
    #[cfg(target_arch = "x86_64")]
    fn twice_rounded_to_even(&self) -> f32 {
        self.products.iter().fold(self.before, |sum, (x, w)| {
            (f64::from(*x) * f64::from(*w) + f64::from(sum)) as f32
        })
    }

    /// Likewise by lists, at each level that uses them.
    #[cfg(target_arch = "x86_64")]
    fn computed_by_lists(&self) -> Vec<[f32; CHUNK]> {
        let levels = Level::available().iter().filter(|level| level.uses_lists());
        levels.map(|level| level.run(ByLists(self))).collect()
    }

    #[cfg(not(target_arch = "x86_64"))]
    fn computed_by_lists(&self) -> Vec<[f32; CHUNK]> {
        Vec::new()
    }

    fn check(&self) {
        let exact = self.exact();
        let by_lists = self.computed_by_lists();
        for computed in
            [self.computed::<Pair>(), self.computed::<Array>()].into_iter().chain(by_lists)
        {
            for value in computed {
                assert_eq!(bits(value), bits(exact), "{value:e}, not {exact:e}, for {self:?}");
            }
        }
    }

    /// As [`Chain::check`], of a chain that is wrong unless it is redone.
    fn check_redone(&self) {
        assert_ne!(bits(self.twice_rounded()), bits(self.exact()), "a harmless case: {self:?}");
        self.check();
    }

    /// The chain with `steps` products before and after that change nothing.
    fn padded(&self, steps: usize) -> Self {
        let nothing = vec![(0.0, 1.0); steps];
        let products = [&nothing[..], &self.products[..], &nothing[..]].concat();
        Self { before: self.before, products }
    }
}

/// A chain by lists, in pixel 1 of three.
#[cfg(target_arch = "x86_64")]
struct ByLists<'a>(&'a Chain);

#[cfg(target_arch = "x86_64")]
impl Kernel for ByLists<'_> {
    type Output = [f32; CHUNK];

    #[inline(always)]
    fn run<S: Simd>(self, s: S) -> [f32; CHUNK] {
        let Chain { before, products } = self.0;
        let len = products.len();
        let (mut values, mut weights) = (vec![0.5; len * PIXELS], vec![0.0; len * CHUNK]);
        for (k, (x, w)) in products.iter().enumerate() {
            values[k * PIXELS + 1] = *x;
            weights[k * CHUNK..][..CHUNK].fill(*w);
        }
        let mut sums = vec![1.0; PIXELS * CHUNK];
        sums[CHUNK..2 * CHUNK].fill(*before);
        let place = |pixel: usize, k: usize| values.as_ptr().wrapping_add(k * PIXELS + pixel);
        let mut scratch = AlignedBuffer::zeroed(lists_len(PIXELS, len));
        // SAFETY: there are `len` rows of values and weights.
        unsafe {
            let mut lists = Lists::new(scratch.as_mut_slice(), [PIXELS, len], place);
            lists.multiply(s, place, weights.as_ptr(), CHUNK, &mut sums);
        }
        std::array::from_fn(|lane| sums[CHUNK + lane])
    }
}

#[cfg(target_arch = "x86_64")]
#[test]
fn lists_redo_what_would_be_rounded_twice() {
    // c = 2^24 + 2, an odd multiple of its last place, and p = 1 - 2^-46: the f64 sum is 2^24 + 3, the middle, and goes to
    // 2^24 + 4.
    let product = (1.0 - f32::EPSILON, 1.0 + f32::EPSILON);
    for scale in [0, 60, 90, -60, -90].map(two) {
        for sign in [1.0, -1.0] {
            for steps in [0, 1, 31, 32, 63, 64, 65, 200] {
                let before = sign * (two(24) + 2.0) * scale;
                let chain = Chain::new(before, &[(sign * product.0, product.1 * scale)]);
                let wrong = chain.twice_rounded_to_even();
                assert_ne!(bits(wrong), bits(chain.exact()), "a harmless case: {chain:?}");
                // Behind other steps that count, and behind values that are left out.
                let other = vec![(sign * scale.recip(), two(-40) * scale); steps];
                let products = [&other[..], &chain.products[..], &other[..]].concat();
                Chain { before, products }.check();
                chain.padded(steps).check();
            }
        }
    }
}

/// The payload of a NaN is not promised.
fn bits(x: f32) -> u32 {
    if x.is_nan() { f32::NAN.to_bits() } else { x.to_bits() }
}

fn two(power: i32) -> f32 {
    if power < -126 {
        f32::from_bits(1 << (power + 149))
    } else {
        f32::from_bits(((127 + power) as u32) << 23)
    }
}

/// 2^-24 plus 2^-47, and 2^-24 less 2^-46: beside half of the last place of 1.
const ABOVE: (f32, f32) = (1.0 + f32::EPSILON, f32::EPSILON / 2.0);
const BELOW: (f32, f32) = (1.0 - f32::EPSILON / 2.0, f32::EPSILON / 2.0);

#[test]
fn sums_beside_the_middle_of_two_neighbours_are_redone() {
    let next = 1.0 + f32::EPSILON;
    for scale in [-100, -60, 0, 60, 97].map(two) {
        for steps in [0, 1, 40, 63, 64, 200] {
            // The last place of the f64 sum is 2^-52: with a second factor of 1 + 2^-23, what is beside the middle
            // is 2^-70 of the sum, which the f64 loses.
            let tiny = 1.0 + f32::EPSILON;
            for (x, w) in [(ABOVE.0, ABOVE.1 * scale), (-ABOVE.0, ABOVE.1 * scale)] {
                let sign = if x < 0.0 { -1.0 } else { 1.0 };
                Chain::new(sign * scale, &[(x, w)]).padded(steps).check();
                Chain::new(sign * next * scale, &[(x, w * tiny)]).padded(steps).check();
            }
            Chain::new(next * scale, &[(BELOW.0, BELOW.1 * scale)]).padded(steps).check();
            // Exactly in the middle: to even, which half a step upwards is not.
            Chain::new(scale, &[(1.0, f32::EPSILON / 2.0 * scale)]).padded(steps).check_redone();
            Chain::new(-scale, &[(-1.0, f32::EPSILON / 2.0 * scale)]).padded(steps).check_redone();
            Chain::new(next * scale, &[(1.0, f32::EPSILON / 2.0 * scale)]).padded(steps).check();
        }
    }
}

#[test]
fn sums_that_f64_rounds_to_the_middle_are_redone() {
    // 2^24 + 1 in steps of which the middle is; less than 2^-29 beside it, so that the f64 sum is the middle itself.
    let beside = (1.0 - f32::EPSILON / 2.0, 1.0 + f32::EPSILON);
    let product = f64::from(beside.0) * f64::from(beside.1);
    assert!(product > 1.0 && product < 1.0 + 1.0 / 8_000_000.0);
    let less = (1.0 - f32::EPSILON / 2.0, 1.0 - f32::EPSILON / 2.0);
    for scale in [-70, 0, 60].map(two) {
        for steps in [0, 3, 64, 130] {
            // Half a last place of 2^30 is 64: 64 less a little, in two steps so that the first leaves a remainder.
            let start = two(30) * scale;
            for sign in [1.0, -1.0] {
                let chain = Chain::new(sign * start, &[(sign * 64.0 * less.0, less.1 * scale)]);
                chain.padded(steps).check();
                let chain = Chain::new(sign * start, &[(sign * 64.0, scale)]);
                chain.padded(steps).check_redone();
            }
        }
    }
    // c = 2^24 (an even last place of 2), p = 1 - 2^-46: the f64 sum is 2^24 + 1, the middle, and goes to 2^24 + 2.
    let below_one = (1.0 - f32::EPSILON, 1.0 + f32::EPSILON);
    assert_eq!(f64::from(below_one.0) * f64::from(below_one.1), 1.0 - f64::from(two(-46)));
    for steps in [0, 63, 64, 65] {
        for (scale, sign) in [(1.0, 1.0), (two(90), -1.0), (two(-90), 1.0)] {
            let product = (sign * below_one.0, below_one.1 * scale);
            Chain::new(sign * two(24) * scale, &[product]).padded(steps).check_redone();
        }
    }
}

#[test]
fn sums_that_underflow_are_right() {
    let smallest = f32::from_bits(1);
    for steps in [0, 64] {
        for c in (0..40).chain((1 << 23) - 5..(1 << 23) + 5).map(f32::from_bits) {
            for (x, w) in [
                (two(-75), two(-75)),
                (two(-60) * 1.5, two(-90)),
                (smallest, 0.75),
                (two(-149), two(-30)),
            ] {
                for [x, c] in [[x, c], [-x, c], [x, -c], [-x, -c]] {
                    Chain::new(c, &[(x, w)]).padded(steps).check();
                    Chain::new(c, &[(x, w * (1.0 + f32::EPSILON)), (x, -w)]).padded(steps).check();
                }
            }
        }
    }
    // Half of the smallest number, to even: nothing.
    Chain::new(0.0, &[(two(-75), two(-75))]).check_redone();
    Chain::new(f32::from_bits(2), &[(two(-75), two(-75))]).check_redone();
}

#[test]
fn a_product_too_small_for_f64_gives_a_zero_its_sign() {
    let lost = [(two(-149), two(-149)), (two(-100), two(-80) * 1.5)];
    for (x, w) in lost {
        for steps in [0, 1, 64, 100] {
            // Steps of zero in front only: behind, +0 * 1 makes the zero positive.
            let chain = |products: &[(f32, f32)]| {
                Chain::new(0.0, &[&vec![(0.0, 1.0); steps][..], products].concat())
            };
            chain(&[(-x, w)]).check_redone();
            chain(&[(x, -w), (x, -w)]).check_redone();
            chain(&[(-x, w), (0.0, 0.0)]).check();
            chain(&[(x, w)]).check();
            chain(&[(-x, w), (1.0, 2.0)]).check();
            chain(&[(-x, w), (1.0, 2.0), (-2.0, 1.0)]).check();
        }
    }
    Chain::new(-0.0, &[(-0.0, 1.0), (0.0, -1.0)]).padded(0).check();
    Chain::new(-0.0, &[(0.0, 1.0)]).check();
    Chain::new(-0.0, &[]).check();
}

#[test]
fn infinities_on_the_way_and_nan_stay() {
    for steps in [0, 1, 64, 100] {
        let chain = |before, products: &[(f32, f32)]| Chain::new(before, products).padded(steps);
        // Out of range and back, which f64 would not notice.
        chain(two(127), &[(two(64), two(63)), (-two(64), two(63))]).check_redone();
        chain(-f32::MAX, &[(-f32::MAX, 0.5), (f32::MAX, 0.5)]).check_redone();
        chain(f32::MAX, &[(two(52), two(51)), (-two(52), two(52))]).check_redone();
        chain(f32::MAX, &[(two(51), two(51)), (-1.0, 1.0)]).check();
        chain(0.0, &[(f32::MAX, f32::MAX), (-f32::MAX, 1.0)]).check();
        // 2^128 and back within one step is no overflow.
        chain(-f32::MAX, &[(two(64), two(64))]).check();
        for wrong in [f32::INFINITY, f32::NEG_INFINITY, f32::NAN] {
            chain(wrong, &[(1.0, 2.0)]).check();
            chain(1.0, &[(wrong, 2.0), (3.0, 4.0)]).check();
            chain(1.0, &[(2.0, wrong), (3.0, 4.0)]).check();
            chain(1.0, &[(0.0, wrong)]).check();
            chain(wrong, &[(wrong, -1.0)]).check();
        }
    }
}

/// Few digits, so that exact middles and zeros are frequent.
fn coarse_f32() -> impl Strategy<Value = f32> {
    (-9i32..=9, -14i32..=14).prop_map(|(digit, power)| digit as f32 * two(power))
}

fn chain_of(values: impl Strategy<Value = f32> + 'static) -> impl Strategy<Value = Chain> {
    let values = values.boxed();
    let products = prop::collection::vec((values.clone(), values.clone()), 0..150);
    (values, products).prop_map(|(before, products)| Chain { before, products })
}

proptest! {
    #[test]
    fn chains_of_hard_values(chain in chain_of(hard_f32())) {
        chain.check();
    }

    #[test]
    fn chains_of_usual_values(chain in chain_of(-8.0f32..8.0)) {
        chain.check();
    }

    #[test]
    fn chains_of_coarse_values(chain in chain_of(coarse_f32())) {
        chain.check();
    }

    #[test]
    fn chains_of_tiny_values(chain in chain_of((any::<u32>(), -1i32..=1).prop_map(|(bits, up)| {
        f32::from_bits(bits & 0x81ff_ffff | if up == 0 { 0x2000_0000 } else { 0x1e00_0000 })
    }).boxed())) {
        chain.check();
    }

    /// Each step nearly takes back what there is.
    #[test]
    fn chains_that_cancel(values in prop::collection::vec((hard_f32(), -3i32..=3), 1..40)) {
        let mut chain = Chain::new(0.0, &[]);
        let mut sum = 0.0f32;
        for (value, ulps) in values {
            chain.products.push((value, 1.0));
            sum = fma(value, 1.0, sum);
            let back = f32::from_bits((-sum).to_bits().wrapping_add_signed(ulps));
            chain.products.push((back, 1.0));
            sum = fma(back, 1.0, sum);
        }
        chain.check();
    }
}
