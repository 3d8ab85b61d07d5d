use super::*;
use crate::testing::{assert_same_bits, everywhere, in_ieee, levels, values};
use proptest::prelude::*;

/// All entry points against the oracle, with outputs that hold NaN before.
fn check(level: Level, channels: usize, from: [usize; 2], to: [usize; 2], seed: u64) {
    let coarse = values(seed, channels * from[0] * from[1], true);
    let lateral = values(seed ^ 1, channels * to[0] * to[1], true);
    let expected = in_ieee(&coarse, |coarse| {
        reference::upsample_nearest_add(channels, from, to, coarse, &lateral)
    });
    let what = format!("{level} {channels} x {from:?} to {to:?}");
    let mut output = vec![f32::NAN; expected.len()];
    upsample_nearest_add_nchw(level, channels, from, to, &coarse, &lateral, &mut output).unwrap();
    assert_same_bits(&output, &expected, &what);

    let coarse = BlockedBuffer::from_chw(BlockedShape::new(channels, from), &coarse).unwrap();
    let shape = BlockedShape::new(channels, to);
    let mut fine = BlockedBuffer::from_chw(shape, &lateral).unwrap();
    let mut other = BlockedBuffer::zeroed(shape);
    other.as_mut().data().fill(f32::NAN);
    upsample_nearest_add(level, coarse.as_ref(), fine.as_ref(), &mut other.as_mut()).unwrap();
    other.as_ref().to_chw(&mut output).unwrap();
    assert_same_bits(&output, &expected, &what);

    upsample_nearest_add_in_place(level, coarse.as_ref(), &mut fine.as_mut()).unwrap();
    fine.as_ref().to_chw(&mut output).unwrap();
    assert_same_bits(&output, &expected, &what);
}

fn check_backward(level: Level, channels: usize, from: [usize; 2], to: [usize; 2], seed: u64) {
    let gradient = values(seed, channels * to[0] * to[1], true);
    let expected = in_ieee(&gradient, |gradient| {
        reference::upsample_nearest_backward(channels, from, to, gradient)
    });
    let blocked = BlockedBuffer::from_chw(BlockedShape::new(channels, to), &gradient).unwrap();
    let mut coarse = BlockedBuffer::zeroed(BlockedShape::new(channels, from));
    coarse.as_mut().data().fill(f32::NAN);
    upsample_nearest_backward(level, blocked.as_ref(), &mut coarse.as_mut()).unwrap();
    let mut output = vec![f32::NAN; expected.len()];
    coarse.as_ref().to_chw(&mut output).unwrap();
    assert_same_bits(&output, &expected, format!("{level} {channels} x {from:?} from {to:?}"));
}

#[test]
fn the_gradient_equals_the_oracle_on_ragged_sizes() {
    everywhere(|level| {
        for channels in [0, 1, 16, 17, 33] {
            for (from, to) in
                [([1, 1], [1, 1]), ([1, 2], [2, 3]), ([13, 17], [25, 34]), ([7, 5], [3, 16])]
            {
                check_backward(level, channels, from, to, 31);
            }
        }
        check_backward(level, 17, [50, 68], [100, 136], 32);
        check_backward(level, 2, [4, 4], [0, 9], 33);
    });
    let fine = BlockedBuffer::zeroed(BlockedShape::new(4, [4, 4]));
    let mut coarse = BlockedBuffer::zeroed(BlockedShape::new(3, [2, 2]));
    let error =
        upsample_nearest_backward(Level::best(), fine.as_ref(), &mut coarse.as_mut()).unwrap_err();
    assert!(error.to_string().contains("3 channels, expected 4"), "{error}");
}

#[test]
fn every_level_equals_the_oracle_on_ragged_sizes() {
    everywhere(|level| {
        for channels in [0, 1, 15, 16, 17, 33] {
            for (from, to) in
                [([1, 1], [1, 1]), ([1, 2], [2, 3]), ([13, 17], [25, 34]), ([7, 5], [3, 16])]
            {
                check(level, channels, from, to, 21);
            }
        }
        check(level, 17, [50, 68], [100, 136], 22);
        check(level, 2, [4, 4], [0, 9], 23);
    });
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn any_sizes_equal_the_oracle(
        channels in 1usize..36, from in prop::array::uniform2(1usize..40),
        to in prop::array::uniform2(1usize..60), seed in any::<u64>(),
    ) {
        for level in levels() {
            check(level, channels, from, to, seed);
            check_backward(level, channels, from, to, seed);
        }
    }
}

#[test]
fn the_source_index_is_rounded_in_f32() {
    // Some products fall below the whole number that exact arithmetic gives, and read one earlier.
    let differs = (1..400usize).any(|fine| {
        (1..fine).any(|coarse| {
            let map = with_ieee(|| sources(coarse, fine));
            (0..fine).any(|i| map[i] != i * coarse / fine)
        })
    });
    assert!(differs);
}

#[test]
fn doubling_repeats_each_value_twice() {
    for coarse in 1..700 {
        let map = with_ieee(|| sources(coarse, 2 * coarse));
        assert!(map.iter().enumerate().all(|(i, source)| *source == i / 2));
    }
}

#[test]
fn shapes_that_do_not_fit_are_errors() {
    let level = Level::best();
    let buffer = |channels, size| BlockedBuffer::zeroed(BlockedShape::new(channels, size));
    let (coarse, fine) = (buffer(3, [2, 2]), buffer(4, [4, 4]));
    let mut output = buffer(4, [4, 4]);
    let error = upsample_nearest_add(level, coarse.as_ref(), fine.as_ref(), &mut output.as_mut())
        .unwrap_err();
    assert!(error.to_string().contains("3 channels, expected 4"), "{error}");
    let empty = buffer(4, [0, 2]);
    assert!(upsample_nearest_add_in_place(level, empty.as_ref(), &mut output.as_mut()).is_err());
    let mut narrow = buffer(4, [4, 3]);
    let same = buffer(4, [2, 2]);
    assert!(
        upsample_nearest_add(level, same.as_ref(), fine.as_ref(), &mut narrow.as_mut()).is_err()
    );
}
