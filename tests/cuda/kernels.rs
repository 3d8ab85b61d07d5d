//! Every GPU kernel against its CPU twin, bit for bit, at ragged sizes.

use std::sync::Arc;

use retinanet_kernels::conv2d::{Algorithm, Conv2d, Conv2dSpec, CudaConv2d, CudaItem};
use retinanet_kernels::cuda::{Gpu, Map, source};
use retinanet_kernels::norm::{CudaGroupNorm, GroupNormSpec, group_norm_nchw};
use retinanet_kernels::pointwise::{Function, map_cuda};
use retinanet_kernels::pool::{MaxPool2dSpec, max_pool2d_cuda, max_pool2d_nchw};
use retinanet_kernels::resize::{
    Normalisation, ResizeSpec, resize_normalised, resize_normalised_cuda,
};
use retinanet_kernels::select::{Selected, select_cuda};
use retinanet_kernels::upsample::{upsample_nearest_add_cuda, upsample_nearest_add_nchw};
use retinanet_kernels::{Level, exp, sigmoid};
use sha2::Digest as _;

use crate::emulator::{Chip, emulated, kernel_names};
use crate::gpus::{Watched, gpus};

/// Values of all sizes and signs, some of them zeros of both signs, from a fixed sequence.
pub fn values(seed: u64, len: usize) -> Vec<f32> {
    let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    (0..len)
        .map(|_| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            let unit = (state >> 40) as f32 / (1 << 24) as f32 - 0.5;
            match state & 31 {
                0 => 0.0,
                1 => -0.0,
                2 => unit * 1e-30,
                3 => unit * 1e3,
                _ => unit * 4.0,
            }
        })
        .collect()
}

pub fn bits(values: &[f32]) -> Vec<u32> {
    values.iter().map(|value| value.to_bits()).collect()
}

/// Compares, and prints a row of the table CPU against GPU (`--nocapture` shows it).
#[track_caller]
fn assert_same(what: &str, expected: &[f32], found: &[f32]) {
    let digest = |values: &[f32]| -> String {
        let bytes: Vec<u8> = values.iter().flat_map(|value| value.to_le_bytes()).collect();
        sha2::Sha256::digest(bytes).iter().take(8).map(|byte| format!("{byte:02x}")).collect()
    };
    println!("| {what} | {} | {} |", digest(expected), digest(found));
    assert_eq!(bits(found), bits(expected), "{what}");
}

fn spec(channels: [usize; 2], kernel: usize, stride: usize, padding: usize) -> Conv2dSpec {
    let [in_channels, out_channels] = channels;
    let [kernel, stride, padding] = [kernel, stride, padding].map(|side| [side; 2]);
    Conv2dSpec { in_channels, out_channels, kernel, stride, padding }
}

