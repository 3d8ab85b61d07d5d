//! The gradients of the candle layers: with the kernels' by bits, with candle's own by tolerance, and training with them.

mod candles_own;
mod network;
mod operations;
mod steps;

use candle_core::backprop::GradStore;
use candle_core::{Device, Result, Tensor, Var};
use retinanet::ops::{Conv2dSpec, Level};

/// Values between -1 and 1 from a seed, none of them 0.
fn values(seed: u64, len: usize) -> Vec<f32> {
    let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    let next = |()| {
        state =
            state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        ((state >> 40) as f32 + 0.5) / (1u32 << 23) as f32 - 1.0
    };
    std::iter::repeat_n((), len).map(next).collect()
}

fn tensor(seed: u64, shape: &[usize]) -> Tensor {
    Tensor::from_vec(values(seed, shape.iter().product()), shape, &Device::Cpu).unwrap()
}

fn var(seed: u64, shape: &[usize]) -> Var {
    Var::from_tensor(&tensor(seed, shape)).unwrap()
}

fn list(tensor: &Tensor) -> Vec<f32> {
    tensor.flatten_all().unwrap().to_vec1().unwrap()
}

fn bits(values: &[f32]) -> Vec<u32> {
    values.iter().map(|value| value.to_bits()).collect()
}

/// The gradients of a loss whose gradient at `output` is `gradient`.
fn backward(output: &Tensor, gradient: &Tensor) -> Result<GradStore> {
    (output * gradient)?.sum_all()?.backward()
}

fn of(gradients: &GradStore, var: &Tensor) -> Vec<f32> {
    list(gradients.get(var).expect("a gradient"))
}

/// As candle adds gradients up, from +0: no sum is -0.
fn plus_zero(values: Vec<f32>) -> Vec<f32> {
    values.into_iter().map(|value| 0.0 + value).collect()
}

fn assert_same_bits(actual: &[f32], expected: &[f32], what: &str) {
    assert_eq!(actual.len(), expected.len(), "{what}");
    for (i, (a, e)) in actual.iter().zip(expected).enumerate() {
        assert_eq!(a.to_bits(), e.to_bits(), "{what}: {a} is not {e} at {i}");
    }
}

/// The largest difference over the largest magnitude of `expected`.
fn relative(actual: &[f32], expected: &[f32]) -> f32 {
    assert_eq!(actual.len(), expected.len());
    let largest = |values: &mut dyn Iterator<Item = f32>| {
        values.fold(0.0f32, |most, value| if value.abs() > most { value.abs() } else { most })
    };
    let difference = largest(&mut actual.iter().zip(expected).map(|(a, e)| a - e));
    assert!(actual.iter().all(|value| value.is_finite()));
    difference / largest(&mut expected.iter().copied())
}

const fn spec(channels: [usize; 2], kernel: usize, stride: usize, padding: usize) -> Conv2dSpec {
    let [in_channels, out_channels] = channels;
    let (kernel, stride, padding) = ([kernel; 2], [stride; 2], [padding; 2]);
    Conv2dSpec { in_channels, out_channels, kernel, stride, padding }
}

/// What `task` answers on so many threads.
fn on_threads<T: Send>(threads: usize, task: impl FnOnce() -> T + Send) -> T {
    rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap().install(task)
}

/// Checks that `task` answers the same at every level and with 1, 2 and 3 threads; says what.
fn same_everywhere(task: impl Fn(Level) -> Vec<f32> + Sync) -> Vec<f32> {
    let answer = task(Level::from_env().unwrap());
    for &level in Level::available() {
        assert_same_bits(&task(level), &answer, level.name());
    }
    for threads in 1..=3 {
        let again = on_threads(threads, || task(Level::from_env().unwrap()));
        assert_same_bits(&again, &answer, &format!("{threads} threads"));
    }
    answer
}
