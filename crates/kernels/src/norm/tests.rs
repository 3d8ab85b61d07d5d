use super::*;
use crate::testing::{assert_same_bits, everywhere, in_ieee, levels, values};
use proptest::prelude::*;

fn spec(channels: usize, groups: usize) -> GroupNormSpec {
    GroupNormSpec { channels, groups, eps: 1e-5 }
}

/// All entry points against the oracle, with outputs that hold NaN before.
fn check(level: Level, spec: &GroupNormSpec, size: [usize; 2], seed: u64, hard: bool) {
    let input = values(seed, spec.channels * size[0] * size[1], hard);
    let gamma = values(seed ^ 1, spec.channels, false);
    let beta = values(seed ^ 2, spec.channels, false);
    let shape = BlockedShape::new(spec.channels, size);
    let blocked = BlockedBuffer::from_chw(shape, &input).unwrap();
    let mut output = vec![f32::NAN; input.len()];
    for relu in [false, true] {
        let what = format!("{level} {spec:?} {size:?} relu {relu}");
        let pixels = size[0] * size[1];
        let expected = in_ieee(&input, |input| {
            reference::group_norm(spec, &gamma, &beta, pixels, relu, input)
        });

        group_norm_nchw(level, spec, &gamma, &beta, size, relu, &input, &mut output).unwrap();
        assert_same_bits(&output, &expected, &what);

        let mut other = BlockedBuffer::zeroed(shape);
        other.as_mut().data().fill(f32::NAN);
        group_norm(level, spec, &gamma, &beta, relu, blocked.as_ref(), &mut other.as_mut())
            .unwrap();
        other.as_ref().to_chw(&mut output).unwrap();
        assert_same_bits(&output, &expected, &what);

        let mut own = blocked.clone();
        group_norm_in_place(level, spec, &gamma, &beta, relu, &mut own.as_mut()).unwrap();
        own.as_ref().to_chw(&mut output).unwrap();
        assert_same_bits(&output, &expected, &what);
    }
}

#[test]
fn every_grouping_equals_the_oracle() {
    everywhere(|level| {
        for (channels, groups) in [
            (0, 1),
            (1, 1),
            (15, 3),
            (16, 16),
            (17, 1),
            (32, 4),
            (32, 1),
            (40, 8),
            (48, 2),
            (34, 17),
        ] {
            for size in [[1, 1], [3, 5], [13, 29]] {
                check(level, &spec(channels, groups), size, 11, false);
            }
        }
        check(level, &spec(8, 2), [0, 5], 12, false);
        check(level, &spec(40, 8), [31, 37], 13, false);
    });
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]
    #[test]
    fn any_shape_and_values_equal_the_oracle(
        groups in 1usize..12, per_group in 1usize..20, size in prop::array::uniform2(1usize..30),
        seed in any::<u64>(), hard in any::<bool>(),
    ) {
        for level in levels() {
            check(level, &spec(groups * per_group, groups), size, seed, hard);
        }
    }
}

/// The gradient against the oracle.
fn check_gradient(level: Level, spec: &GroupNormSpec, size: [usize; 2], seed: u64, hard: bool) {
    let pixels = size[0] * size[1];
    let input = values(seed, spec.channels * pixels, hard);
    let gradient = values(seed ^ 3, input.len(), hard);
    let (gamma, beta) = (values(seed ^ 1, spec.channels, false), vec![0.25; spec.channels]);
    let shape = BlockedShape::new(spec.channels, size);
    let blocked = BlockedBuffer::from_chw(shape, &input).unwrap();
    let mut output = blocked.clone();
    group_norm_in_place(level, spec, &gamma, &beta, true, &mut output.as_mut()).unwrap();
    let mut plain_output = vec![f32::NAN; input.len()];
    output.as_ref().to_chw(&mut plain_output).unwrap();
    for relu in [false, true] {
        let what = format!("gradient, {level} {spec:?} {size:?} relu {relu}");
        let expected = in_ieee(&input, |input| {
            let output = relu.then_some(&plain_output[..]);
            reference::group_norm_backward(spec, &gamma, pixels, input, output, &gradient)
        });
        let mut actual = BlockedBuffer::from_chw(shape, &gradient).unwrap();
        let [mut of_gamma, mut of_beta] = [(); 2].map(|()| vec![f32::NAN; spec.channels]);
        group_norm_backward_in_place(
            level,
            spec,
            &gamma,
            blocked.as_ref(),
            relu.then(|| output.as_ref()),
            &mut actual.as_mut(),
            &mut of_gamma,
            &mut of_beta,
        )
        .unwrap();
        let mut of_input = vec![f32::NAN; input.len()];
        actual.as_ref().to_chw(&mut of_input).unwrap();
        for (actual, expected) in [of_input, of_gamma, of_beta].iter().zip(&expected) {
            assert_same_bits(actual, expected, &what);
        }
    }
}

