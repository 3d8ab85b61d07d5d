//! Every form equals the naive reference bit for bit, on every level and any number of threads.

use super::*;
use crate::float_env::tests::with_hostile_host;
use proptest::prelude::*;

/// Values in (-1, 1) from a seed; some are zero or negative zero.
fn values(len: usize, seed: u64) -> Vec<f32> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        match state % 16 {
            0 => 0.0,
            1 => -0.0,
            _ => (state >> 40) as f32 / (1 << 23) as f32 - 1.0,
        }
    };
    (0..len).map(|_| next()).collect()
}

#[derive(Clone, Debug)]
struct Case {
    spec: Conv2dSpec,
    size: [usize; 2],
    bias: bool,
    residual: bool,
    relu: bool,
    seed: u64,
}

impl Case {
    fn new(
        channels: [usize; 2],
        kernel: usize,
        stride: usize,
        padding: usize,
        size: [usize; 2],
    ) -> Self {
        let [in_channels, out_channels] = channels;
        let pair = |x| [x, x];
        let spec = Conv2dSpec {
            in_channels,
            out_channels,
            kernel: pair(kernel),
            stride: pair(stride),
            padding: pair(padding),
        };
        Self { spec, size, bias: true, residual: true, relu: true, seed: 1 }
    }

    fn check(&self, threads: usize) {
        let Self { spec, size, .. } = self;
        let Ok(out) = spec.output_size(*size) else {
            return;
        };
        let input = values(spec.in_channels * size[0] * size[1], self.seed);
        let weight = values(spec.weights().unwrap(), self.seed + 1);
        let bias = self.bias.then(|| values(spec.out_channels, self.seed + 2));
        let residual =
            self.residual.then(|| values(spec.out_channels * out[0] * out[1], self.seed + 3));
        let expected = reference::conv2d(
            spec,
            &weight,
            bias.as_deref(),
            &input,
            *size,
            residual.as_deref(),
            self.relu,
        );
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        for level in Level::available() {
            let conv = Conv2d::new(*level, *spec, &weight, bias.as_deref()).unwrap();
            let mut actual = vec![f32::NAN; expected.len()];
            pool.install(|| {
                with_hostile_host(|| {
                    conv.forward_nchw(&input, *size, residual.as_deref(), self.relu, &mut actual)
                        .unwrap();
                });
            });
            for (i, (a, e)) in actual.iter().zip(&expected).enumerate() {
                assert_eq!(
                    a.to_bits(),
                    e.to_bits(),
                    "{level}, {threads} threads, value {i}: {a} != {e}, {self:?}"
                );
            }
        }
    }
}

