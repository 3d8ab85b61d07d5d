//! The fast resize against the naive one (to the bit) and against torch (by tolerance).

use proptest::prelude::*;

use super::{Normalisation, ResizeSpec, reference, resize_normalised};
use crate::Error;
use crate::float_env::tests::with_hostile_host;

fn imagenet() -> Normalisation {
    Normalisation::new([0.485, 0.456, 0.406], [0.229, 0.224, 0.225]).unwrap()
}

/// Bytes that repeat on no short period.
fn noise(len: usize) -> Vec<u8> {
    let mut state = 0x9e37_79b9_u32;
    (0..len)
        .map(|_| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 24) as u8
        })
        .collect()
}

fn bits(values: &[f32]) -> Vec<u32> {
    values.iter().map(|value| value.to_bits()).collect()
}

fn fast(spec: &ResizeSpec, rgb: &[u8]) -> Vec<f32> {
    let mut output = vec![f32::NAN; spec.output_len()];
    resize_normalised(spec, &imagenet(), rgb, &mut output).unwrap();
    output
}

fn assert_equals_reference(spec: &ResizeSpec) {
    let rgb = noise(spec.source_len());
    let mut expected = vec![f32::NAN; spec.output_len()];
    reference::resize_normalised(spec, &imagenet(), &rgb, &mut expected).unwrap();
    assert_eq!(bits(&fast(spec, &rgb)), bits(&expected), "{spec:?}");
}

#[test]
fn equals_the_reference_at_the_corners_of_the_domain() {
    for (source, resized, padded) in [
        ([1, 1], [1, 1], [1, 1]),
        ([1, 1], [80, 80], [96, 96]),
        ([80, 80], [1, 1], [32, 32]),
        ([1, 97], [33, 5], [33, 32]),
        ([97, 1], [5, 33], [32, 33]),
        ([64, 48], [64, 48], [64, 64]),
        ([31, 33], [100, 65], [128, 96]),
        ([200, 150], [31, 32], [32, 32]),
        ([5, 7], [70, 98], [96, 128]),
    ] {
        assert_equals_reference(&ResizeSpec::new(source, resized, padded).unwrap());
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn equals_the_reference_on_ragged_sizes(
        source in [1usize..90, 1usize..90],
        resized in [1usize..90, 1usize..90],
        padding in [0usize..40, 0usize..40],
    ) {
        let padded = [resized[0] + padding[0], resized[1] + padding[1]];
        assert_equals_reference(&ResizeSpec::new(source, resized, padded).unwrap());
    }
}

#[test]
fn the_thread_count_does_not_change_a_bit() {
    let spec = ResizeSpec::new([61, 83], [130, 177], [160, 192]).unwrap();
    let rgb = noise(spec.source_len());
    let with_threads = |threads: usize| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        bits(&pool.install(|| fast(&spec, &rgb)))
    };
    let one = with_threads(1);
    for threads in [2, 3, 8] {
        assert_eq!(with_threads(threads), one, "{threads} threads");
    }
}

#[test]
fn a_hostile_host_does_not_change_a_bit() {
    let spec = ResizeSpec::new([61, 83], [130, 177], [160, 192]).unwrap();
    let rgb = noise(spec.source_len());
    let pool = rayon::ThreadPoolBuilder::new().num_threads(1).build().unwrap();
    let expected = bits(&fast(&spec, &rgb));
    let hostile = pool.install(|| with_hostile_host(|| (imagenet(), fast(&spec, &rgb))));
    assert_eq!(bits(&hostile.1), expected);
    assert_eq!(hostile.0, imagenet());
}

