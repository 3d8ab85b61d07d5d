use super::*;
use crate::simd::hard_f32;
use crate::testing::{assert_same_bits, everywhere, in_ieee, levels, values};
use proptest::prelude::*;

/// The scalar definition of each value.
fn scalar(f: impl Fn(f32) -> f32, input: &[f32]) -> Vec<f32> {
    in_ieee(input, |input| input.iter().map(|x| f(*x)).collect())
}

/// All values whose bits are a multiple of `stride`, from the lowest to the highest, in pieces.
fn in_order(stride: u32, mut task: impl FnMut(&[f32])) {
    let half = 0x7f80_0000 / stride;
    let negative = (0..=half).rev().map(|i| f32::from_bits(0x8000_0000 | (i * stride)));
    let positive = (0..=half).map(|i| f32::from_bits(i * stride));
    let mut piece = Vec::with_capacity(1 << 16);
    for x in negative.chain(positive) {
        piece.push(x);
        if piece.len() == piece.capacity() {
            task(&piece);
            piece.clear();
        }
    }
    task(&piece);
}

/// The error of `actual` in units in the last place of `exact`; below the smallest normal number,
/// in units of the smallest subnormal.
fn ulps(actual: f32, exact: f64) -> f64 {
    let smallest = -126;
    let exponent = ((exact.to_bits() >> 52) as i32 & 0x7ff) - 1023;
    let exponent = if exponent < smallest { smallest } else { exponent };
    let unit = f64::from_bits(((exponent - 23 + 1023) as u64) << 52);
    ((f64::from(actual) - exact) / unit).abs()
}

#[derive(Default, Debug)]
struct Worst {
    normal: (f64, f32),
    subnormal: (f64, f32),
}

impl Worst {
    fn note(&mut self, x: f32, actual: f32, exact: f64) {
        if exact > f64::from(f32::MAX) {
            return;
        }
        let error = ulps(actual, exact);
        let worst = if exact < f64::from(f32::MIN_POSITIVE) {
            &mut self.subnormal
        } else {
            &mut self.normal
        };
        if error > worst.0 {
            *worst = (error, x);
        }
    }
}

/// Accuracy and order of exp and sigmoid over every `stride`-th value.
#[allow(clippy::disallowed_methods)] // f64 from the C library is what we compare with
fn sweep(stride: u32) -> [Worst; 2] {
    let level = Level::best();
    let mut worst = [Worst::default(), Worst::default()];
    let mut last = [0.0f32; 2];
    let mut output = Vec::new();
    in_order(stride, |input| {
        for (function, worst) in worst.iter_mut().enumerate() {
            output.clear();
            output.extend_from_slice(input);
            match function {
                0 => exp_in_place(level, &mut output),
                _ => sigmoid_in_place(level, &mut output),
            }
            if stride > 1 {
                let definition = [exp, sigmoid][function];
                assert_same_bits(&output, &scalar(definition, input), "definition");
            }
            for (x, y) in input.iter().zip(&output) {
                assert!(last[function] <= *y, "falls at {x:e}: {:e}, {y:e}", last[function]);
                last[function] = *y;
                let x64 = f64::from(*x);
                let exact = match function {
                    0 if x64 > 89.0 => f64::INFINITY,
                    0 => x64.exp(),
                    _ => 1.0 / (1.0 + (-x64).exp()),
                };
                worst.note(*x, *y, exact);
            }
        }
    });
    assert_eq!(last, [f32::INFINITY, 1.0]);
    worst
}

/// Every 1499th value; all four thousand million (minutes in release) where
/// `RETINANET_EVERY_F32=1`: set it when exp or sigmoid change.
#[test]
fn exp_and_sigmoid_are_accurate_and_never_fall() {
    let every = std::env::var_os("RETINANET_EVERY_F32").is_some_and(|set| set == "1");
    let [exp, sigmoid] = sweep(if every { 1 } else { 1499 });
    println!("exp {exp:?}, sigmoid {sigmoid:?}");
    assert!(exp.normal.0 < 0.66 && exp.subnormal.0 < 0.77, "{exp:?}");
    assert!(sigmoid.normal.0 < 2.5, "{sigmoid:?}");
}

