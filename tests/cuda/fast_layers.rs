//! The fast mode's layers against the canonical ones, in every format.

use std::sync::Arc;

use half::{bf16, f16};
use retinanet_kernels::Level;
use retinanet_kernels::conv2d::{Conv2d, Conv2dSpec};
use retinanet_kernels::cuda::{self, Gpu};
use retinanet_kernels::cudnn::{
    CudnnConv2d, CudnnGpu, CudnnGroupNorm, CudnnItem, Format, Map, max_pool2d_cudnn, relu_cudnn,
    upsample_nearest_add_cudnn,
};
use retinanet_kernels::norm::{GroupNormSpec, group_norm_nchw};
use retinanet_kernels::pool::{MaxPool2dSpec, max_pool2d_nchw};
use retinanet_kernels::upsample::upsample_nearest_add_nchw;

use crate::emulator::{Chip, emulated};
use crate::kernels::values;
use crate::naive_library::NaiveLibrary;

const SIZES: [[usize; 2]; 4] = [[1, 1], [5, 3], [16, 17], [33, 40]];

/// The value that a format keeps of another.
fn rounded(format: Format, value: f32) -> f32 {
    match format {
        Format::F32 => value,
        Format::F16 => f16::from_f32(value).to_f32(),
        Format::Bf16 => bf16::from_f32(value).to_f32(),
    }
}

/// Half the distance of neighbours of size 1.
fn unit(format: Format) -> f32 {
    match format {
        Format::F32 => 1.0 / 16_777_216.0,
        Format::F16 => 1.0 / 2048.0,
        Format::Bf16 => 1.0 / 256.0,
    }
}

/// The value, or the limit that it exceeds.
fn within(value: f32, limit: f32) -> f32 {
    if value > limit {
        limit
    } else if value < -limit {
        -limit
    } else {
        value
    }
}

fn chips() -> [Chip; 2] {
    [Chip::default(), Chip { reversed: true, ..Chip::default() }]
}

/// Maps of these sizes, and the values that the format keeps of them.
fn maps(
    gpu: &Gpu,
    format: Format,
    channels: usize,
    sizes: &[[usize; 2]],
) -> (Vec<Map>, Vec<Vec<f32>>) {
    let mut kept = Vec::new();
    let canonical = sizes.iter().map(|size| {
        let mut all = values((size[0] + channels) as u64, channels * size[0] * size[1]);
        all.iter_mut().for_each(|value| *value = within(*value, 3.0));
        kept.push(all.iter().map(|x| rounded(format, *x)).collect());
        cuda::Map::from_chw(gpu, channels, *size, &all).unwrap()
    });
    let canonical: Vec<_> = canonical.collect();
    (Map::from_canonical(format, &canonical).unwrap(), kept)
}

fn bits(values: &[f32]) -> Vec<u32> {
    values.iter().map(|value| value.to_bits()).collect()
}

#[test]
fn maps_come_back_rounded_to_nearest_once() {
    for chip in chips() {
        let Some((gpu, _)) = emulated(chip) else { return };
        for format in Format::ALL {
            for channels in [1, 3, 8, 36, 65] {
                let sizes: Vec<_> = SIZES.iter().cycle().take(18).copied().collect();
                let (entered, kept) = maps(&gpu, format, channels, &sizes);
                let all: Vec<&Map> = entered.iter().collect();
                let left = Map::to_canonical(&all).unwrap();
                for (left, kept) in left.iter().zip(&kept) {
                    assert_eq!(bits(&left.to_chw().unwrap()), bits(kept), "{format} {channels}");
                }
            }
        }
    }
}

#[test]
fn every_half_is_read_and_every_kind_of_value_rounded_as_ieee_says() {
    let Some((gpu, _)) = emulated(Chip::default()) else { return };
    let halves = (0..=u16::MAX).map(|bits| f16::from_bits(bits).to_f32());
    let mut all: Vec<f32> = halves.filter(|value| !value.is_nan()).collect();
    // Between neighbours: ties, and one to each side of them.
    let pairs: Vec<_> = all.windows(2).map(|pair| (pair[0] + pair[1]) / 2.0).collect();
    for tie in pairs.into_iter().filter(|tie| tie.is_finite()) {
        all.extend([
            tie,
            f32::from_bits(tie.to_bits() + 1),
            f32::from_bits(tie.to_bits().max(1) - 1),
        ]);
    }
    all.extend((0..200_000u32).map(|i| f32::from_bits(i.wrapping_mul(21_474))));
    all.extend([65519.99, 65520.0, f32::MAX, f32::MIN, 1e-45, -1e-45]);
    all.retain(|value| !value.is_nan());
    let map = cuda::Map::from_chw(&gpu, 1, [1, all.len()], &all).unwrap();
    for format in Format::ALL {
        let found = Map::from_canonical(format, std::slice::from_ref(&map)).unwrap();
        let found = found[0].to_chw().unwrap();
        let expected: Vec<f32> = all.iter().map(|x| rounded(format, *x)).collect();
        let wrong = found.iter().zip(&expected).position(|(a, b)| a.to_bits() != b.to_bits());
        assert_eq!(wrong.map(|i| (all[i], found[i], expected[i])), None, "{format}");
    }
    let nan = cuda::Map::from_chw(&gpu, 1, [1, 1], &[f32::NAN]).unwrap();
    for format in Format::ALL {
        let found = Map::from_canonical(format, std::slice::from_ref(&nan)).unwrap();
        assert!(found[0].to_chw().unwrap()[0].is_nan(), "{format}");
    }
}

