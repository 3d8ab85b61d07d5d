//! Does this CPU compute the bits that the others do? Prints one digest per kernel, over a reduced but
//! complete pass of all of them; two machines, levels or builds that print the same lines agree.
//!
//! `RETINANET_CPU_LEVEL` and `RAYON_NUM_THREADS` change how it is computed and no line of the output.

use retinanet_kernels::conv2d::{Conv2d, Conv2dSpec};
use retinanet_kernels::norm::{GroupNormSpec, group_norm_nchw};
use retinanet_kernels::pool::{MaxPool2dSpec, max_pool2d_nchw};
use retinanet_kernels::resize::{Normalisation, ResizeSpec, resize_normalised};
use retinanet_kernels::upsample::upsample_nearest_add_nchw;
use retinanet_kernels::{Level, Result, fma, pointwise};

/// Height and width of most inputs: primes, so that every kernel has its ragged edges.
const SIZE: [usize; 2] = [19, 37];
const PIXELS: usize = SIZE[0] * SIZE[1];

/// FNV-1a over the exact bits.
struct Digest(u128);

impl Digest {
    fn new() -> Self {
        Self(0x6c62_272e_07bb_0142_62b8_2175_6295_c58d)
    }

    fn write(&mut self, values: &[f32]) {
        for byte in values.iter().flat_map(|value| value.to_bits().to_le_bytes()) {
            self.0 =
                (self.0 ^ u128::from(byte)).wrapping_mul(0x0000_0000_0100_0000_0000_0000_0000_013b);
        }
    }
}

/// 24-bit numbers from a splitmix generator.
fn integers(seed: u64) -> impl Iterator<Item = i32> {
    (1u64..).map(move |index| {
        let z = (seed << 32).wrapping_add(index).wrapping_mul(0x9E37_79B9_7F4A_7C15);
        let z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        (z >> 40) as i32 - (1 << 23)
    })
}

/// `count` values in [-1, 1), every seventeenth a negative zero.
fn values(seed: u64, count: usize) -> Vec<f32> {
    let value = |(index, integer): (usize, i32)| match index % 17 {
        16 => -0.0,
        _ => integer as f32 / (1 << 23) as f32,
    };
    integers(seed).take(count).enumerate().map(value).collect()
}

/// A convolution with bias, and residual and ReLU where the flag says so.
fn conv(
    level: Level,
    channels: [usize; 2],
    [kernel, stride, padding]: [usize; 3],
    rest: bool,
) -> Result<Vec<f32>> {
    let [in_channels, out_channels] = channels;
    let [kernel, stride, padding] = [kernel, stride, padding].map(|both| [both; 2]);
    let spec = Conv2dSpec { in_channels, out_channels, kernel, stride, padding };
    let weight = values(1, spec.weights()?);
    let bias = values(2, out_channels);
    let input = values(3, in_channels * PIXELS);
    let [height, width] = spec.output_size(SIZE)?;
    let residual = rest.then(|| values(4, out_channels * height * width));
    let mut output = vec![f32::NAN; out_channels * height * width];
    Conv2d::new(level, spec, &weight, Some(&bias))?.forward_nchw(
        &input,
        SIZE,
        residual.as_deref(),
        rest,
        &mut output,
    )?;
    Ok(output)
}

fn pool(level: Level, kernel: usize, stride: usize, padding: usize) -> Result<Vec<f32>> {
    let [kernel, stride, padding] = [kernel, stride, padding].map(|both| [both; 2]);
    let spec = MaxPool2dSpec { kernel, stride, padding };
    let [height, width] = spec.output_size(SIZE)?;
    let mut output = vec![f32::NAN; 35 * height * width];
    max_pool2d_nchw(level, &spec, 35, SIZE, &values(5, 35 * PIXELS), &mut output)?;
    Ok(output)
}

fn norm(level: Level, channels: usize, groups: usize, relu: bool) -> Result<Vec<f32>> {
    let spec = GroupNormSpec { channels, groups, eps: 1e-5 };
    let (gamma, beta) = (values(6, channels), values(7, channels));
    let input = values(8, channels * PIXELS);
    let mut output = vec![f32::NAN; input.len()];
    group_norm_nchw(level, &spec, &gamma, &beta, SIZE, relu, &input, &mut output)?;
    Ok(output)
}

