//! The kernels' error against float64 stays what `benches/accuracy` states.

use retinanet_kernels::Level;
use retinanet_kernels::conv2d::{Algorithm, Conv2d, Conv2dSpec};
use retinanet_tests::generator::{Lively, tensor};

fn drawn(name: &str, shape: &[usize]) -> Vec<f32> {
    let last_norm = "bn3".to_owned();
    let lively = Lively { log2_logits_gain: 0, log2_boxes_gain: 0, last_norm };
    tensor(2, name, shape, &lively)
}

/// Same padding, in f64.
fn exact(spec: &Conv2dSpec, weight: &[f32], input: &[f32], [h, w]: [usize; 2]) -> Vec<f64> {
    let [oh, ow] = spec.output_size([h, w]).unwrap();
    let ([kh, kw], [stride, _], [pad, _]) = (spec.kernel, spec.stride, spec.padding);
    let mut output = vec![0.0; spec.out_channels * oh * ow];
    for (i, value) in output.iter_mut().enumerate() {
        let (co, y, x) = (i / (oh * ow), i / ow % oh, i % ow);
        for ci in 0..spec.in_channels {
            for ky in 0..kh {
                let row = (y * stride + ky).wrapping_sub(pad);
                for kx in 0..kw {
                    let column = (x * stride + kx).wrapping_sub(pad);
                    if row < h && column < w {
                        let tap = weight[((co * spec.in_channels + ci) * kh + ky) * kw + kx];
                        let seen = input[(ci * h + row) * w + column];
                        *value += f64::from(tap) * f64::from(seen);
                    }
                }
            }
        }
    }
    output
}

/// (rms, largest) error over the output's standard deviation, on Kaiming weights and inputs as after
/// a ReLU.
fn error([in_channels, kernel, stride]: [usize; 3]) -> (f64, f64) {
    let (size, out_channels) = ([17, 22], 32);
    let spec = Conv2dSpec {
        in_channels,
        out_channels,
        kernel: [kernel; 2],
        stride: [stride; 2],
        padding: [kernel / 2; 2],
    };
    assert_eq!(Algorithm::of(&spec) == Algorithm::Winograd, (kernel, stride) == (3, 1));
    let weight = drawn("conv.weight", &[out_channels, in_channels, kernel, kernel]);
    let mut input = drawn("input.bias", &[in_channels * size[0] * size[1]]);
    input.iter_mut().filter(|value| **value < 0.0).for_each(|value| *value = 0.0);
    let exact = exact(&spec, &weight, &input, size);
    let mut found = vec![f32::NAN; exact.len()];
    let conv = Conv2d::new(Level::from_env().unwrap(), spec, &weight, None).unwrap();
    conv.forward_nchw(&input, size, None, false, &mut found).unwrap();

    let n = exact.len() as f64;
    let mean = exact.iter().sum::<f64>() / n;
    let spread = (exact.iter().map(|x| (x - mean) * (x - mean)).sum::<f64>() / n).sqrt();
    let errors =
        exact.iter().zip(&found).map(|(exact, found)| (f64::from(*found) - exact) / spread);
    let (mut squares, mut largest) = (0.0, 0.0);
    for error in errors {
        squares += error * error;
        if error.abs() > largest || error.is_nan() {
            largest = error.abs();
        }
    }
    ((squares / n).sqrt(), largest)
}

#[test]
fn winograd_loses_less_than_a_digit_to_one_chain() {
    for (channels, bound) in [(64, 1e-6), (256, 2e-6), (512, 3e-6)] {
        let (rms, largest) = error([channels, 3, 1]);
        println!("winograd {channels}: {rms:.1e} {largest:.1e}");
        assert!(rms < bound && largest < 15.0 * bound, "{channels}: rms {rms:e}, {largest:e}");
    }
}

#[test]
fn one_chain_is_as_accurate_as_its_length_allows() {
    let cases =
        [([3, 7, 2], 4e-7), ([64, 1, 1], 3e-7), ([256, 3, 2], 1.2e-6), ([1024, 1, 1], 9e-7)];
    for (case, bound) in cases {
        let (rms, largest) = error(case);
        println!("direct {case:?}: {rms:.1e} {largest:.1e}");
        assert!(rms < bound && largest < 12.0 * bound, "{case:?}: rms {rms:e}, {largest:e}");
    }
}