/// Gradients of the input, gamma and beta in f64.
fn exact_gradient(
    spec: &GroupNormSpec,
    gamma: &[f32],
    pixels: usize,
    input: &[f32],
    gradient: &[f32],
) -> [Vec<f64>; 3] {
    let [mut of_input, mut of_gamma, mut of_beta] = [(); 3].map(|()| Vec::new());
    let per_group = spec.per_group();
    let len = per_group * pixels;
    for (group, (x, g)) in input.chunks(len).zip(gradient.chunks(len)).enumerate() {
        let gamma = |i: usize| f64::from(gamma[group * per_group + i / pixels]);
        let n = len as f64;
        let mean = x.iter().map(|x| f64::from(*x)).sum::<f64>() / n;
        let variance = x.iter().map(|x| (f64::from(*x) - mean) * (f64::from(*x) - mean));
        let rstd = 1.0 / (variance.sum::<f64>() / n + f64::from(spec.eps)).sqrt();
        let hat: Vec<f64> = x.iter().map(|x| (f64::from(*x) - mean) * rstd).collect();
        let dy = |i: usize| f64::from(g[i]);
        let all = (0..len).map(|i| gamma(i) * dy(i)).sum::<f64>() / n;
        let products = (0..len).map(|i| gamma(i) * dy(i) * hat[i]).sum::<f64>() / n;
        of_input.extend((0..len).map(|i| rstd * (gamma(i) * dy(i) - all - hat[i] * products)));
        for c in 0..per_group {
            let own = || c * pixels..(c + 1) * pixels;
            of_beta.push(own().map(dy).sum());
            of_gamma.push(own().map(|i| dy(i) * hat[i]).sum());
        }
    }
    [of_input, of_gamma, of_beta]
}

#[test]
fn the_gradient_of_every_grouping_equals_the_oracle() {
    everywhere(|level| {
        for (channels, groups) in
            [(0, 1), (1, 1), (15, 3), (17, 1), (32, 4), (40, 8), (48, 2), (96, 3), (34, 17)]
        {
            for size in [[1, 1], [3, 5], [13, 29]] {
                check_gradient(level, &spec(channels, groups), size, 21, false);
            }
        }
        check_gradient(level, &spec(40, 8), [31, 37], 23, true);
    });
}

#[test]
fn the_gradient_is_close_to_f64_even_where_the_mean_is_far_from_zero() {
    for (offset, worst) in [(0.0, 1e-6), (1e3, 1e-6), (1e5, 1e-6)] {
        let (spec, size) = (spec(32, 4), [50, 68]);
        let pixels = size[0] * size[1];
        let input: Vec<f32> =
            values(5, 32 * pixels, false).iter().map(|x| (x + offset) / 2.0).collect();
        let (gamma, gradient) = (values(6, 32, false), values(7, 32 * pixels, false));
        let expected = exact_gradient(&spec, &gamma, pixels, &input, &gradient);
        let actual = reference::group_norm_backward(&spec, &gamma, pixels, &input, None, &gradient);
        for (name, (actual, expected)) in
            ["input", "gamma", "beta"].iter().zip(actual.iter().zip(&expected))
        {
            let (mut error, mut largest) = (0.0, 0.0);
            for (a, e) in actual.iter().zip(expected) {
                let off = (f64::from(*a) - e).abs();
                error = if off > error { off } else { error };
                largest = if e.abs() > largest { e.abs() } else { largest };
            }
            let error = error / largest;
            println!("offset {offset}, of {name}: {error:.1e} of the largest");
            assert!(error < worst, "offset {offset}, of {name}: {error:e}");
        }
    }
}

