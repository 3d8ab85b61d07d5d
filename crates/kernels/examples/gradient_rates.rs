//! How fast the convolutions' gradients are beside the forward kernels: `cargo run --release -p retinanet-kernels --example gradient_rates`.
//!
//! For each shape and kernel the direct form's operations a second, whichever form computes it.

use std::time::Instant;

use retinanet_kernels::conv2d::{Conv2d, Conv2dSpec, GradientPair, Input, Item, weight_gradient};
use retinanet_kernels::layout::{BlockedBuffer, BlockedShape};
use retinanet_kernels::{Level, peak};

/// Input and output channels, kernel, stride, input height and width.
const SHAPES: [(usize, usize, usize, usize, [usize; 2]); 16] = [
    (256, 256, 3, 1, [100, 136]),
    (256, 819, 3, 1, [100, 136]),
    (256, 36, 3, 1, [100, 136]),
    (128, 128, 3, 1, [100, 136]),
    (256, 256, 3, 1, [50, 68]),
    (512, 512, 3, 1, [25, 34]),
    (512, 128, 1, 1, [100, 136]),
    (128, 512, 1, 1, [100, 136]),
    (1024, 256, 1, 1, [50, 68]),
    (256, 1024, 1, 1, [50, 68]),
    (2048, 512, 1, 1, [25, 34]),
    (512, 2048, 1, 1, [25, 34]),
    (128, 128, 3, 2, [200, 272]),
    (256, 256, 3, 2, [100, 136]),
    (512, 512, 3, 2, [50, 68]),
    (512, 1024, 1, 2, [100, 136]),
];

fn best(mut run: impl FnMut()) -> f64 {
    run();
    let mut best = f64::INFINITY;
    for _ in 0..5 {
        let start = Instant::now();
        run();
        let seconds = start.elapsed().as_secs_f64();
        best = if seconds < best { seconds } else { best };
    }
    best
}

fn filled(shape: BlockedShape) -> BlockedBuffer {
    let values: Vec<f32> =
        (0..shape.values()).map(|i| (i * 2_654_435_761 % 1000) as f32 / 500.0 - 1.0).collect();
    BlockedBuffer::from_chw(shape, &values).expect("the shape's length")
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let level = Level::from_env()?;
    let peak = peak::multiply_add_rate(level) / 1e9;
    println!("{level}, {} threads, peak {peak:.0} GFLOP/s", rayon::current_num_threads());
    println!("shape: GFLOP/s of forward, weight gradient (and milliseconds)");
    for (in_channels, out_channels, kernel, stride, size) in SHAPES {
        let spec = Conv2dSpec {
            in_channels,
            out_channels,
            kernel: [kernel; 2],
            stride: [stride; 2],
            padding: [kernel / 2; 2],
        };
        let weight = vec![0.01; spec.weights()?];
        let out = BlockedShape::new(out_channels, spec.output_size(size)?);
        let operations = 2.0 * weight.len() as f64 * (out.height * out.width) as f64;
        let input = filled(BlockedShape::new(in_channels, size));
        let mut output = filled(out);
        let conv = Conv2d::new(level, spec, &weight, None)?;
        let mut times = Vec::new();
        times.push(best(|| {
            let input = Input::Blocked(input.as_ref());
            let items = &mut [Item { input, residual: None, output: output.as_mut() }];
            conv.forward(items, false).expect("shapes that fit");
        }));
        let mut gradient = vec![0.0; weight.len()];
        times.push(best(|| {
            let input = Input::Blocked(input.as_ref());
            let pairs = [GradientPair { input, grad_output: output.as_ref() }];
            weight_gradient(level, &spec, &pairs, &mut gradient).expect("shapes that fit");
        }));
        print!("{in_channels:4} -> {out_channels:4} {kernel}x{kernel} s{stride} {size:?}:");
        for time in times {
            print!("  {:6.0} ({:5.2})", operations / time / 1e9, time * 1e3);
        }
        println!();
    }
    Ok(())
}
