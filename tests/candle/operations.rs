//! Each operation's gradients are those of the kernels' references, bit for bit.

use candle_core::{DType, Device, Module, Tensor, Var};
use retinanet::ops::{
    Conv2d, Conv2dSpec, GroupNorm, GroupNormSpec, Level, MaxPool2d, MaxPool2dSpec, Relu,
    UpsampleAdd,
};
use retinanet_kernels::conv2d::weight_gradient::reference::weight_gradient;
use retinanet_kernels::conv2d::{DataGradient, DataGradientItem, reference};
use retinanet_kernels::layout::{BlockedBuffer, BlockedShape};
use retinanet_kernels::sum::{pairwise, sum};
use retinanet_kernels::{norm, pool, upsample};

use crate::{
    assert_same_bits, backward, bits, list, of, plus_zero, same_everywhere, spec, tensor, values,
    var,
};

/// One gradient an image, added in the images' order over the pairwise tree.
fn over_images(gradients: &[Vec<f32>]) -> Vec<f32> {
    let value = |i: usize| pairwise(&mut gradients.iter().map(|one| one[i]).collect::<Vec<_>>());
    plus_zero((0..gradients[0].len()).map(value).collect())
}

/// +0 where the output is not above 0.
fn masked(gradient: &[f32], output: &[f32]) -> Vec<f32> {
    gradient.iter().zip(output).map(|(g, y)| if *y <= 0.0 { 0.0 } else { *g }).collect()
}

fn images(tensor: &Tensor) -> Vec<Vec<f32>> {
    (0..tensor.dims()[0]).map(|i| list(&tensor.get(i).unwrap())).collect()
}

fn data_gradient(spec: Conv2dSpec, size: [usize; 2], weight: &[f32], gradient: &[f32]) -> Vec<f32> {
    let out = BlockedShape::new(spec.out_channels, spec.output_size(size).unwrap());
    let shape = BlockedShape::new(spec.in_channels, size);
    let gradient = BlockedBuffer::from_chw(out, gradient).unwrap();
    let mut of_input = BlockedBuffer::zeroed(shape);
    let item = DataGradientItem {
        grad_output: gradient.as_ref(),
        residual: None,
        output: of_input.as_mut(),
    };
    DataGradient::new(Level::best(), spec, weight).unwrap().forward(&mut [item]).unwrap();
    let mut values = vec![0.0; shape.values()];
    of_input.as_ref().to_chw(&mut values).unwrap();
    values
}

/// Convolutions and the sizes of their inputs.
const CONVOLUTIONS: [(Conv2dSpec, [usize; 2]); 6] = [
    (spec([17, 33], 3, 1, 1), [13, 10]),
    (spec([20, 18], 3, 2, 1), [12, 19]),
    (spec([33, 17], 1, 1, 0), [9, 14]),
    (spec([17, 20], 1, 2, 0), [10, 15]),
    (spec([3, 17], 7, 2, 3), [23, 20]),
    (spec([20, 5], 3, 1, 1), [8, 9]),
];

