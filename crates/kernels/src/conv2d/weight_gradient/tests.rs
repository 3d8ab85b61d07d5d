//! Both forms equal the naive reference bit for bit, and are close to f64.

use super::*;
use crate::testing::{assert_same_bits, everywhere, in_ieee, levels, values};
use proptest::prelude::*;

struct Case {
    spec: Conv2dSpec,
    sizes: Vec<[usize; 2]>,
    inputs: Vec<Vec<f32>>,
    gradients: Vec<Vec<f32>>,
}

impl Case {
    fn new(spec: Conv2dSpec, sizes: &[[usize; 2]], seed: u64, hard: bool) -> Self {
        let input = |size: &[usize; 2]| values(seed, spec.in_channels * size[0] * size[1], hard);
        let gradient = |size: &[usize; 2]| {
            let [height, width] = spec.output_size(*size).unwrap();
            values(seed ^ 5, spec.out_channels * height * width, hard)
        };
        Self {
            spec,
            sizes: sizes.to_vec(),
            inputs: sizes.iter().map(input).collect(),
            gradients: sizes.iter().map(gradient).collect(),
        }
    }

    fn images(&self) -> Vec<reference::Image<'_>> {
        let activations = self.inputs.iter().zip(&self.gradients);
        let image = |(size, (input, gradient))| (input, size, gradient);
        let sizes = self.sizes.iter().copied();
        let slices = activations.map(|(input, gradient)| (&input[..], &gradient[..]));
        sizes.zip(slices).map(image).collect()
    }

    fn run(&self, level: Level) -> Vec<f32> {
        let spec = &self.spec;
        let blocked = |channels: usize, size: [usize; 2], values: &[f32]| {
            BlockedBuffer::from_chw(BlockedShape::new(channels, size), values).unwrap()
        };
        let images: Vec<_> = self
            .images()
            .into_iter()
            .map(|(input, size, gradient)| {
                let out = spec.output_size(size).unwrap();
                let input_blocks = blocked(spec.in_channels, size, input);
                (input_blocks, input, size, blocked(spec.out_channels, out, gradient))
            })
            .collect();
        let pairs: Vec<_> = images
            .iter()
            .map(|(blocks, input, size, gradient)| GradientPair {
                input: if spec.in_channels < 16 {
                    Input::Planar { data: input, size: *size }
                } else {
                    Input::Blocked(blocks.as_ref())
                },
                grad_output: gradient.as_ref(),
            })
            .collect();
        let mut gradient = vec![f32::NAN; spec.weights().unwrap()];
        weight_gradient(level, spec, &pairs, &mut gradient).unwrap();
        gradient
    }

    fn expected(&self) -> Vec<f32> {
        in_ieee(self.images(), |images| reference::weight_gradient(&self.spec, &images))
    }

    fn check(&self, level: Level) {
        let what = format!("{level} {:?} {:?}", self.spec, self.sizes);
        assert_same_bits(&self.run(level), &self.expected(), what);
    }
}

fn spec(channels: [usize; 2], kernel: usize, stride: usize, padding: usize) -> Conv2dSpec {
    let [in_channels, out_channels] = channels;
    Conv2dSpec {
        in_channels,
        out_channels,
        kernel: [kernel; 2],
        stride: [stride; 2],
        padding: [padding; 2],
    }
}

#[test]
fn every_form_equals_the_reference_on_every_level() {
    let cases: [(Conv2dSpec, &[[usize; 2]], bool); 12] = [
        (spec([16, 32], 3, 1, 1), &[[12, 12]], false),
        (spec([17, 33], 3, 1, 1), &[[9, 35], [5, 3], [1, 1]], false),
        (spec([16, 16], 3, 1, 0), &[[70, 67]], false),
        (spec([16, 17], 3, 1, 2), &[[66, 64], [33, 3], [64, 65]], true),
        (spec([16, 32], 1, 1, 0), &[[7, 5]], false),
        (spec([21, 49], 1, 1, 0), &[[40, 61], [20, 31], [9, 9]], false),
        (spec([20, 33], 1, 2, 0), &[[41, 58], [13, 9]], false),
        (spec([36, 40], 3, 2, 1), &[[45, 50], [1, 2]], true),
        (spec([3, 33], 7, 2, 3), &[[61, 70]], false),
        (spec([5, 7], 3, 1, 1), &[[40, 41]], false),
        (spec([16, 3], 2, 3, 3), &[[1, 1], [4, 30]], true),
        (spec([16, 16], 1, 1, 0), &[], false),
    ];
    for (spec, sizes, hard) in cases {
        let case = Case::new(spec, sizes, 7, hard);
        let expected = case.expected();
        everywhere(|level| {
            assert_same_bits(&case.run(level), &expected, format!("{level} {spec:?} {sizes:?}"));
        });
    }
}