#[test]
fn an_image_of_the_right_size_is_only_normalised_and_padded() {
    let spec = ResizeSpec::new([3, 5], [3, 5], [4, 8]).unwrap();
    let rgb = noise(spec.source_len());
    let output = fast(&spec, &rgb);
    let normalisation = imagenet();
    for (index, value) in output.iter().enumerate() {
        let (channel, y, x) = (index / 32, index / 8 % 4, index % 8);
        let expected = if y < 3 && x < 5 {
            normalisation.channel(channel)[usize::from(rgb[(y * 5 + x) * 3 + channel])]
        } else {
            0.0
        };
        assert_eq!(value.to_bits(), expected.to_bits(), "channel {channel}, y {y}, x {x}");
    }
}

#[test]
fn the_normalisation_table_has_torchs_bits() {
    // torch 2.15: ((u.float() / 255 - mean) / std) for u in 0, 1, 127, 128, 254, 255.
    const TORCH: [[u32; 6]; 3] = [
        [0xc0078bbd, 0xc006732b, 0x3d6939a6, 0x3d97af32, 0x400ed58a, 0x400fee1d],
        [0xc0024924, 0xc0012a4f, 0x3e402de4, 0x3e521b48, 0x401a4ee0, 0x401b6db7],
        [0xbfe6f809, 0xbfe4bcea, 0x3ed170bd, 0x3eda5d3c, 0x4027d834, 0x4028f5c3],
    ];
    let normalisation = imagenet();
    for (channel, expected) in TORCH.iter().enumerate() {
        let table = normalisation.channel(channel);
        let actual = [0, 1, 127, 128, 254, 255].map(|u: usize| table[u].to_bits());
        assert_eq!(actual, *expected, "channel {channel}");
    }
}

#[test]
fn agrees_with_torch() {
    for (source, resized, expected) in TORCH_RESIZES {
        let spec = ResizeSpec::new(source, resized, resized).unwrap();
        // Three channels of (37 y + 101 x + 59 c + 7 y x) mod 256.
        let rgb: Vec<u8> = (0..spec.source_len())
            .map(|i| {
                let (c, x, y) = (i % 3, i / 3 % source[1], i / 3 / source[1]);
                (37 * y + 101 * x + 59 * c + 7 * y * x) as u8
            })
            .collect();
        for (actual, expected) in fast(&spec, &rgb).iter().zip(expected) {
            assert!(
                (actual - expected).abs() <= 1e-6,
                "{source:?} -> {resized:?}: {actual} against torch's {expected}"
            );
        }
    }
}

#[test]
fn wrong_lengths_are_errors_that_name_the_slice() {
    let spec = ResizeSpec::new([2, 2], [2, 2], [2, 2]).unwrap();
    let mut output = [0.0; 12];
    assert_eq!(
        resize_normalised(&spec, &imagenet(), &[0; 11], &mut output),
        Err(Error::Length { what: "resize source", expected: 12, actual: 11 })
    );
    assert_eq!(
        resize_normalised(&spec, &imagenet(), &[0; 12], &mut output[1..]),
        Err(Error::Length { what: "resize output", expected: 12, actual: 11 })
    );
}

#[test]
fn impossible_sizes_are_refused() {
    for (source, resized, padded, message) in [
        ([0, 4], [4, 4], [4, 4], "resize: the source is 0x4"),
        ([4, 4], [4, 0], [4, 4], "resize: the resized image is 4x0"),
        ([4, 4], [4, 4], [4, 3], "is smaller than the resized image"),
        ([4, 4], [4, 4], [4, 1 << 40], "the padded canvas is 4x1099511627776"),
    ] {
        let error = ResizeSpec::new(source, resized, padded).unwrap_err().to_string();
        assert!(error.contains(message), "{error}");
    }
}

#[test]
fn a_standard_deviation_of_zero_is_refused() {
    let error = Normalisation::new([0.5; 3], [1.0, 0.0, 1.0]).unwrap_err().to_string();
    assert!(error.contains("std 0 of channel 1"), "{error}");
    assert!(Normalisation::new([f32::NAN, 0.0, 0.0], [1.0; 3]).is_err());
    assert!(Normalisation::new([0.0; 3], [1.0, 1.0, f32::INFINITY]).is_err());
}