#[test]
fn a_convolutions_gradients_are_the_references() {
    for (seed, (spec, size)) in (0u64..).zip(CONVOLUTIONS) {
        let Conv2dSpec { in_channels, out_channels, kernel: [kernel, _], .. } = spec;
        let [out_h, out_w] = spec.output_size(size).unwrap();
        let weight = var(seed, &[out_channels, in_channels, kernel, kernel]);
        let (input, bias) =
            (var(seed + 50, &[3, in_channels, size[0], size[1]]), var(seed + 60, &[out_channels]));
        let out_shape = [3, out_channels, out_h, out_w];
        let (residual, gradient) = (var(seed + 70, &out_shape), tensor(seed + 80, &out_shape));
        let [weights, biases] = [&weight, &bias].map(|one| list(one));
        for (with_bias, relu, with_residual) in
            [(true, false, false), (false, true, false), (true, true, true), (false, true, true)]
        {
            let what = format!("{spec:?}, bias {with_bias}, relu {relu}, residual {with_residual}");
            let used = with_bias.then_some(bias.as_tensor());
            let run = |conv: &Conv2d| match (relu, with_residual) {
                (_, true) => conv.forward_add_relu(&input, &residual).unwrap(),
                (true, _) => conv.forward_relu(&input).unwrap(),
                _ => conv.forward(&input).unwrap(),
            };
            let level = Level::from_env().unwrap();
            let trained = Conv2d::from_tensors(level, spec, &weight, used).unwrap();
            let output = run(&trained);
            let used = with_bias.then_some(&biases[..]);
            let constant = run(&Conv2d::new(level, spec, &weights, used).unwrap());
            assert_same_bits(&list(&output), &list(&constant), &what);
            let residuals = images(&residual);
            let mut of_pre = Vec::new();
            for (i, ((x, y), g)) in
                images(&input).iter().zip(images(&output)).zip(images(&gradient)).enumerate()
            {
                let residual = with_residual.then_some(&residuals[i][..]);
                let expected = reference::conv2d(&spec, &weights, used, x, size, residual, relu);
                assert_same_bits(&y, &expected, &what);
                of_pre.push(if relu { masked(&g, &y) } else { g });
            }
            let inputs = images(&input);
            let of_weight: Vec<_> = inputs
                .iter()
                .zip(&of_pre)
                .map(|(x, g)| weight_gradient(&spec, &[(x, size, g)]))
                .collect();
            let pixels = out_h * out_w;
            let of_bias: Vec<Vec<f32>> = of_pre
                .iter()
                .map(|g| g.chunks(pixels).map(|one| sum(Level::best(), one)).collect())
                .collect();
            let of_input: Vec<f32> =
                of_pre.iter().flat_map(|g| data_gradient(spec, size, &weights, g)).collect();

            let gradients = backward(&output, &gradient).unwrap();
            assert_same_bits(&of(&gradients, &weight), &over_images(&of_weight), &what);
            assert_same_bits(&of(&gradients, &input), &plus_zero(of_input), &what);
            if with_bias {
                assert_same_bits(&of(&gradients, &bias), &over_images(&of_bias), &what);
            } else {
                assert!(gradients.get(&bias).is_none());
            }
            let packed = backward(&constant, &gradient).unwrap();
            assert_same_bits(&of(&packed, &input), &of(&gradients, &input), &what);
            assert!(packed.get(&weight).is_none());
            if with_residual {
                let of_residual = plus_zero(of_pre.concat());
                assert_same_bits(&of(&gradients, &residual), &of_residual, &what);
                assert_same_bits(&of(&packed, &residual), &of_residual, &what);
            }
        }
    }
}

#[test]
fn a_convolutions_gradients_are_the_same_everywhere() {
    for (seed, (spec, size)) in (0u64..).zip(CONVOLUTIONS) {
        let Conv2dSpec { in_channels, out_channels, kernel: [kernel, _], .. } = spec;
        let weight = var(seed, &[out_channels, in_channels, kernel, kernel]);
        let (input, bias) =
            (var(seed + 50, &[2, in_channels, size[0], size[1]]), var(seed + 60, &[out_channels]));
        same_everywhere(|level| {
            let conv = Conv2d::from_tensors(level, spec, &weight, Some(&bias)).unwrap();
            let output = conv.forward_relu(&input).unwrap();
            let gradients = backward(&output, &tensor(seed + 80, output.dims())).unwrap();
            [&input, &weight, &bias].map(|one| of(&gradients, one)).concat()
        });
    }
}

#[test]
fn an_images_gradient_is_that_of_the_image_alone() {
    let level = Level::from_env().unwrap();
    let (spec, groups) =
        (spec([17, 32], 3, 1, 1), GroupNormSpec { channels: 32, groups: 4, eps: 1e-5 });
    let conv = Conv2d::new(level, spec, &values(1, 17 * 32 * 9), None).unwrap();
    let norm = GroupNorm::new(level, groups, &values(2, 32), &values(3, 32)).unwrap();
    let pool = MaxPool2dSpec { kernel: [3, 3], stride: [2, 2], padding: [1, 1] };
    let pool = MaxPool2d::new(level, pool);
    let chain = |input: &Tensor| {
        let y = norm.forward_relu(&conv.forward(input).unwrap()).unwrap();
        let coarse = pool.forward(&y).unwrap();
        UpsampleAdd::new(level).forward(&coarse, &y).unwrap()
    };
    let both = var(4, &[2, 17, 11, 14]);
    let gradient = tensor(5, &[2, 32, 11, 14]);
    let together = of(&backward(&chain(&both), &gradient).unwrap(), &both);
    let alone: Vec<f32> = (0..2)
        .flat_map(|i| {
            let one = Var::from_tensor(&both.narrow(0, i, 1).unwrap()).unwrap();
            let gradient = gradient.narrow(0, i, 1).unwrap();
            of(&backward(&chain(&one), &gradient).unwrap(), &one)
        })
        .collect();
    assert_same_bits(&together, &alone, "a batch of two");
}