#[test]
fn many_chunks_groups_and_batches_equal_the_reference() {
    for (channels, size) in [([40, 70], [33, 61]), ([16, 16], [150, 200]), ([200, 64], [37, 41])] {
        Case::new(spec(channels, 3, 1, 1), &[size, [5, 9], [3, 3]], 3, false).check(Level::best());
    }
    Case::new(spec([64, 96], 1, 1, 0), &[[90, 70], [3, 1100]], 3, false).check(Level::best());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]
    #[test]
    fn any_shape_equals_the_reference(
        channels in prop::array::uniform2(prop_oneof![1usize..8, 15usize..20, 30usize..35]),
        kernel in prop::array::uniform2(1usize..4),
        stride in prop::array::uniform2(1usize..4),
        padding in prop::array::uniform2(0usize..4),
        size in prop::array::uniform2(1usize..30),
        other in prop::array::uniform2(1usize..9),
        three in any::<bool>(), hard in any::<bool>(), seed in 0u64..1000,
    ) {
        let [in_channels, out_channels] = channels;
        let (kernel, stride) = if three { ([3, 3], [1, 1]) } else { (kernel, stride) };
        let spec = Conv2dSpec { in_channels, out_channels, kernel, stride, padding };
        let sizes: Vec<_> =
            [size, other].into_iter().filter(|size| spec.output_size(*size).is_ok()).collect();
        let case = Case::new(spec, &sizes, seed, hard);
        for level in levels() {
            case.check(level);
        }
    }
}

/// Each weight's gradient in f64.
fn exact(case: &Case) -> Vec<f64> {
    let spec = &case.spec;
    let mut gradient = vec![0.0; spec.weights().unwrap()];
    for (input, size, of_output) in case.images() {
        let [height, width] = spec.output_size(size).unwrap();
        for (i, sum) in gradient.iter_mut().enumerate() {
            let (tap, ci) = (i % 9, i / 9 % spec.in_channels);
            let co = i / 9 / spec.in_channels;
            for oy in 0..height {
                for ox in 0..width {
                    let y = (oy * spec.stride[0] + tap / 3).wrapping_sub(spec.padding[0]);
                    let x = (ox * spec.stride[1] + tap % 3).wrapping_sub(spec.padding[1]);
                    if y < size[0] && x < size[1] {
                        let value = input[(ci * size[0] + y) * size[1] + x];
                        let gradient = of_output[(co * height + oy) * width + ox];
                        *sum += f64::from(value) * f64::from(gradient);
                    }
                }
            }
        }
    }
    gradient
}

#[test]
fn both_forms_are_close_to_f64() {
    for (name, stride, size, worst) in
        [("winograd", 1, [100, 136], 3e-6), ("direct", 2, [200, 272], 1e-6)]
    {
        let case = Case::new(spec([16, 16], 3, stride, 1), &[size], 9, false);
        let (actual, exact) = (case.run(Level::best()), exact(&case));
        let (mut error, mut largest, mut squares) = (0.0, 0.0, [0.0, 0.0]);
        for (a, e) in actual.iter().zip(&exact) {
            let off = (f64::from(*a) - e).abs();
            error = if off > error { off } else { error };
            largest = if e.abs() > largest { e.abs() } else { largest };
            squares[0] += off * off;
            squares[1] += e * e;
        }
        let rms = (squares[0] / squares[1]).sqrt();
        println!("{name}: rms {rms:.1e}, largest {:.1e} of the largest", error / largest);
        assert!(error / largest < worst, "{name}: {:e}", error / largest);
    }
}

#[test]
fn a_shape_that_does_not_fit_is_an_error_that_says_so() {
    let spec = spec([16, 16], 3, 1, 1);
    let shape = |channels, size| BlockedBuffer::zeroed(BlockedShape::new(channels, size));
    let run = |input: BlockedBuffer, gradient: BlockedBuffer, weights: usize| {
        let input = Input::Blocked(input.as_ref());
        let pair = GradientPair { input, grad_output: gradient.as_ref() };
        weight_gradient(Level::best(), &spec, &[pair], &mut vec![0.0; weights])
            .unwrap_err()
            .to_string()
    };
    let all = 16 * 16 * 9;
    assert!(run(shape(17, [4, 4]), shape(16, [4, 4]), all).contains("an input of"));
    assert!(run(shape(16, [4, 4]), shape(16, [4, 5]), all).contains("the output's gradient is"));
    assert!(run(shape(16, [4, 4]), shape(17, [4, 4]), all).contains("the output's gradient is"));
    let error = run(shape(16, [4, 4]), shape(16, [4, 4]), all - 1);
    assert!(error.contains("expected 2304 values, got 2303"), "{error}");
    let data = [0.0; 15];
    let input = Input::Planar { data: &data, size: [1, 1] };
    let gradient = shape(16, [1, 1]);
    let pair = GradientPair { input, grad_output: gradient.as_ref() };
    let short = weight_gradient(Level::best(), &spec, &[pair], &mut vec![0.0; all]);
    assert!(short.unwrap_err().to_string().contains("expected 16 values, got 15"));
}