fn any_case() -> impl Strategy<Value = Case> {
    let channels = prop_oneof![1usize..8, 15usize..18, 30usize..35, Just(48), Just(65)];
    let outputs = prop_oneof![1usize..8, 15usize..18, 30usize..35, Just(49), Just(64)];
    let size = prop::array::uniform2(prop_oneof![1usize..8, 8usize..40]);
    let spec = (
        channels,
        outputs,
        prop::array::uniform2(1usize..5),
        prop::array::uniform2(1usize..4),
        prop::array::uniform2(0usize..4),
    );
    (spec, size, any::<[bool; 3]>(), any::<u64>()).prop_map(
        |(
            (in_channels, out_channels, kernel, stride, padding),
            size,
            [bias, residual, relu],
            seed,
        )| Case {
            spec: Conv2dSpec { in_channels, out_channels, kernel, stride, padding },
            size,
            bias,
            residual,
            relu,
            seed: seed >> 8,
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn every_form_equals_the_reference(case in any_case(), threads in 1usize..4) {
        case.check(threads);
    }

    #[test]
    fn winograd_equals_the_reference(mut case in any_case(), threads in 1usize..4) {
        case.spec.in_channels += 15;
        case.spec.out_channels += 15;
        case.spec.kernel = [3, 3];
        case.spec.stride = [1, 1];
        case.check(threads);
    }
}

#[test]
fn ragged_sizes_equal_the_reference() {
    for n in [1, 13, 14, 15, 28, 29] {
        Case::new([16, 32], 1, 1, 0, [1, n]).check(2);
        Case::new([3, 33], 7, 2, 3, [n, n + 1]).check(2);
        Case::new([17, 16], 3, 2, 1, [n, 7]).check(2);
        Case::new([16, 48], 3, 1, 1, [n, n]).check(2);
    }
}

#[test]
fn chains_longer_than_a_block_are_resumed_not_added() {
    Case::new([1040, 33], 1, 1, 0, [5, 7]).check(2);
}

#[test]
fn many_tiles_give_the_bits_that_few_tiles_give() {
    Case::new([16, 16], 3, 1, 1, [61, 67]).check(3);
    Case::new([40, 36], 3, 1, 1, [45, 97]).check(2);
}

/// Images of one call have the bits that each has alone.
fn check_together(level: Level, spec: Conv2dSpec, sizes: &[[usize; 2]]) {
    let weight = values(spec.weights().unwrap(), 5);
    let conv = Conv2d::new(level, spec, &weight, None).unwrap();
    let inputs: Vec<_> =
        sizes.iter().map(|size| values(spec.in_channels * size[0] * size[1], 9)).collect();
    let blocked: Vec<_> = sizes
        .iter()
        .zip(&inputs)
        .map(|(size, input)| {
            BlockedBuffer::from_chw(BlockedShape::new(spec.in_channels, *size), input).unwrap()
        })
        .collect();
    let shape =
        |size: &[usize; 2]| BlockedShape::new(spec.out_channels, spec.output_size(*size).unwrap());
    let mut outputs: Vec<_> = sizes.iter().map(|s| BlockedBuffer::zeroed(shape(s))).collect();
    let mut items: Vec<Item<'_>> = blocked
        .iter()
        .zip(&mut outputs)
        .map(|(b, o)| Item {
            input: Input::Blocked(b.as_ref()),
            residual: None,
            output: o.as_mut(),
        })
        .collect();
    conv.forward(&mut items, false).unwrap();
    for ((size, input), output) in sizes.iter().zip(&inputs).zip(&outputs) {
        let mut together = vec![f32::NAN; shape(size).values()];
        output.as_ref().to_chw(&mut together).unwrap();
        let mut alone = vec![f32::NAN; together.len()];
        conv.forward_nchw(input, *size, None, false, &mut alone).unwrap();
        let same = together.iter().zip(&alone).all(|(a, b)| a.to_bits() == b.to_bits());
        assert!(same, "{size:?} of {sizes:?}, {spec:?}, {level}");
    }
}

#[test]
fn images_of_one_call_never_meet() {
    for level in Level::available() {
        let spec = Case::new([24, 20], 3, 1, 1, [1, 1]).spec;
        check_together(*level, spec, &[[9, 10], [40, 50], [3, 2], [1, 1]]);
    }
}

#[test]
fn groups_of_output_channels_give_the_bits_of_one_group() {
    // Together they are so many tiles, with so many weights, that output channels are taken in groups;
    // alone they are not.
    let spec = Case::new([576, 144], 3, 1, 1, [1, 1]).spec;
    check_together(Level::best(), spec, &[[4, 260], [4, 260]]);
}

#[test]
fn winograd_is_close_to_the_direct_form_in_f64() {
    let case = Case::new([64, 16], 3, 1, 1, [13, 11]);
    let input = values(64 * 13 * 11, 3);
    let weight = values(case.spec.weights().unwrap(), 4);
    let actual = reference::conv2d(&case.spec, &weight, None, &input, case.size, None, false);
    for co in 0..16 {
        for y in 0..13 {
            for x in 0..11 {
                let mut sum = 0.0f64;
                for ci in 0..64 {
                    for (ky, kx) in (0..9).map(|k| (k / 3, k % 3)) {
                        let (iy, ix) = (y + ky, x + kx);
                        if (1..14).contains(&iy) && (1..12).contains(&ix) {
                            let value = input[(ci * 13 + iy - 1) * 11 + ix - 1];
                            sum += f64::from(value)
                                * f64::from(weight[((co * 64 + ci) * 3 + ky) * 3 + kx]);
                        }
                    }
                }
                let error = f64::from(actual[(co * 13 + y) * 11 + x]) - sum;
                assert!(error.abs() < 1e-4, "{error}");
            }
        }
    }
}

#[test]
fn a_wrong_length_is_an_error_that_names_it() {
    let spec = Case::new([16, 16], 3, 1, 1, [4, 4]).spec;
    let error = Conv2d::new(Level::PORTABLE, spec, &[0.0; 5], None).unwrap_err();
    assert_eq!(error.to_string(), "conv2d weight: expected 2304 values, got 5");
    let huge = Conv2dSpec { in_channels: usize::MAX, ..spec };
    assert!(huge.weights().is_err());
    assert!(spec.output_size([0, 4]).is_err());
}

#[test]
fn other_weights_in_the_same_memory_give_what_new_ones_do() {
    let size = [9, 21];
    for (channels, kernel, stride) in [([17, 33], 3, 1), ([20, 40], 3, 2), ([33, 17], 1, 1)] {
        let spec = Case::new(channels, kernel, stride, kernel / 2, size).spec;
        let input = values(spec.in_channels * size[0] * size[1], 1);
        let [own, other] = [2, 3].map(|seed| values(spec.weights().unwrap(), seed));
        let bias = values(spec.out_channels, 4);
        let [height, width] = spec.output_size(size).unwrap();
        for new in [Conv2d::new, Conv2d::new_fast] {
            let answer = |conv: &Conv2d| {
                let mut output = vec![f32::NAN; spec.out_channels * height * width];
                conv.forward_nchw(&input, size, None, false, &mut output).unwrap();
                output.into_iter().map(f32::to_bits).collect::<Vec<_>>()
            };
            let wanted = answer(&new(Level::best(), spec, &own, Some(&bias)).unwrap());
            let mut again = new(Level::best(), spec, &other, None).unwrap();
            again.repack(&own, Some(&bias)).unwrap();
            assert_eq!(answer(&again), wanted, "{spec:?}");
            assert!(again.repack(&own[1..], None).is_err());
        }
    }
}

#[test]
fn the_fast_form_is_close_and_the_same_for_any_threads() {
    for (channels, kernel, stride, size) in [
        ([64, 96], 1, 1, [9, 34]),
        ([40, 33], 3, 2, [11, 35]),
        ([256, 16], 1, 2, [7, 40]),
        ([24, 7], 2, 1, [5, 3]),
        ([64, 40], 3, 1, [9, 34]),
        ([40, 33], 3, 1, [50, 61]),
    ] {
        let case = Case::new(channels, kernel, stride, kernel / 2, size);
        let out = case.spec.output_size(size).unwrap();
        let input = values(channels[0] * size[0] * size[1], 11);
        let weight = values(case.spec.weights().unwrap(), 12);
        let bias = values(channels[1], 13);
        let residual = values(channels[1] * out[0] * out[1], 14);
        let exact = reference::conv2d(
            &case.spec,
            &weight,
            Some(&bias),
            &input,
            size,
            Some(&residual),
            true,
        );
        let conv = Conv2d::new_fast(Level::best(), case.spec, &weight, Some(&bias)).unwrap();
        let run = |threads: usize| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            let mut output = vec![f32::NAN; exact.len()];
            pool.install(|| conv.forward_nchw(&input, size, Some(&residual), true, &mut output))
                .unwrap();
            output
        };
        let output = run(1);
        assert_eq!(output, run(3));
        // Two roundings of 2^-9 for each product of values below 1; the errors add like a random walk,
        // and Winograd's output transform makes four times as much of them.
        let k = (channels[0] * kernel * kernel) as f32;
        let worst = if Algorithm::of(&case.spec) == Algorithm::Winograd { 0.04 } else { 0.01 };
        for (fast, exact) in output.iter().zip(&exact) {
            assert!((fast - exact).abs() < k.sqrt() * worst, "{fast} {exact} {case:?}");
        }
    }
}

/// Winograd's form in bfloat16, one output at a time, with its sums in f64.
#[cfg(target_arch = "x86_64")]
fn rounded_winograd(case: &Case, input: &[f32], weight: &[f32]) -> Vec<f64> {
    use crate::simd::Scalar;
    use winograd::rounded::{WEIGHTS, input_1d, output_1d};

    let [height, width] = case.size;
    let bf16 = |x: f32| f64::from(f32::from_bits(u32::from(crate::gemm::pairs::to_bf16(x)) << 16));
    let kernels: Vec<_> = weight
        .chunks_exact(9)
        .map(|kernel| winograd::weight_2d(&WEIGHTS, kernel).map(bf16))
        .collect();
    let mut output = vec![0.0; case.spec.out_channels * height * width];
    let channels = case.spec.in_channels;
    for (ty, tx) in (0..height).step_by(4).flat_map(|y| (0..width).step_by(4).map(move |x| (y, x)))
    {
        let patches: Vec<[f64; 36]> = (0..channels)
            .map(|ci| {
                let value = |y: usize, x: usize| {
                    let (y, x) = (y.wrapping_sub(1), x.wrapping_sub(1));
                    let inside = y < height && x < width;
                    if inside { input[(ci * height + y) * width + x] } else { 0.0 }
                };
                let column = |x| std::array::from_fn(|y| value(ty + y, tx + x));
                let columns: [[f32; 6]; 6] = std::array::from_fn(|x| input_1d(Scalar, column(x)));
                let row = |y: usize| std::array::from_fn(|x| columns[x][y]);
                let rows: [[f32; 6]; 6] = std::array::from_fn(|y| input_1d(Scalar, row(y)));
                std::array::from_fn(|i| bf16(rows[i / 6][i % 6]))
            })
            .collect();
        for co in 0..case.spec.out_channels {
            let sum = |i: usize| {
                let products =
                    (0..channels).map(|ci| patches[ci][i] * kernels[co * channels + ci][i]);
                products.sum::<f64>() as f32
            };
            let column = |x| std::array::from_fn(|y| sum(6 * y + x));
            let columns: [[f32; 4]; 6] = std::array::from_fn(|x| output_1d(Scalar, column(x)));
            for y in 0..4.min(height - ty) {
                let row = output_1d(Scalar, std::array::from_fn(|x| columns[x][y]));
                for x in 0..4.min(width - tx) {
                    output[(co * height + ty + y) * width + tx + x] = f64::from(row[x]);
                }
            }
        }
    }
    output
}

#[test]
#[cfg(target_arch = "x86_64")]
fn the_fast_form_of_winograd_is_its_definition() {
    if Level::best().bf16().is_none() {
        eprintln!("skipped: this CPU does not multiply bfloat16");
        return;
    }
    for (channels, size) in
        [([16, 16], [4, 4]), ([17, 33], [9, 35]), ([40, 49], [5, 3]), ([64, 96], [50, 61])]
    {
        let case = Case::new(channels, 3, 1, 1, size);
        let input = values(channels[0] * size[0] * size[1], 21);
        let weight = values(case.spec.weights().unwrap(), 22);
        let expected = rounded_winograd(&case, &input, &weight);
        let conv = Conv2d::new_fast(Level::best(), case.spec, &weight, None).unwrap();
        for threads in [1, 3] {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            let mut output = vec![f32::NAN; expected.len()];
            pool.install(|| conv.forward_nchw(&input, size, None, false, &mut output)).unwrap();
            for (actual, expected) in output.iter().zip(&expected) {
                let error = (f64::from(*actual) - expected).abs();
                assert!(error < 1e-4, "{actual} {expected} {case:?}");
            }
        }
    }
}