#[test]
fn special_values_have_their_limits() {
    for (x, y) in [
        (0.0, 1.0),
        (-0.0, 1.0),
        (f32::INFINITY, f32::INFINITY),
        (f32::NEG_INFINITY, 0.0),
        (1.0, std::f32::consts::E),
        (-104.0, 0.0),
        (f32::MAX, f32::INFINITY),
        (f32::MIN, 0.0),
        (f32::from_bits(1), 1.0),
    ] {
        assert_eq!(exp(x).to_bits(), f32::to_bits(y), "exp({x:e})");
    }
    assert!(exp(f32::NAN).is_nan() && sigmoid(f32::NAN).is_nan());
    assert!(exp(-f32::NAN).is_nan() && sigmoid(-f32::NAN).is_nan());
    assert_eq!(sigmoid(0.0), 0.5);
    assert_eq!(sigmoid(-0.0), 0.5);
    assert_eq!(sigmoid(f32::INFINITY), 1.0);
    assert_eq!(sigmoid(-100.0), 0.0);
}

#[test]
fn slices_of_any_length_equal_the_scalar_definitions() {
    everywhere(|level| {
        for len in [0, 1, 15, 16, 17, 31, 257, PIECE - 1, PIECE, 2 * PIECE + 3] {
            let a = values(len as u64, len, true);
            let b = values(len as u64 + 1, len, true);
            let mut out = vec![f32::NAN; len];

            exp_slice(level, &a, &mut out).unwrap();
            assert_same_bits(&out, &scalar(exp, &a), format!("{level} exp"));
            sigmoid_slice(level, &a, &mut out).unwrap();
            assert_same_bits(&out, &scalar(sigmoid, &a), format!("{level} sigmoid"));
            relu(level, &a, &mut out).unwrap();
            let expected = scalar(|x| if x < 0.0 { 0.0 } else { x }, &a);
            assert_same_bits(&out, &expected, format!("{level} relu"));

            let mut out = a.clone();
            relu_in_place(level, &mut out);
            assert_same_bits(&out, &expected, format!("{level} relu in place"));
            let mut out = a.clone();
            exp_in_place(level, &mut out);
            assert_same_bits(&out, &scalar(exp, &a), format!("{level} exp in place"));
            let mut out = a.clone();
            sigmoid_in_place(level, &mut out);
            assert_same_bits(&out, &scalar(sigmoid, &a), format!("{level} sigmoid in place"));

            let sums =
                in_ieee((&a, &b), |(a, b)| a.iter().zip(b).map(|(a, b)| a + b).collect::<Vec<_>>());
            let mut out = vec![f32::NAN; len];
            add(level, &a, &b, &mut out).unwrap();
            assert_same_bits(&out, &sums, format!("{level} add"));
            let mut out = a.clone();
            add_in_place(level, &mut out, &b).unwrap();
            assert_same_bits(&out, &sums, format!("{level} add in place"));
        }
    });
}

proptest! {
    #[test]
    fn any_values_equal_the_scalar_definitions(input in prop::collection::vec(
        prop_oneof![hard_f32(), -110.0f32..110.0], 0..70,
    )) {
        for level in levels() {
            let mut out = vec![f32::NAN; input.len()];
            exp_slice(level, &input, &mut out).unwrap();
            assert_same_bits(&out, &scalar(exp, &input), format!("{level} exp"));
            sigmoid_slice(level, &input, &mut out).unwrap();
            assert_same_bits(&out, &scalar(sigmoid, &input), format!("{level} sigmoid"));
        }
    }
}

#[test]
fn lengths_that_differ_are_errors() {
    let level = Level::best();
    assert!(relu(level, &[0.0; 2], &mut [0.0; 3]).is_err());
    assert!(exp_slice(level, &[0.0; 4], &mut [0.0; 3]).is_err());
    assert!(add(level, &[0.0; 2], &[0.0; 3], &mut [0.0; 3]).is_err());
    assert!(add(level, &[0.0; 3], &[0.0; 4], &mut [0.0; 3]).is_err());
    assert!(add_in_place(level, &mut [0.0; 3], &[0.0; 4]).is_err());
}

