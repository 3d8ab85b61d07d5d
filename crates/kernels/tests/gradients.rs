//! Gradients against PyTorch's in float64, by tolerance: relative to a tensor's largest.

use retinanet_kernels::Level;
use retinanet_kernels::conv2d::{
    Conv2dSpec, DataGradient, DataGradientItem, GradientPair, Input, weight_gradient,
};
use retinanet_kernels::layout::{BlockedBuffer, BlockedShape};
use retinanet_kernels::norm::{GroupNormSpec, group_norm_backward_in_place, group_norm_in_place};
use retinanet_kernels::pointwise::{relu, relu_backward_in_place};
use retinanet_kernels::pool::{MaxPool2dSpec, max_pool2d_backward};
use retinanet_kernels::upsample::upsample_nearest_backward;
use serde::Deserialize;

/// What `tests/golden/make_gradients.py` wrote.
#[derive(Deserialize)]
struct Golden {
    convolutions: Vec<Convolution>,
    group_norm_relu: Vec<Gradient>,
    max_pool: Vec<Gradient>,
    upsample: Vec<Gradient>,
    relu: Vec<Gradient>,
}

#[derive(Deserialize)]
struct Convolution {
    name: String,
    channels: [usize; 2],
    kernel: usize,
    stride: usize,
    padding: usize,
    size: [usize; 2],
    /// Of the input and of the weights.
    gradients: Vec<Gradient>,
}

#[derive(Deserialize)]
struct Gradient {
    /// One in seven.
    values: Vec<f64>,
    /// Of all.
    largest: f64,
    /// What PyTorch's float32 is off.
    torch: f64,
}

impl Gradient {
    #[track_caller]
    fn assert_near(&self, actual: &[f32], worst: f64, what: &str) {
        assert_eq!(actual.len().div_ceil(7), self.values.len(), "{what}");
        let off =
            actual.iter().step_by(7).zip(&self.values).map(|(a, e)| (f64::from(*a) - e).abs());
        let error = off.max_by(f64::total_cmp).unwrap() / self.largest;
        println!("{what}: {error:.1e} of the largest, PyTorch in float32 {:.1e}", self.torch);
        assert!(error <= worst, "{what}: {error:e} of the largest");
    }
}

/// The script's formula.
fn values(seed: usize, len: usize) -> Vec<f32> {
    let number = |i: usize| (i * 7919 + seed * 104_729) % 257;
    (0..len).map(|i| (number(i) as f32 - 128.0) / 97.0).collect()
}

fn blocked(channels: usize, size: [usize; 2], values: &[f32]) -> BlockedBuffer {
    BlockedBuffer::from_chw(BlockedShape::new(channels, size), values).unwrap()
}

fn plain(buffer: &BlockedBuffer) -> Vec<f32> {
    let mut values = vec![f32::NAN; buffer.as_ref().shape().values()];
    buffer.as_ref().to_chw(&mut values).unwrap();
    values
}

fn golden() -> Golden {
    serde_json::from_str(include_str!("testdata/gradients.json")).unwrap()
}