#[test]
fn group_norms_gradients_are_the_references() {
    for (channels, groups, size) in
        [(6, 2, [5, 7]), (48, 3, [9, 4]), (32, 32, [1, 3]), (40, 8, [33, 40])]
    {
        let spec = GroupNormSpec { channels, groups, eps: 1e-5 };
        let shape = [3, channels, size[0], size[1]];
        let (input, gradient) = (var(1, &shape), tensor(2, &shape));
        let (weight, bias) = (var(3, &[channels]), var(4, &[channels]));
        for relu in [false, true] {
            let run = |norm: &GroupNorm| match relu {
                true => norm.forward_relu(&input).unwrap(),
                false => norm.forward(&input).unwrap(),
            };
            let answer = same_everywhere(|level| {
                let norm = GroupNorm::from_tensors(level, spec, &weight, &bias).unwrap();
                let gradients = backward(&run(&norm), &gradient).unwrap();
                [&input, &weight, &bias].map(|one| of(&gradients, one)).concat()
            });
            let level = Level::from_env().unwrap();
            let [weights, biases] = [&weight, &bias].map(|one| list(one));
            let output = run(&GroupNorm::new(level, spec, &weights, &biases).unwrap());
            let (mut of_input, mut of_weight, mut of_bias) = (Vec::new(), Vec::new(), Vec::new());
            for ((x, y), g) in images(&input).iter().zip(images(&output)).zip(images(&gradient)) {
                let pixels = size[0] * size[1];
                let y = relu.then_some(&y[..]);
                let [x, w, b] =
                    norm::reference::group_norm_backward(&spec, &weights, pixels, x, y, &g);
                of_input.extend(x);
                of_weight.push(w);
                of_bias.push(b);
            }
            let of_input = plus_zero(of_input);
            let expected = [of_input.clone(), over_images(&of_weight), over_images(&of_bias)];
            assert_same_bits(&answer, &expected.concat(), &format!("{spec:?}"));
            let constant = of(&backward(&output, &gradient).unwrap(), &input);
            assert_same_bits(&constant, &of_input, "constant weights");
        }
    }
}

#[test]
fn max_poolings_gradient_is_the_references() {
    for (kernel, stride, padding, size) in
        [(3, 2, 1, [11, 14]), (1, 2, 0, [5, 4]), (2, 2, 0, [6, 9]), (3, 1, 1, [4, 7])]
    {
        let pair = |value| [value; 2];
        let spec =
            MaxPool2dSpec { kernel: pair(kernel), stride: pair(stride), padding: pair(padding) };
        // Few values, so that a window has several maxima.
        let coarse: Vec<f32> =
            values(1, 2 * 19 * size[0] * size[1]).iter().map(|v| (v * 2.0).round()).collect();
        let input = Var::from_vec(coarse, (2, 19, size[0], size[1]), &Device::Cpu).unwrap();
        let [h, w] = spec.output_size(size).unwrap();
        let gradient = tensor(2, &[2, 19, h, w]);
        let answer = same_everywhere(|level| {
            let output = MaxPool2d::new(level, spec).forward(&input).unwrap();
            of(&backward(&output, &gradient).unwrap(), &input)
        });
        let expected = images(&input).into_iter().zip(images(&gradient)).flat_map(|(x, g)| {
            pool::reference::max_pool2d_backward(&spec, 19, size, &x, &g).unwrap()
        });
        assert_same_bits(&answer, &plus_zero(expected.collect()), &format!("{spec:?}"));
    }
}

#[test]
fn upsamplings_gradients_are_the_references() {
    for (size, fine) in [([3, 4], [5, 8]), ([1, 1], [3, 2]), ([7, 5], [14, 10]), ([4, 6], [3, 6])] {
        let (coarse, lateral) =
            (var(1, &[2, 18, size[0], size[1]]), var(2, &[2, 18, fine[0], fine[1]]));
        let gradient = tensor(3, lateral.dims());
        let answer = same_everywhere(|level| {
            let output = UpsampleAdd::new(level).forward(&coarse, &lateral).unwrap();
            let gradients = backward(&output, &gradient).unwrap();
            [&coarse, &lateral].map(|one| of(&gradients, one)).concat()
        });
        let of_coarse = images(&gradient)
            .iter()
            .flat_map(|g| upsample::reference::upsample_nearest_backward(18, size, fine, g))
            .collect();
        let expected = [plus_zero(of_coarse), list(&gradient)].concat();
        assert_same_bits(&answer, &expected, &format!("{size:?} to {fine:?}"));
    }
}