/// Source size, resized size, torch 2.15's `interpolate` of the normalised image (planar).
const TORCH_RESIZES: [([usize; 2], [usize; 2], &[f32]); 3] = [
    (
        [3, 4],
        [5, 7],
        &[
            -2.117904,
            -1.5001895,
            -0.5118466,
            0.4764965,
            1.1517003,
            -0.36506358,
            -1.3130406,
            -1.8644576,
            -1.2296184,
            -0.21387587,
            0.80186677,
            1.5044702,
            0.015106047,
            -0.9157462,
            -1.4842881,
            -0.8237617,
            0.23308022,
            1.2899222,
            2.0336251,
            0.5853603,
            -0.31980482,
            -1.1041185,
            -0.41790497,
            0.6800364,
            0.46279615,
            0.12030097,
            0.21619995,
            0.2761368,
            -0.8506721,
            -0.14733395,
            0.97800696,
            -0.08862091,
            -1.1552478,
            -0.029906843,
            0.673431,
            -1.0028011,
            -0.37129834,
            0.6391058,
            -0.59138685,
            -1.8218783,
            -0.81147426,
            -0.17997196,
            -0.7436974,
            -0.094687715,
            0.9437276,
            -0.25875372,
            -1.461234,
            -0.42281872,
            0.22619057,
            -0.35504198,
            0.3202282,
            1.4006604,
            0.24019581,
            -0.92026764,
            0.16016448,
            0.83543426,
            0.033613633,
            0.7351442,
            1.8575932,
            0.73914546,
            -0.37930113,
            0.74314773,
            1.444678,
            0.29271722,
            1.0117548,
            2.1622145,
            1.0717783,
            -0.018657025,
            1.131803,
            1.8508402,
            0.2522005,
            0.8808965,
            1.8868101,
            0.66178626,
            -0.56323636,
            0.44267705,
            1.0713727,
            0.51015264,
            0.51886714,
            0.5328104,
            0.10056641,
            -0.20419496,
            0.8296052,
            1.47573,
            0.8970808,
            -0.024176778,
            -1.4981886,
            -0.74126333,
            0.3343671,
            1.4099972,
            2.0822659,
            1.284009,
            0.3888952,
            -1.0432867,
            -0.24453124,
            0.6817056,
            0.2693803,
            0.011677127,
            1.541961,
            0.6642763,
            -0.74001867,
            0.08662339,
            0.91326445,
            -0.49103054,
            -1.3687145,
        ],
    ),
    (
        [7, 9],
        [4, 4],
        &[
            -0.7712026,
            -0.61440414,
            0.84387565,
            -0.23230802,
            0.4687366,
            0.5495441,
            0.5618525,
            0.50566185,
            -0.6887898,
            -1.0949675,
            -1.0901512,
            -0.6743408,
            0.20865439,
            0.13747966,
            0.27180195,
            0.61162126,
            0.37396058,
            -0.025965028,
            -0.42589056,
            0.9248839,
            1.2914368,
            1.2339921,
            0.75637907,
            -0.14140183,
            0.10807294,
            -0.44722727,
            -0.44230345,
            0.12284449,
            0.3252692,
            0.7427018,
            1.2301624,
            -0.5933013,
            0.57709163,
            1.2246951,
            0.61739665,
            0.42839876,
            0.096154734,
            -0.9370697,
            2.0035622,
            1.1097714,
            -0.10591489,
            0.3172877,
            0.3221897,
            -0.09120903,
            0.94691736,
            -0.45014155,
            0.035152562,
            0.6598803,
        ],
    ),
    (
        [1, 1],
        [2, 2],
        &[
            -2.117904, -2.117904, -2.117904, -2.117904, -1.0028011, -1.0028011, -1.0028011,
            -1.0028011, 0.2522005, 0.2522005, 0.2522005, 0.2522005,
        ],
    ),
];