#[test]
fn gradients_of_convolutions_are_pytorchs() {
    let golden = golden();
    assert_eq!(golden.convolutions.len(), 6);
    for case in &golden.convolutions {
        let [in_channels, out_channels] = case.channels;
        let spec = Conv2dSpec {
            in_channels,
            out_channels,
            kernel: [case.kernel; 2],
            stride: [case.stride; 2],
            padding: [case.padding; 2],
        };
        let input = values(1, in_channels * case.size[0] * case.size[1]);
        let weight: Vec<f32> =
            values(2, spec.weights().unwrap()).iter().map(|value| value / 8.0).collect();
        let out = spec.output_size(case.size).unwrap();
        let gradient = blocked(out_channels, out, &values(3, out_channels * out[0] * out[1]));
        let blocks = blocked(in_channels, case.size, &input);
        for level in Level::available() {
            let what = |of: &str| format!("{}, of {of}, {level}", case.name);
            let input = if in_channels < 16 {
                Input::Planar { data: &input, size: case.size }
            } else {
                Input::Blocked(blocks.as_ref())
            };
            let pair = GradientPair { input, grad_output: gradient.as_ref() };
            let mut of_weight = vec![f32::NAN; weight.len()];
            weight_gradient(*level, &spec, &[pair], &mut of_weight).unwrap();
            case.gradients[1].assert_near(&of_weight, 2e-6, &what("weights"));

            let mut of_input = BlockedBuffer::zeroed(BlockedShape::new(in_channels, case.size));
            let item = DataGradientItem {
                grad_output: gradient.as_ref(),
                residual: None,
                output: of_input.as_mut(),
            };
            DataGradient::new(*level, spec, &weight).unwrap().forward(&mut [item]).unwrap();
            case.gradients[0].assert_near(&plain(&of_input), 2e-6, &what("the input"));
        }
    }
}

#[test]
fn gradients_of_group_norm_with_relu_are_pytorchs() {
    let golden = golden();
    let spec = GroupNormSpec { channels: 24, groups: 6, eps: 1e-5 };
    let (size, gamma) = ([5, 7], values(2, 24));
    let beta: Vec<f32> = values(4, 24).iter().map(|value| value / 16.0).collect();
    for level in Level::available() {
        let input = blocked(24, size, &values(1, 24 * 35));
        let mut output = input.clone();
        group_norm_in_place(*level, &spec, &gamma, &beta, true, &mut output.as_mut()).unwrap();
        let mut gradient = blocked(24, size, &values(3, 24 * 35));
        let (mut of_gamma, mut of_beta) = ([f32::NAN; 24], [f32::NAN; 24]);
        group_norm_backward_in_place(
            *level,
            &spec,
            &gamma,
            input.as_ref(),
            Some(output.as_ref()),
            &mut gradient.as_mut(),
            &mut of_gamma,
            &mut of_beta,
        )
        .unwrap();
        let answers = [&plain(&gradient)[..], &of_gamma, &of_beta];
        let named = answers.iter().zip(["x", "gamma", "beta"]).zip(&golden.group_norm_relu);
        for ((actual, name), expected) in named {
            expected.assert_near(actual, 1e-6, &format!("group norm, of {name}, {level}"));
        }
    }
}

#[test]
fn gradients_of_pooling_upsampling_and_relu_are_pytorchs() {
    let golden = golden();
    for level in Level::available() {
        let input = blocked(17, [9, 12], &values(1, 17 * 9 * 12));
        let spec = MaxPool2dSpec { kernel: [3, 3], stride: [2, 2], padding: [1, 1] };
        let gradient = blocked(17, [5, 6], &values(3, 17 * 5 * 6));
        let mut of_input = input.clone();
        let (input, gradient) = (input.as_ref(), gradient.as_ref());
        max_pool2d_backward(*level, &spec, input, gradient, &mut of_input.as_mut()).unwrap();
        golden.max_pool[0].assert_near(&plain(&of_input), 5e-7, "max-pooling");

        let gradient = blocked(17, [9, 14], &values(3, 17 * 9 * 14));
        let mut coarse = BlockedBuffer::zeroed(BlockedShape::new(17, [4, 7]));
        upsample_nearest_backward(*level, gradient.as_ref(), &mut coarse.as_mut()).unwrap();
        golden.upsample[0].assert_near(&plain(&coarse), 5e-7, "upsampling");

        let mut output = vec![f32::NAN; 300];
        relu(*level, &values(1, 300), &mut output).unwrap();
        let mut gradient = values(3, 300);
        relu_backward_in_place(*level, &output, &mut gradient).unwrap();
        golden.relu[0].assert_near(&gradient, 5e-8, "ReLU");
    }
}