#[test]
fn relus_gradient_is_that_of_what_is_above_0_and_of_nan() {
    let x = [-1.0f32, -0.0, 0.0, f32::NAN, 2.0, f32::INFINITY];
    let input = Var::from_slice(&x, (1, 1, 1, 6), &Device::Cpu).unwrap();
    // Not through `backward`, whose product with a NaN is one.
    let output = Relu::new(Level::from_env().unwrap()).forward(&input).unwrap();
    let gradient = output.sum_all().unwrap().backward().unwrap();
    assert_eq!(of(&gradient, &input), [0.0, 0.0, 0.0, 1.0, 1.0, 1.0]);
    let input = var(1, &[3, 5, 7, 9]);
    let gradient = tensor(2, input.dims());
    let answer = same_everywhere(|level| {
        of(&backward(&Relu::new(level).forward(&input).unwrap(), &gradient).unwrap(), &input)
    });
    assert_same_bits(&answer, &masked(&list(&gradient), &list(&input)), "relu");
}

#[test]
fn a_strided_views_gradient_lies_where_the_view_does() {
    let level = Level::from_env().unwrap();
    let conv = Conv2d::new(level, spec([17, 20], 3, 1, 1), &values(1, 17 * 20 * 9), None).unwrap();
    let whole = var(2, &[2, 11, 17, 16]);
    let view = |whole: &Tensor| whole.narrow(3, 3, 9).unwrap().transpose(1, 2).unwrap();
    let copy = Var::from_tensor(&view(&whole).contiguous().unwrap()).unwrap();
    let gradient = tensor(3, &[2, 20, 11, 9]);
    let of_copy = backward(&conv.forward(&copy).unwrap(), &gradient).unwrap();
    let of_whole = backward(&conv.forward(&view(&whole)).unwrap(), &gradient).unwrap();
    let of_view = view(of_whole.get(&whole).unwrap());
    assert_same_bits(&list(&of_view), &of(&of_copy, &copy), "the view");
    let left = list(&of_whole.get(&whole).unwrap().narrow(3, 0, 3).unwrap());
    assert_eq!(bits(&left), vec![0; left.len()]);
    // A gradient in another order of memory.
    let turned = gradient.transpose(2, 3).unwrap().contiguous().unwrap().transpose(2, 3).unwrap();
    assert!(!turned.is_contiguous());
    let again = backward(&conv.forward_relu(&copy).unwrap(), &turned).unwrap();
    let plain = backward(&conv.forward_relu(&copy).unwrap(), &gradient).unwrap();
    assert_same_bits(&of(&again, &copy), &of(&plain, &copy), "a strided gradient");
}

#[test]
fn half_precision_variables_get_gradients_of_their_own_format() {
    let level = Level::from_env().unwrap();
    let half = Var::from_tensor(&tensor(1, &[20, 17, 1, 1]).to_dtype(DType::F16).unwrap()).unwrap();
    let spec = spec([17, 20], 1, 1, 0);
    let conv = Conv2d::from_tensors(level, spec, &half, None).unwrap();
    let output = conv.forward(&tensor(2, &[1, 17, 3, 5])).unwrap();
    let gradients = output.sum_all().unwrap().backward().unwrap();
    assert_eq!(gradients.get(&half).unwrap().dtype(), DType::F16);
}

#[test]
fn an_input_without_gradient_and_a_shape_that_does_not_fit_are_told() {
    let level = Level::from_env().unwrap();
    // A padding as large as the kernel has no data gradient: an error, not a zero.
    let wide = spec([1, 1], 1, 1, 1);
    let conv = Conv2d::new(level, wide, &[1.0], None).unwrap();
    let input = var(1, &[1, 1, 2, 2]);
    let error = conv.forward(&input).unwrap().sum_all().unwrap().backward().unwrap_err();
    assert!(error.to_string().contains("padding must be smaller"), "{error}");
    let weight = var(2, &[4, 3, 1, 1]);
    let error = Conv2d::from_tensors(level, spec([3, 5], 1, 1, 0), &weight, None).unwrap_err();
    assert!(error.to_string().contains("weight has shape [4, 3, 1, 1]"), "{error}");
}