/// All images in one call, each against the CPU's answer to it alone.
fn check_convolution(gpu: &Gpu, spec: Conv2dSpec, sizes: &[[usize; 2]], seed: u64) {
    let weight = values(seed, spec.weights().unwrap());
    let bias = (seed.is_multiple_of(2)).then(|| values(seed + 1, spec.out_channels));
    let cpu = Conv2d::new(Level::best(), spec, &weight, bias.as_deref()).unwrap();
    let on_gpu = CudaConv2d::new(gpu, spec, &weight, bias.as_deref()).unwrap();
    let inputs: Vec<Vec<f32>> = (0u64..)
        .zip(sizes)
        .map(|(i, size)| values(seed + 10 + i, spec.in_channels * size[0] * size[1]))
        .collect();
    let maps: Vec<Map> = inputs
        .iter()
        .zip(sizes)
        .map(|(input, size)| Map::from_chw(gpu, spec.in_channels, *size, input).unwrap())
        .collect();
    for (with_residual, relu) in [(false, false), (true, true)] {
        let residuals: Option<Vec<Vec<f32>>> = with_residual.then(|| {
            (0u64..)
                .zip(sizes)
                .map(|(i, size)| {
                    let out = cpu.output_size(*size).unwrap();
                    values(seed + 50 + i, spec.out_channels * out[0] * out[1])
                })
                .collect()
        });
        let residual_maps: Option<Vec<Map>> = residuals.as_ref().map(|all| {
            all.iter()
                .zip(sizes)
                .map(|(values, size)| {
                    let out = cpu.output_size(*size).unwrap();
                    Map::from_chw(gpu, spec.out_channels, out, values).unwrap()
                })
                .collect()
        });
        let items: Vec<CudaItem<'_>> = maps
            .iter()
            .enumerate()
            .map(|(i, input)| CudaItem {
                input,
                residual: residual_maps.as_ref().map(|all| &all[i]),
            })
            .collect();
        let found = on_gpu.forward(&items, relu).unwrap();
        for (i, (found, size)) in found.iter().zip(sizes).enumerate() {
            let out = cpu.output_size(*size).unwrap();
            let mut expected = vec![f32::NAN; spec.out_channels * out[0] * out[1]];
            let residual = residuals.as_ref().map(|all| &all[i][..]);
            cpu.forward_nchw(&inputs[i], *size, residual, relu, &mut expected).unwrap();
            assert_eq!(found.size(), out);
            let found = found.to_chw().unwrap();
            assert_same(&format!("{spec:?}, image {i} of {sizes:?}"), &expected, &found);
        }
    }
}

/// That every tile size of `kind` is among the kernels that were started.
fn assert_all_tiles(kind: &str, gpus: &[Arc<Watched>]) {
    if gpus.is_empty() {
        return;
    }
    let started: Vec<_> = gpus.iter().flat_map(|watched| watched.started()).collect();
    for size in ["small", "medium", "large"] {
        let name = format!("{kind}_{size}");
        assert!(started.contains(&&*name), "{name} was never started");
    }
}

#[test]
fn direct_convolutions_equal_the_cpu() {
    let mut all = Vec::new();
    for (gpu, watched) in gpus() {
        all.push(watched);
        let cases = [
            (spec([3, 17], 7, 2, 3), vec![[37, 53], [1, 1], [8, 8]]),
            (spec([19, 130], 3, 2, 1), vec![[13, 9]]),
            (spec([5, 7], 3, 1, 1), vec![[6, 5], [2, 3]]),
            (spec([33, 40], 1, 1, 0), vec![[5, 7], [16, 16], [1, 1]]),
            (spec([64, 256], 1, 1, 0), vec![[11, 11]]),
            (spec([20, 31], 1, 2, 0), vec![[9, 14]]),
            (spec([1, 1], 1, 1, 0), vec![[1, 1]]),
            (spec([8, 5], 2, 3, 0), vec![[7, 7], [2, 2]]),
        ];
        for (seed, (spec, sizes)) in (1u64..).zip(cases) {
            assert_eq!(Algorithm::of(&spec), Algorithm::Direct);
            check_convolution(&gpu, spec, &sizes, seed);
        }
    }
    assert_all_tiles("direct", &all);
}

#[test]
fn winograd_convolutions_equal_the_cpu() {
    let mut all = Vec::new();
    for (gpu, watched) in gpus() {
        all.push(watched);
        let cases = [
            (spec([16, 16], 3, 1, 1), vec![[1, 1], [4, 4], [5, 9], [13, 7]]),
            (spec([37, 130], 3, 1, 1), vec![[17, 23], [3, 50]]),
            (spec([16, 36], 3, 1, 0), vec![[3, 3], [11, 6]]),
            (spec([64, 64], 3, 1, 2), vec![[30, 41]]),
            (spec([17, 128], 3, 1, 1), vec![[40, 47]]),
        ];
        for (seed, (spec, sizes)) in (1u64..).zip(cases) {
            assert_eq!(Algorithm::of(&spec), Algorithm::Winograd);
            check_convolution(&gpu, spec, &sizes, seed);
        }
    }
    assert_all_tiles("winograd_multiply", &all);
}

