//! Beside candle's own gradients: near them where they are right, and what is wrong with the others.

use candle_core::{Device, Module, Tensor, Var};
use retinanet::ops::{
    Conv2d, GroupNorm, GroupNormSpec, Level, MaxPool2d, MaxPool2dSpec, Relu, UpsampleAdd,
};

use crate::{backward, list, of, relative, spec, tensor, var};

fn level() -> Level {
    Level::from_env().unwrap()
}

#[test]
fn a_convolutions_gradients_are_near_candles() {
    for (channels, kernel, stride, padding, size) in [
        ([17, 33], 3, 1, 1, [13, 10]),
        ([16, 16], 3, 1, 1, [8, 8]),
        ([20, 18], 3, 2, 1, [13, 19]),
        ([33, 17], 1, 1, 0, [9, 14]),
        ([17, 20], 1, 2, 0, [11, 15]),
        ([3, 17], 7, 2, 3, [23, 21]),
    ] {
        let weight = var(1, &[channels[1], channels[0], kernel, kernel]);
        let bias = var(2, &[channels[1]]);
        let whole = var(3, &[2, channels[0], size[0], size[1] + 4]);
        let input = whole.narrow(3, 2, size[1]).unwrap();
        let spec = spec(channels, kernel, stride, padding);
        let conv = Conv2d::from_tensors(level(), spec, &weight, Some(&bias)).unwrap();
        let ours = conv.forward_relu(&input).unwrap();
        let theirs = input.conv2d(&weight, padding, stride, 1, 1).unwrap();
        let theirs = theirs.broadcast_add(&bias.reshape((1, channels[1], 1, 1)).unwrap()).unwrap();
        let theirs = theirs.relu().unwrap();
        assert!(relative(&list(&ours), &list(&theirs)) < 1e-5);
        let gradient = tensor(4, ours.dims());
        let ours = backward(&ours, &gradient).unwrap();
        let theirs = backward(&theirs, &gradient).unwrap();
        for (what, one) in [("input", &whole), ("weight", &weight), ("bias", &bias)] {
            let difference = relative(&of(&ours, one), &of(&theirs, one));
            println!("{spec:?} {what}: {difference:e}");
            assert!(difference < 1e-5, "{spec:?} {what}: {difference:e}");
        }
    }
}

#[test]
fn group_norms_gradients_are_near_candles() {
    for (channels, groups, size) in [(6, 2, [5, 7]), (48, 3, [9, 4]), (40, 8, [33, 40])] {
        let spec = GroupNormSpec { channels, groups, eps: 1e-5 };
        let input = var(1, &[2, channels, size[0], size[1]]);
        let (weight, bias) = (var(2, &[channels]), var(3, &[channels]));
        let ours = GroupNorm::from_tensors(level(), spec, &weight, &bias).unwrap();
        let parameters = [&weight, &bias].map(|one| one.as_tensor().clone());
        let [w, b] = parameters;
        let theirs = candle_nn::GroupNorm::new(w, b, channels, groups, 1e-5).unwrap();
        let gradient = tensor(4, input.dims());
        let ours = backward(&ours.forward_relu(&input).unwrap(), &gradient).unwrap();
        let theirs = backward(&theirs.forward(&input).unwrap().relu().unwrap(), &gradient).unwrap();
        for (what, one) in [("input", &input), ("weight", &weight), ("bias", &bias)] {
            let difference = relative(&of(&ours, one), &of(&theirs, one));
            println!("{spec:?} {what}: {difference:e}");
            assert!(difference < 2e-5, "{spec:?} {what}: {difference:e}");
        }
    }
}

#[test]
fn relus_gradient_is_candles() {
    let input = var(1, &[2, 5, 7, 9]);
    let gradient = tensor(2, input.dims());
    let ours = backward(&Relu::new(level()).forward(&input).unwrap(), &gradient).unwrap();
    let theirs = backward(&input.relu().unwrap(), &gradient).unwrap();
    assert_eq!(of(&ours, &input), of(&theirs, &input));
}