#[test]
fn a_gradient_of_another_shape_is_an_error_that_says_so() {
    let shape = BlockedShape::new(4, [2, 3]);
    let (input, other) =
        (BlockedBuffer::zeroed(shape), BlockedBuffer::zeroed(BlockedShape::new(4, [3, 2])));
    let run = |output: Option<Blocked>, mut gradient: BlockedBuffer, gamma: usize| {
        group_norm_backward_in_place(
            Level::best(),
            &spec(4, 2),
            &[1.0; 4],
            input.as_ref(),
            output,
            &mut gradient.as_mut(),
            &mut vec![0.0; gamma],
            &mut [0.0; 4],
        )
        .unwrap_err()
        .to_string()
    };
    assert!(run(None, other.clone(), 4).contains("the gradient is"));
    assert!(run(Some(other.as_ref()), input.clone(), 4).contains("the output of ReLU is"));
    assert!(run(None, input.clone(), 3).contains("gradient of gamma: expected 4 values, got 3"));
}

/// Error against f64, relative to the largest output of the exact answer.
fn error_against_f64(offset: f32, size: [usize; 2]) -> f64 {
    let spec = spec(16, 2);
    let pixels = size[0] * size[1];
    let mut input = values(5, spec.channels * pixels, false);
    for x in &mut input {
        *x += offset;
    }
    let (gamma, beta) = ([1.0; 16], [0.0; 16]);
    let mut output = vec![f32::NAN; input.len()];
    group_norm_nchw(Level::best(), &spec, &gamma, &beta, size, false, &input, &mut output).unwrap();
    let mut worst = 0.0;
    for (x, y) in input.chunks(8 * pixels).zip(output.chunks(8 * pixels)) {
        let n = x.len() as f64;
        let mean = x.iter().map(|x| f64::from(*x)).sum::<f64>() / n;
        let square = |x: &f32| (f64::from(*x) - mean) * (f64::from(*x) - mean);
        let rstd = 1.0 / (x.iter().map(square).sum::<f64>() / n + f64::from(spec.eps)).sqrt();
        for (x, y) in x.iter().zip(y) {
            let error = ((f64::from(*x) - mean) * rstd - f64::from(*y)).abs();
            worst = if error > worst { error } else { worst };
        }
    }
    worst
}

#[test]
fn a_mean_far_from_zero_costs_no_accuracy() {
    for offset in [0.0, 10.0, 1e3, 1e5] {
        let error = error_against_f64(offset, [100, 136]);
        assert!(error < 5e-7, "offset {offset}: {error:e}");
    }
}

#[test]
fn a_constant_group_becomes_beta() {
    for level in levels() {
        let mut output = [f32::NAN; 12];
        let input = [1e6 / 3.0; 12];
        group_norm_nchw(
            level,
            &spec(4, 2),
            &[2.0; 4],
            &[0.5; 4],
            [1, 3],
            false,
            &input,
            &mut output,
        )
        .unwrap();
        for y in output {
            assert!((y - 0.5).abs() < 1e-3, "{y}");
        }
    }
}

#[test]
fn a_nan_stays_in_its_group() {
    for level in levels() {
        let mut input = values(3, 4 * 9, false);
        input[7] = f32::NAN;
        let mut output = vec![0.0; input.len()];
        group_norm_nchw(
            level,
            &spec(4, 2),
            &[1.0; 4],
            &[0.0; 4],
            [3, 3],
            true,
            &input,
            &mut output,
        )
        .unwrap();
        assert!(output[..18].iter().all(|y| y.is_nan()));
        assert!(output[18..].iter().all(|y| y.is_finite()));
    }
}

#[test]
fn what_makes_no_sense_is_an_error_that_says_why() {
    let run = |spec: GroupNormSpec, gamma: usize| {
        let (gamma, beta) = (vec![0.0; gamma], vec![0.0; spec.channels]);
        let input = vec![0.0; spec.channels];
        let mut output = input.clone();
        let level = Level::best();
        group_norm_nchw(level, &spec, &gamma, &beta, [1, 1], false, &input, &mut output)
            .unwrap_err()
            .to_string()
    };
    assert!(run(spec(10, 4), 10).contains("10 channels cannot be cut into 4"));
    assert!(run(spec(10, 0), 10).contains("into 0 equal groups"));
    assert!(run(spec(10, 5), 9).contains("gamma: expected 10 values, got 9"));
    for eps in [-1.0, f32::NAN, f32::INFINITY] {
        let odd = GroupNormSpec { eps, ..spec(4, 2) };
        assert!(run(odd, 4).contains("eps is"));
    }
}