#[test]
fn pooling_relu_and_upsampling_are_the_canonical_ones_rounded() {
    for chip in chips() {
        let Some((gpu, _)) = emulated(chip) else { return };
        for (format, channels) in Format::ALL.into_iter().flat_map(|f| [(f, 3), (f, 64)]) {
            let (inputs, kept) = maps(&gpu, format, channels, &SIZES);
            let spec = MaxPool2dSpec { kernel: [3, 3], stride: [2, 2], padding: [1, 1] };
            let pooled = max_pool2d_cudnn(&spec, &inputs).unwrap();
            let positive = relu_cudnn(&inputs).unwrap();
            for (i, kept) in kept.iter().enumerate() {
                let size = spec.output_size(SIZES[i]).unwrap();
                let mut expected = vec![0.0; channels * size[0] * size[1]];
                max_pool2d_nchw(Level::best(), &spec, channels, SIZES[i], kept, &mut expected)
                    .unwrap();
                assert_eq!(bits(&pooled[i].to_chw().unwrap()), bits(&expected), "{format}");
                let expected: Vec<f32> =
                    kept.iter().map(|x| if *x < 0.0 { 0.0 } else { *x }).collect();
                assert_eq!(bits(&positive[i].to_chw().unwrap()), bits(&expected), "{format}");
            }
            let (mut fine, kept_fine) = maps(&gpu, format, channels, &SIZES);
            let coarse_sizes = [[1, 1], [3, 2], [8, 9], [17, 20]];
            let (coarse, kept_coarse) = maps(&gpu, format, channels, &coarse_sizes);
            upsample_nearest_add_cudnn(&coarse, &mut fine).unwrap();
            for i in 0..SIZES.len() {
                let mut expected = vec![0.0; kept_fine[i].len()];
                upsample_nearest_add_nchw(
                    Level::best(),
                    channels,
                    coarse_sizes[i],
                    SIZES[i],
                    &kept_coarse[i],
                    &kept_fine[i],
                    &mut expected,
                )
                .unwrap();
                let expected: Vec<f32> = expected.iter().map(|x| rounded(format, *x)).collect();
                assert_eq!(bits(&fine[i].to_chw().unwrap()), bits(&expected), "{format}");
            }
        }
    }
}

#[test]
fn group_normalisation_is_the_canonical_one_to_rounding_even_far_from_zero() {
    for chip in chips() {
        let Some((gpu, _)) = emulated(chip) else { return };
        for format in Format::ALL {
            for (channels, groups, offset) in [(32, 8, 0.0), (6, 3, 0.0), (256, 32, 100.0)] {
                let spec = GroupNormSpec { channels, groups, eps: 1e-5 };
                let gamma: Vec<f32> = values(1, channels).iter().map(|x| x.fract() + 1.0).collect();
                let beta: Vec<f32> = values(2, channels).iter().map(|x| x.fract()).collect();
                let library = Arc::new(NaiveLibrary::default());
                let on = CudnnGpu::new(gpu.clone(), library, format, false);
                let norm = CudnnGroupNorm::new(&on, spec, &gamma, &beta).unwrap();
                let shifted: Vec<Vec<f32>> = SIZES
                    .iter()
                    .map(|size| {
                        let all = values(3, channels * size[0] * size[1]);
                        all.iter().map(|x| rounded(format, within(*x, 3.0) + offset)).collect()
                    })
                    .collect();
                let canonical = SIZES.iter().zip(&shifted);
                let canonical: Vec<_> = canonical
                    .map(|(size, all)| cuda::Map::from_chw(&gpu, channels, *size, all).unwrap())
                    .collect();
                for relu in [false, true] {
                    let mut maps = Map::from_canonical(format, &canonical).unwrap();
                    norm.forward_in_place(&mut maps, relu).unwrap();
                    for i in 0..SIZES.len() {
                        let mut expected = vec![0.0; shifted[i].len()];
                        group_norm_nchw(
                            Level::best(),
                            &spec,
                            &gamma,
                            &beta,
                            SIZES[i],
                            relu,
                            &shifted[i],
                            &mut expected,
                        )
                        .unwrap();
                        let found = maps[i].to_chw().unwrap();
                        for (a, b) in found.iter().zip(&expected) {
                            // The scale amplifies what f32 loses of values far from zero.
                            let bound = unit(format) * b.abs() + 4e-6 * (1.0 + offset);
                            assert!((a - b).abs() <= bound, "{format} {spec:?}: {a} for {b}");
                        }
                    }
                }
            }
        }
    }
}

