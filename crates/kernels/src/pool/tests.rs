use super::*;
use crate::testing::{assert_same_bits, everywhere, in_ieee, levels, values};
use proptest::prelude::*;

const STEM: MaxPool2dSpec = MaxPool2dSpec { kernel: [3, 3], stride: [2, 2], padding: [1, 1] };
const LAST_LEVEL: MaxPool2dSpec = MaxPool2dSpec { kernel: [1, 1], stride: [2, 2], padding: [0, 0] };

/// Both entry points against the oracle, with outputs that hold NaN before.
fn check(level: Level, spec: &MaxPool2dSpec, channels: usize, size: [usize; 2], seed: u64) {
    let input = values(seed, channels * size[0] * size[1], true);
    let expected =
        in_ieee(&input, |input| reference::max_pool2d(spec, channels, size, input).unwrap());
    let what = format!("{level} {spec:?} {channels} x {size:?}");

    let mut output = vec![f32::NAN; expected.len()];
    max_pool2d_nchw(level, spec, channels, size, &input, &mut output).unwrap();
    assert_same_bits(&output, &expected, &what);

    let blocked = BlockedBuffer::from_chw(BlockedShape::new(channels, size), &input).unwrap();
    let mut pooled =
        BlockedBuffer::zeroed(BlockedShape::new(channels, spec.output_size(size).unwrap()));
    pooled.as_mut().data().fill(f32::NAN);
    max_pool2d(level, spec, blocked.as_ref(), &mut pooled.as_mut()).unwrap();
    pooled.as_ref().to_chw(&mut output).unwrap();
    assert_same_bits(&output, &expected, &what);

    let slopes = values(seed ^ 77, expected.len(), seed.is_multiple_of(2));
    let expected = in_ieee((&input, &slopes), |(input, slopes)| {
        reference::max_pool2d_backward(spec, channels, size, input, slopes).unwrap()
    });
    let slopes = BlockedBuffer::from_chw(pooled.as_ref().shape(), &slopes).unwrap();
    let mut gradient = BlockedBuffer::zeroed(blocked.as_ref().shape());
    gradient.as_mut().data().fill(f32::NAN);
    let mut target = gradient.as_mut();
    max_pool2d_backward(level, spec, blocked.as_ref(), slopes.as_ref(), &mut target).unwrap();
    let mut output = vec![f32::NAN; expected.len()];
    gradient.as_ref().to_chw(&mut output).unwrap();
    assert_same_bits(&output, &expected, format!("gradient of {what}"));
}

#[test]
fn gradients_whose_shapes_do_not_fit_are_errors() {
    let buffer = |size| BlockedBuffer::zeroed(BlockedShape::new(3, size));
    let (input, pooled) = (buffer([8, 8]), buffer([4, 4]));
    let run = |slopes: &BlockedBuffer, mut gradient: BlockedBuffer| {
        let (input, slopes) = (input.as_ref(), slopes.as_ref());
        max_pool2d_backward(Level::best(), &STEM, input, slopes, &mut gradient.as_mut())
    };
    assert!(run(&pooled, buffer([8, 8])).is_ok());
    let error = run(&input, buffer([8, 8])).unwrap_err().to_string();
    assert!(error.contains("the output's gradient"), "{error}");
    let error = run(&pooled, buffer([8, 7])).unwrap_err().to_string();
    assert!(error.contains("the input's gradient"), "{error}");

    let huge = MaxPool2dSpec { kernel: [1, (1 << 24) + 1], stride: [1, 1], padding: [0, 0] };
    let wide = BlockedBuffer::zeroed(BlockedShape::new(0, [1, (1 << 24) + 1]));
    let one = BlockedBuffer::zeroed(BlockedShape::new(0, [1, 1]));
    let (mut gradient, level) = (wide.clone(), Level::best());
    let error =
        max_pool2d_backward(level, &huge, wide.as_ref(), one.as_ref(), &mut gradient.as_mut())
            .unwrap_err();
    assert!(error.to_string().contains("too large for a gradient"), "{error}");
}