#[test]
fn more_images_than_a_launch_holds_and_more_tiles_than_fit_scratch_change_nothing() {
    let Some((gpu, _)) = gpus().pop() else { return };
    let sizes: Vec<[usize; 2]> = (0..35).map(|i| [1 + i % 7, 3 + i % 5]).collect();
    check_convolution(&gpu, spec([16, 20], 3, 1, 1), &sizes, 2);
    check_convolution(&gpu, spec([3, 20], 3, 1, 1), &sizes, 3);
    // 36 x 1024 channels leave room for 910 of these 1,056 tiles at a time.
    check_convolution(&gpu, spec([16, 1024], 3, 1, 1), &[[130, 127]], 4);
}

#[test]
fn a_sum_that_underflows_to_minus_zero_stays_minus_zero() {
    for (gpu, _) in gpus() {
        // Five products, so that the last block of k is not full.
        let spec = spec([5, 1], 1, 1, 0);
        let weight = [-1e-30f32, 0.0, 0.0, 0.0, 0.0];
        let conv = CudaConv2d::new(&gpu, spec, &weight, None).unwrap();
        let input = Map::from_chw(&gpu, 5, [1, 1], &[1e-30, -0.0, -0.0, -0.0, -0.0]).unwrap();
        let found = conv.forward(&[CudaItem { input: &input, residual: None }], false).unwrap();
        assert_eq!(bits(&found[0].to_chw().unwrap()), [(-0.0f32).to_bits()]);
    }
}

#[test]
fn max_pooling_equals_the_cpu_with_nan_and_zeros() {
    for (gpu, _) in gpus() {
        for (seed, size) in (1u64..).zip([[1, 1], [2, 3], [7, 7], [16, 33]]) {
            for (kernel, stride, padding) in [(3, 2, 1), (2, 2, 0), (1, 2, 0), (5, 3, 2)] {
                let [kernel, stride, padding] = [kernel, stride, padding].map(|side| [side; 2]);
                let spec = MaxPool2dSpec { kernel, stride, padding };
                let Ok(out) = spec.output_size(size) else { continue };
                let mut input = values(seed, 5 * size[0] * size[1]);
                input[size[1] / 2] = f32::NAN;
                let mut expected = vec![0.0; 5 * out[0] * out[1]];
                max_pool2d_nchw(Level::best(), &spec, 5, size, &input, &mut expected).unwrap();
                let map = Map::from_chw(&gpu, 5, size, &input).unwrap();
                let found = max_pool2d_cuda(&spec, &map).unwrap().to_chw().unwrap();
                // NaN payloads differ by machine.
                let same =
                    |(a, b): (&f32, &f32)| a.to_bits() == b.to_bits() || a.is_nan() && b.is_nan();
                assert!(found.iter().zip(&expected).all(same), "{spec:?} of {size:?}");
            }
        }
    }
}

#[test]
fn upsampling_equals_the_cpu() {
    for (gpu, _) in gpus() {
        for (coarse, fine) in
            [([1, 1], [1, 1]), ([2, 3], [4, 6]), ([7, 9], [13, 17]), ([5, 4], [3, 2])]
        {
            let small = values(3, 6 * coarse[0] * coarse[1]);
            let lateral = values(4, 6 * fine[0] * fine[1]);
            let mut expected = vec![0.0; lateral.len()];
            upsample_nearest_add_nchw(
                Level::best(),
                6,
                coarse,
                fine,
                &small,
                &lateral,
                &mut expected,
            )
            .unwrap();
            let coarse = Map::from_chw(&gpu, 6, coarse, &small).unwrap();
            let mut found = Map::from_chw(&gpu, 6, fine, &lateral).unwrap();
            upsample_nearest_add_cuda(&coarse, &mut found).unwrap();
            assert_same("upsample_add", &expected, &found.to_chw().unwrap());
        }
    }
}