fn upsample(level: Level) -> Result<Vec<f32>> {
    let coarse = [10, 18];
    let lateral = values(9, 33 * PIXELS);
    let mut output = vec![f32::NAN; lateral.len()];
    let from = values(10, 33 * coarse[0] * coarse[1]);
    upsample_nearest_add_nchw(level, 33, coarse, SIZE, &from, &lateral, &mut output)?;
    Ok(output)
}

fn resize() -> Result<Vec<f32>> {
    let spec = ResizeSpec::new([29, 41], [43, 61], [64, 64])?;
    let normalisation = Normalisation::new([0.485, 0.456, 0.406], [0.229, 0.224, 0.225])?;
    let rgb: Vec<u8> = integers(11).take(spec.source_len()).map(|i| (i >> 8) as u8).collect();
    let mut output = vec![f32::NAN; spec.output_len()];
    resize_normalised(&spec, &normalisation, &rgb, &mut output)?;
    Ok(output)
}

/// Values from -128 to 128, the tiny ones between them too.
fn wide() -> Vec<f32> {
    let tiny = integers(12).take(500).map(|i| f32::from_bits(i as u32 & 0x80ff_ffff));
    values(13, 2500).into_iter().map(|value| value * 128.0).chain(tiny).collect()
}

fn pointwise(
    level: Level,
    function: fn(Level, &[f32], &mut [f32]) -> Result<()>,
) -> Result<Vec<f32>> {
    let input = wide();
    let mut output = vec![f32::NAN; input.len()];
    function(level, &input, &mut output)?;
    Ok(output)
}

fn add(level: Level) -> Result<Vec<f32>> {
    let mut output = wide();
    let other = values(14, output.len());
    pointwise::add_in_place(level, &mut output, &other)?;
    Ok(output)
}

/// The scalar one: products that nearly cancel, results that are subnormal.
fn scalar_fma() -> Result<Vec<f32>> {
    let (a, b) = (values(15, 3000), values(16, 3000));
    let cancel = a.iter().zip(&b).map(|(&a, &b)| fma(a, b, -(a * b)));
    let small = a.iter().zip(&b).map(|(&a, &b)| fma(a * 1e-20, b * 1e-20, b * 1e-39));
    Ok(cancel.chain(small).collect())
}

/// The same function of a level, for each kernel and each of its forms.
type Case<'a> = (&'a str, &'a dyn Fn(Level) -> Result<Vec<f32>>);

fn main() -> Result<()> {
    let level = Level::from_env()?;
    eprintln!("level {level}");
    let cases: &[Case<'_>] = &[
        ("conv2d planar 7x7 stride 2", &|level| conv(level, [3, 33], [7, 2, 3], false)),
        ("conv2d direct 3x3 stride 2", &|level| conv(level, [35, 33], [3, 2, 1], true)),
        ("conv2d direct 3x3 to 9 channels", &|level| conv(level, [35, 9], [3, 1, 1], false)),
        ("conv2d pointwise", &|level| conv(level, [67, 49], [1, 1, 0], true)),
        ("conv2d pointwise stride 2", &|level| conv(level, [67, 49], [1, 2, 0], false)),
        ("conv2d winograd", &|level| conv(level, [35, 49], [3, 1, 1], true)),
        ("max_pool2d 3x3 stride 2", &|level| pool(level, 3, 2, 1)),
        ("max_pool2d 1x1 stride 2", &|level| pool(level, 1, 2, 0)),
        ("max_pool2d 5x5 stride 3", &|level| pool(level, 5, 3, 2)),
        ("group_norm groups of 4", &|level| norm(level, 64, 16, true)),
        ("group_norm groups of 12", &|level| norm(level, 36, 3, false)),
        ("group_norm groups of 32", &|level| norm(level, 64, 2, true)),
        ("upsample_nearest_add", &|level| upsample(level)),
        ("resize_normalised", &|_| resize()),
        ("exp", &|level| pointwise(level, pointwise::exp_slice)),
        ("sigmoid", &|level| pointwise(level, pointwise::sigmoid_slice)),
        ("relu", &|level| pointwise(level, pointwise::relu)),
        ("add", &|level| add(level)),
        ("fma", &|_| scalar_fma()),
    ];
    let mut total = Digest::new();
    for (name, compute) in cases {
        let output = compute(level)?;
        assert!(output.iter().all(|value| !value.is_nan()), "{name}: a value is missing");
        let mut digest = Digest::new();
        digest.write(&output);
        total.write(&output);
        println!("{:032x}  {name}", digest.0);
    }
    println!("{:032x}  all kernels", total.0);
    Ok(())
}