#[test]
fn the_fast_path_equals_the_oracle_on_ragged_sizes() {
    everywhere(|level| {
        for channels in [0, 1, 15, 16, 17, 35] {
            for size in [[1, 1], [1, 7], [2, 2], [3, 64], [13, 16], [15, 17], [64, 1]] {
                check(level, &STEM, channels, size, 7);
            }
        }
        check(level, &STEM, 17, [131, 257], 8);
    });
}

#[test]
fn the_general_path_equals_the_oracle_on_ragged_sizes() {
    let two = MaxPool2dSpec { kernel: [2, 2], ..LAST_LEVEL };
    everywhere(|level| {
        for channels in [1, 16, 17] {
            for size in [[2, 2], [13, 7], [25, 34]] {
                check(level, &LAST_LEVEL, channels, size, 3);
                check(level, &two, channels, size, 4);
            }
        }
        check(level, &LAST_LEVEL, 3, [1, 1], 5);
    });
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]
    #[test]
    fn every_window_equals_the_oracle(
        channels in 1usize..36, size in prop::array::uniform2(1usize..40),
        kernel in prop::array::uniform2(1usize..6), stride in prop::array::uniform2(1usize..4),
        padded in prop::array::uniform2(any::<bool>()), seed in any::<u64>(),
    ) {
        let padding = [0, 1].map(|axis| if padded[axis] { kernel[axis] / 2 } else { 0 });
        let spec = MaxPool2dSpec { kernel, stride, padding };
        prop_assume!(spec.output_size(size).is_ok());
        for level in levels() {
            check(level, &spec, channels, size, seed);
        }
    }
}

#[test]
fn the_first_maximum_stays_and_nan_goes_through() {
    for level in levels() {
        let pool = |input: [f32; 3]| {
            let mut output = [7.0];
            let spec = MaxPool2dSpec { kernel: [1, 3], stride: [1, 1], padding: [0, 0] };
            max_pool2d_nchw(level, &spec, 1, [1, 3], &input, &mut output).unwrap();
            output[0]
        };
        assert_eq!(pool([-0.0, 0.0, -1.0]).to_bits(), (-0.0f32).to_bits());
        assert_eq!(pool([0.0, -0.0, -1.0]).to_bits(), 0);
        assert!(pool([f32::NAN, 1.0, 2.0]).is_nan() && pool([1.0, f32::NAN, 2.0]).is_nan());
        assert_eq!(pool([f32::NEG_INFINITY; 3]), f32::NEG_INFINITY);
    }
}

#[test]
fn padding_never_wins() {
    for level in levels() {
        let mut output = [f32::NAN; 4];
        max_pool2d_nchw(level, &STEM, 1, [3, 3], &[-9.0; 9], &mut output).unwrap();
        assert_eq!(output, [-9.0; 4]);
    }
}

#[test]
fn the_output_size_is_rounded_down() {
    assert_eq!(STEM.output_size([400, 544]), Ok([200, 272]));
    assert_eq!(STEM.output_size([1, 2]), Ok([1, 1]));
    assert_eq!(LAST_LEVEL.output_size([25, 34]), Ok([13, 17]));
}

#[test]
fn what_cannot_be_pooled_is_an_error_that_says_why() {
    let error = |spec: MaxPool2dSpec, size| spec.output_size(size).unwrap_err().to_string();
    assert!(error(STEM, [0, 5]).contains("an input of 0"));
    let wide = MaxPool2dSpec { padding: [2, 1], ..STEM };
    assert!(error(wide, [5, 5]).contains("padding 2 is more than half"));
    let standing = MaxPool2dSpec { stride: [2, 0], ..STEM };
    assert!(error(standing, [5, 5]).contains("stride 0"));
    let large = MaxPool2dSpec { kernel: [9, 9], ..STEM };
    assert!(error(large, [5, 9]).contains("too small for a kernel of 9"));

    let level = Level::best();
    let short = max_pool2d_nchw(level, &STEM, 1, [4, 4], &[0.0; 15], &mut [0.0; 4]);
    assert!(short.is_err());
    let input = BlockedBuffer::zeroed(BlockedShape::new(3, [4, 4]));
    let mut output = BlockedBuffer::zeroed(BlockedShape::new(3, [2, 3]));
    assert!(max_pool2d(level, &STEM, input.as_ref(), &mut output.as_mut()).is_err());
}