#[test]
fn group_normalisation_equals_the_cpu() {
    for (gpu, _) in gpus() {
        for (channels, groups) in [(32, 32), (64, 8), (12, 3), (7, 1)] {
            let spec = GroupNormSpec { channels, groups, eps: 1e-5 };
            let (gamma, beta) = (values(5, channels), values(6, channels));
            let norm = CudaGroupNorm::new(&gpu, spec, &gamma, &beta).unwrap();
            let sizes = [[1, 1], [3, 5], [16, 16], [17, 31], [1, 257]];
            let inputs = sizes.map(|[h, w]| values(7, channels * h * w));
            for relu in [false, true] {
                let maps = inputs.iter().zip(sizes);
                let mut maps: Vec<Map> = maps
                    .map(|(input, size)| Map::from_chw(&gpu, channels, size, input).unwrap())
                    .collect();
                norm.forward_in_place(&mut maps, relu).unwrap();
                for ((map, input), size) in maps.iter().zip(&inputs).zip(sizes) {
                    let mut expected = vec![0.0; input.len()];
                    group_norm_nchw(
                        Level::best(),
                        &spec,
                        &gamma,
                        &beta,
                        size,
                        relu,
                        input,
                        &mut expected,
                    )
                    .unwrap();
                    let what = format!("{spec:?} of {size:?}");
                    assert_same(&what, &expected, &map.to_chw().unwrap());
                }
            }
        }
    }
}

#[test]
fn exp_sigmoid_and_relu_equal_the_cpu() {
    let Some((gpu, _)) = gpus().pop() else { return };
    let mut inputs: Vec<f32> = (0..200_000u32).map(|i| f32::from_bits(i * 21_474)).collect();
    inputs.extend((0..40_000).map(|i| i as f32 * 0.01 - 200.0));
    inputs.extend([0.0, -0.0, f32::INFINITY, f32::NEG_INFINITY]);
    inputs.retain(|x| !x.is_nan());
    let map = Map::from_chw(&gpu, 1, [1, inputs.len()], &inputs).unwrap();
    let relu = |x: f32| if x < 0.0 { 0.0 } else { x };
    for (function, expected) in [
        (Function::Relu, relu as fn(f32) -> f32),
        (Function::Exp, exp),
        (Function::Sigmoid, sigmoid),
    ] {
        let found = map_cuda(function, &map).unwrap().to_chw().unwrap();
        let expected: Vec<f32> = inputs.iter().map(|x| expected(*x)).collect();
        assert_same(&format!("{function:?}"), &expected, &found);
    }
}

#[test]
fn resizing_equals_the_cpu() {
    let normalisation = Normalisation::new([0.485, 0.456, 0.406], [0.229, 0.224, 0.225]).unwrap();
    for (gpu, _) in gpus() {
        for (source, resized, padded) in [
            ([1, 1], [3, 5], [32, 32]),
            ([48, 31], [80, 52], [96, 64]),
            ([100, 90], [33, 30], [64, 32]),
            ([20, 20], [20, 20], [20, 23]),
        ] {
            let spec = ResizeSpec::new(source, resized, padded).unwrap();
            let rgb: Vec<u8> =
                (0..spec.source_len()).map(|i| (i * 7919 % 1009 % 256) as u8).collect();
            let mut expected = vec![f32::NAN; spec.output_len()];
            resize_normalised(&spec, &normalisation, &rgb, &mut expected).unwrap();
            let found = resize_normalised_cuda(&gpu, &spec, &normalisation, &rgb).unwrap();
            assert_same(&format!("{spec:?}"), &expected, &found.to_chw().unwrap());
        }
    }
}