/// Of a function that is linear around `at`: the differences of its sum, exact for small whole numbers.
fn differences(at: &[f32], shape: [usize; 4], f: impl Fn(&Tensor) -> Tensor) -> Vec<f32> {
    let sum = |values: Vec<f32>| -> f32 {
        let input = Tensor::from_vec(values, &shape[..], &Device::Cpu).unwrap();
        f(&input).sum_all().unwrap().to_scalar().unwrap()
    };
    let step = |i: usize, by: f32| {
        let mut values = at.to_vec();
        values[i] += by;
        sum(values)
    };
    (0..at.len()).map(|i| (step(i, 0.25) - step(i, -0.25)) / 0.5).collect()
}

#[test]
fn candle_scales_max_poolings_gradient_down_and_ours_is_the_slope() {
    let values: Vec<f32> = (0..36u8).map(|i| f32::from(i * 7 % 36)).collect();
    let input = Var::from_slice(&values, (1, 1, 6, 6), &Device::Cpu).unwrap();
    let spec = MaxPool2dSpec { kernel: [2, 2], stride: [2, 2], padding: [0, 0] };
    let pool = MaxPool2d::new(level(), spec);
    let slope = differences(&values, [1, 1, 6, 6], |input| pool.forward(input).unwrap());
    assert_eq!(slope.iter().sum::<f32>(), 9.0);
    let ours = pool.forward(&input).unwrap().sum_all().unwrap().backward().unwrap();
    assert_eq!(of(&ours, &input), slope);
    // A quarter of it, for a window of four.
    let theirs = input.max_pool2d(2).unwrap().sum_all().unwrap().backward().unwrap();
    let quarter: Vec<f32> = slope.iter().map(|slope| slope / 4.0).collect();
    assert_eq!(of(&theirs, &input), quarter);
    // What ResNet has, windows that overlap, has no gradient in candle at all.
    let resnet = MaxPool2dSpec { kernel: [3, 3], stride: [2, 2], padding: [1, 1] };
    let pool = MaxPool2d::new(level(), resnet);
    let slope = differences(&values, [1, 1, 6, 6], |input| pool.forward(input).unwrap());
    let ours = pool.forward(&input).unwrap().sum_all().unwrap().backward().unwrap();
    assert_eq!(of(&ours, &input), slope);
    let theirs = input.max_pool2d_with_stride(3, 2).unwrap().sum_all().unwrap();
    assert!(theirs.backward().is_err());
}

#[test]
fn candle_forgets_what_else_reads_an_upsampled_map_and_we_do_not() {
    let coarse = var(1, &[1, 2, 3, 2]);
    let up = UpsampleAdd::new(level());
    let lateral = Tensor::zeros((1, 2, 6, 4), candle_core::DType::F32, &Device::Cpu).unwrap();
    // As in a pyramid: the map goes down, and to its own level's convolution.
    let loss = |down: Tensor| {
        (down.sum_all().unwrap() + (coarse.as_tensor() * 3.0).unwrap().sum_all().unwrap()).unwrap()
    };
    let ours = loss(up.forward(&coarse, &lateral).unwrap()).backward().unwrap();
    assert_eq!(of(&ours, &coarse), [7.0; 12]);
    let theirs = loss(coarse.upsample_nearest2d(6, 4).unwrap()).backward().unwrap();
    assert_eq!(of(&theirs, &coarse), [4.0; 12], "the other reader's 3 are lost");
    // Odd sizes, as canvases have: candle refuses.
    let lateral = Tensor::zeros((1, 2, 5, 3), candle_core::DType::F32, &Device::Cpu).unwrap();
    let ours = up.forward(&coarse, &lateral).unwrap().sum_all().unwrap().backward().unwrap();
    let slope =
        differences(&[1.0; 12], [1, 2, 3, 2], |coarse| up.forward(coarse, &lateral).unwrap());
    assert_eq!(of(&ours, &coarse), slope);
    let theirs = coarse.upsample_nearest2d(5, 3).unwrap().sum_all().unwrap();
    assert!(theirs.backward().is_err());
}
