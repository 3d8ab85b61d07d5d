//! How fast the convolutions' gradients are beside the forward kernels: `cargo run --release -p retinanet-kernels --example gradient_rates`.
//!
//! For each shape and kernel the direct form's operations a second, whichever form computes it. With
//! `RAYON_NUM_THREADS=1` on Linux, seconds are those that the thread had a CPU for, so that a busy machine disturbs less.

use std::time::Instant;

use retinanet_kernels::conv2d::{
    Conv2d, Conv2dSpec, DataGradient, DataGradientItem, GradientPair, Input, Item, weight_gradient,
};
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

/// Seconds of one call: the best of three series, each long against the system's clock.
fn best(mut run: impl FnMut()) -> f64 {
    let start = Instant::now();
    run();
    run();
    let calls = (0.4 / start.elapsed().as_secs_f64()).ceil() as u32;
    let mut best = f64::INFINITY;
    for _ in 0..3 {
        let (start, on_cpu) = (Instant::now(), seconds_on_cpu());
        for _ in 0..calls {
            run();
        }
        let seconds = match (on_cpu, seconds_on_cpu()) {
            (Some(before), Some(after)) => after - before,
            _ => start.elapsed().as_secs_f64(),
        };
        let seconds = seconds / f64::from(calls);
        best = if seconds < best { seconds } else { best };
    }
    best
}

/// Seconds that this thread had a CPU for, where it is the only one and the system tells.
fn seconds_on_cpu() -> Option<f64> {
    if rayon::current_num_threads() != 1 {
        return None;
    }
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").ok()?;
    let nanoseconds: f64 = text.split_whitespace().next()?.parse().ok()?;
    Some(nanoseconds / 1e9)
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
    println!("shape: GFLOP/s of forward, weight gradient, data gradient (and milliseconds)");
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
        let backward = DataGradient::new(level, spec, &weight)?;
        let mut of_input = filled(BlockedShape::new(in_channels, size));
        times.push(best(|| {
            let item = DataGradientItem {
                grad_output: output.as_ref(),
                residual: None,
                output: of_input.as_mut(),
            };
            backward.forward(&mut [item]).expect("shapes that fit");
        }));
        print!("{in_channels:4} -> {out_channels:4} {kernel}x{kernel} s{stride} {size:?}:");
        for time in times {
            print!("  {:6.0} ({:5.2})", operations / time / 1e9, time * 1e3);
        }
        println!();
    }
    Ok(())
}