#[test]
fn selection_finds_all_that_is_not_surely_below_the_bound_in_order() {
    for (gpu, _) in gpus() {
        let sizes = [[1, 1], [5, 3], [40, 31], [70, 99]];
        let mut inputs = sizes.map(|[h, w]| values(9, 9 * h * w));
        inputs[1][7] = f32::NAN;
        inputs[2][5] = f32::INFINITY;
        inputs[2][90] = f32::NEG_INFINITY;
        let maps: Vec<Map> = inputs
            .iter()
            .zip(sizes)
            .map(|(input, size)| Map::from_chw(&gpu, 9, size, input).unwrap())
            .collect();
        let maps: Vec<&Map> = (0..20).map(|i| &maps[i % 4]).collect();
        for bound in [1.5, f32::MIN, f32::MAX, -1.0] {
            let found = select_cuda(&maps, bound).unwrap();
            assert_eq!(found.len(), maps.len());
            for (i, found) in found.iter().enumerate() {
                let mut expected = Selected::default();
                for (index, value) in (0..).zip(&inputs[i % 4]) {
                    if !(value.is_finite() && *value < bound) {
                        expected.indices.push(index);
                        expected.values.push(*value);
                    }
                }
                assert_eq!(found.indices, expected.indices, "map {i}, bound {bound}");
                assert_eq!(bits(&found.values), bits(&expected.values));
            }
        }
        assert!(select_cuda(&[], 0.0).unwrap().is_empty());
    }
}

#[test]
fn a_full_gpu_is_an_error_that_says_how_full() {
    let Some((gpu, _)) = emulated(Chip { memory: 1 << 20, ..Chip::default() }) else { return };
    let first = Map::from_chw(&gpu, 1, [256, 256], &[0.0; 1 << 16]).unwrap();
    let error = Map::from_chw(&gpu, 1, [512, 512], &vec![0.0; 1 << 18]).unwrap_err().to_string();
    assert!(
        error.contains("no room for 1048576") && error.contains("786432 of 1048576"),
        "{error}"
    );
    // What was given back makes room.
    drop(first);
    Map::from_chw(&gpu, 1, [512, 512], &vec![0.0; 1 << 18]).unwrap();
}

#[test]
fn wrong_shapes_are_refused_before_anything_starts() {
    let Some((gpu, emulator)) = emulated(Chip::default()) else { return };
    let conv = CudaConv2d::new(&gpu, spec([2, 3], 3, 1, 1), &[0.0; 54], None).unwrap();
    let map = |channels: usize, size: [usize; 2]| {
        Map::from_chw(&gpu, channels, size, &vec![0.0; channels * size[0] * size[1]]).unwrap()
    };
    let (input, wrong) = (map(2, [4, 4]), map(3, [4, 5]));
    assert!(conv.forward(&[CudaItem { input: &wrong, residual: None }], false).is_err());
    let item = CudaItem { input: &input, residual: Some(&wrong) };
    assert!(conv.forward(&[item], false).is_err());
    assert!(CudaConv2d::new(&gpu, spec([2, 3], 3, 1, 1), &[0.0; 53], None).is_err());
    assert!(Map::from_chw(&gpu, 2, [4, 4], &[0.0; 31]).is_err());
    assert!(emulator.started().is_empty());
}

#[test]
fn more_channels_than_a_launch_takes_are_refused_by_name() {
    let Some((gpu, _)) = emulated(Chip::default()) else { return };
    let many = Map::from_chw(&gpu, 65_536, [1, 1], &vec![0.0; 65_536]).unwrap();
    let spec = MaxPool2dSpec { kernel: [1, 1], stride: [1, 1], padding: [0, 0] };
    let error = max_pool2d_cuda(&spec, &many).unwrap_err().to_string();
    assert!(error.contains("max_pool: 65536 channels"), "{error}");
}

#[test]
fn the_names_of_all_kernels_are_found() {
    let source = source();
    let names = kernel_names(&source);
    assert_eq!(names.len(), source.matches("__global__").count());
    assert!(names.contains(&"direct_large") && names.contains(&"select_write"), "{names:?}");
}