#[test]
fn convolutions_are_the_canonical_ones_to_rounding() {
    let Some((gpu, _)) = emulated(Chip::default()) else { return };
    for (format, unfused) in Format::ALL.into_iter().flat_map(|f| [(f, false), (f, true)]) {
        let library = Arc::new(NaiveLibrary { unfused, ..NaiveLibrary::default() });
        let on = CudnnGpu::new(gpu.clone(), library.clone(), format, true);
        for (from, to, kernel, stride) in
            [(3, 64, 7, 2), (64, 36, 3, 1), (5, 7, 1, 1), (16, 16, 3, 2)]
        {
            let spec = Conv2dSpec {
                in_channels: from,
                out_channels: to,
                kernel: [kernel; 2],
                stride: [stride; 2],
                padding: [kernel / 2; 2],
            };
            let scale = 1.0 / ((from * kernel * kernel) as f32).sqrt();
            let weight: Vec<f32> = values(7, spec.weights().unwrap())
                .iter()
                .map(|x| rounded(format, within(*x, 2.0) * scale))
                .collect();
            let bias: Vec<f32> =
                values(8, to).iter().map(|x| rounded(format, within(*x, 2.0))).collect();
            let conv = CudnnConv2d::new(&on, spec, &weight, Some(&bias)).unwrap();
            let cpu = Conv2d::new(Level::best(), spec, &weight, Some(&bias)).unwrap();
            let (inputs, kept) = maps(&gpu, format, from, &SIZES);
            let sizes = SIZES.map(|size| spec.output_size(size).unwrap());
            let (residuals, kept_residuals) = maps(&gpu, format, to, &sizes);
            for (with_residual, relu) in [(false, false), (false, true), (true, true)] {
                let items: Vec<_> = inputs
                    .iter()
                    .zip(&residuals)
                    .map(|(input, residual)| CudnnItem {
                        input,
                        residual: with_residual.then_some(residual),
                    })
                    .collect();
                let found = conv.forward(&items, relu).unwrap();
                for i in 0..SIZES.len() {
                    let mut expected = vec![0.0; to * sizes[i][0] * sizes[i][1]];
                    let residual = with_residual.then_some(&*kept_residuals[i]);
                    cpu.forward_nchw(&kept[i], SIZES[i], residual, relu, &mut expected).unwrap();
                    for (a, b) in found[i].to_chw().unwrap().iter().zip(&expected) {
                        // Sums of both signs cancel, and are rounded once more where they are not fused.
                        let bound = 2.0 * unit(format) * (b.abs() + 8.0) + 1e-5;
                        assert!((a - b).abs() <= bound, "{format} {spec:?} {unfused}: {a} for {b}");
                    }
                }
            }
        }
        assert!(library.asked.lock().unwrap().iter().all(|asked| asked.pinned));
    }
}

#[test]
fn maps_of_another_format_and_weights_too_large_for_it_are_refused() {
    let Some((gpu, emulator)) = emulated(Chip::default()) else { return };
    let library = Arc::new(NaiveLibrary::default());
    let on = CudnnGpu::new(gpu.clone(), library, Format::F16, false);
    let spec = Conv2dSpec {
        in_channels: 3,
        out_channels: 2,
        kernel: [1, 1],
        stride: [1, 1],
        padding: [0, 0],
    };
    let error = CudnnConv2d::new(&on, spec, &[1e5; 6], None).unwrap_err().to_string();
    assert!(error.contains("too large for f16"), "{error}");
    assert!(CudnnConv2d::new(&on, spec, &[1.0; 5], None).is_err());
    let conv = CudnnConv2d::new(&on, spec, &[1.0; 6], None).unwrap();
    for (format, channels) in [(Format::F32, 3), (Format::F16, 2), (Format::Bf16, 3)] {
        let (inputs, _) = maps(&gpu, format, channels, &[[4, 4]]);
        let before = emulator.started();
        let item = CudnnItem { input: &inputs[0], residual: None };
        let error = conv.forward(&[item], false).unwrap_err().to_string();
        assert!(error.contains("where 3 of f16 were expected"), "{error}");
        assert_eq!(emulator.started(), before);
    }
}