/// The largest error of `actual` over `input`, and where it is.
fn largest_error(
    input: impl Iterator<Item = f32>,
    actual: impl Fn(f32) -> f32,
    exact: impl Fn(f64) -> f64,
) -> (f64, f32) {
    let mut worst = (0.0, 0.0);
    for x in input {
        let error = ulps(actual(x), exact(f64::from(x)));
        assert!(!error.is_nan(), "at {x:e}: {:e}", actual(x));
        if error > worst.0 {
            worst = (error, x);
        }
    }
    worst
}

/// Every 101st value; all of them (minutes in release) where `RETINANET_EVERY_F32=1`.
#[test]
#[allow(clippy::disallowed_methods)] // f64 from the C library is what we compare with
fn logarithms_are_accurate() {
    let every = std::env::var_os("RETINANET_EVERY_F32").is_some_and(|set| set == "1");
    let stride = if every { 1 } else { 101 };
    let positive = || (1..0x7f80_0000).step_by(stride).map(f32::from_bits);
    let negative = (0x8000_0001..0xbf80_0000).step_by(stride).map(f32::from_bits);
    let worst = largest_error(positive(), ln, f64::ln);
    println!("ln {worst:?}");
    assert!(worst.0 < 0.95, "ln {worst:?}");
    let worst = largest_error(positive().chain(negative), log1p, f64::ln_1p);
    println!("log1p {worst:?}");
    assert!(worst.0 < 0.95, "log1p {worst:?}");
}

#[test]
fn logarithms_of_special_values_are_their_limits() {
    for (x, y) in [
        (1.0, 0.0),
        (0.0, f32::NEG_INFINITY),
        (-0.0, f32::NEG_INFINITY),
        (f32::INFINITY, f32::INFINITY),
        (2.0, std::f32::consts::LN_2),
        (std::f32::consts::E, 1.0),
    ] {
        assert_eq!(ln(x).to_bits(), f32::to_bits(y), "ln({x:e})");
    }
    for (x, y) in [(0.0, 0.0), (-0.0, -0.0), (-1.0, f32::NEG_INFINITY), (1e-30, 1e-30)] {
        assert_eq!(log1p(x).to_bits(), f32::to_bits(y), "log1p({x:e})");
    }
    for x in [f32::NAN, -f32::NAN] {
        assert!(ln(x).is_nan() && log1p(x).is_nan());
    }
    assert!(ln(-1.0).is_nan() && log1p(-1.5).is_nan() && ln(f32::NEG_INFINITY).is_nan());
    assert_eq!(log1p(f32::INFINITY), f32::INFINITY);
}

#[test]
fn log1p_of_vectors_equals_the_scalar_definition_from_zero_to_one() {
    #[derive(Clone, Copy)]
    struct ToOne;
    impl Unary for ToOne {
        fn apply<S: crate::simd::Simd>(self, s: S, x: S::V) -> S::V {
            log1p_to_one(s, x)
        }
    }
    let mut input: Vec<f32> = (0..=0x3f80_0000).step_by(997).map(f32::from_bits).collect();
    input.extend([0.5, f32::from_bits(0x3eff_ffff), 1.0, f32::NAN]);
    let expected = scalar(log1p, &input);
    everywhere(|level| {
        let mut output = vec![f32::NAN; input.len()];
        map(level, ToOne, &input, &mut output).unwrap();
        assert_same_bits(&output, &expected, level);
    });
}

#[test]
fn relu_lets_the_gradient_through_where_its_output_is_not_zero_or_below() {
    everywhere(|level| {
        for len in [0, 1, 16, 33, PIECE + 5] {
            let mut output = values(len as u64, len, true);
            for (at, value) in [(0, f32::NAN), (5, f32::from_bits(1)), (7, -0.0), (20, f32::NAN)] {
                output.get_mut(at).into_iter().for_each(|place| *place = value);
            }
            relu_in_place(level, &mut output);
            let mut gradient = values(len as u64 + 9, len, true);
            let expected: Vec<f32> = in_ieee((&output, &gradient), |(output, gradient)| {
                let pairs = output.iter().zip(gradient);
                pairs.map(|(y, g)| if *y <= 0.0 { 0.0 } else { *g }).collect()
            });
            relu_backward_in_place(level, &output, &mut gradient).unwrap();
            assert_same_bits(&gradient, &expected, level);
        }
    });
    let error = relu_backward_in_place(Level::best(), &[0.0; 3], &mut [0.0; 2]).unwrap_err();
    assert!(error.to_string().contains("ReLU's output"), "{error}");
}
