//! The gradient of a convolution's input: a convolution of the output's gradient.
//!
//! # The order of operations
//! The weights are turned by half a turn and their input and output channels swapped: `w'[ci][co][ky][kx] =
//! w[co][ci][kh - 1 - ky][kw - 1 - kx]`. The gradient is [`Conv2d`]'s answer for them, with stride 1 and a padding of
//! `kernel - 1 - padding`, in whichever form [`Algorithm::of`](super::Algorithm::of) says for that convolution, of
//!
//! - stride 1: the output's gradient as it is;
//! - a 1x1 kernel of another stride: likewise, and its values then go to the pixels that were read, +0 to the others;
//! - any other: the output's gradient spread out, +0 between its values, to the size that the output would have with
//!   stride 1.
//!
//! Then the residual, if any, is added to every value, rounded.

use super::Conv2d;
use super::item::{Input, Item};
use super::spec::Conv2dSpec;
use crate::buffer::with_scratch;
use crate::layout::{Blocked, BlockedMut, BlockedShape};
use crate::simd::{Kernel, LANES, Simd};
use crate::strips::{self, Strip};
use crate::{Error, Level, Result};

/// The gradient of a convolution's input, with the weights packed for it.
#[derive(Clone, Debug)]
pub struct DataGradient {
    /// The forward convolution.
    spec: Conv2dSpec,
    backward: Conv2d,
}

/// One image of a call.
#[derive(Debug)]
pub struct DataGradientItem<'a> {
    /// The gradient of the convolution's output.
    pub grad_output: Blocked<'a>,
    /// Added last: the gradient that the input has from elsewhere.
    pub residual: Option<Blocked<'a>>,
    /// Where the gradient of the input goes; its size is the input's.
    pub output: BlockedMut<'a>,
}

impl DataGradient {
    /// Turns and packs the weights, out x in x kh x kw, of the convolution `spec`.
    ///
    /// # Errors
    /// A size in `spec` is zero, the padding is as large as the kernel, or the length is not `spec`'s.
    pub fn new(level: Level, spec: Conv2dSpec, weight: &[f32]) -> Result<Self> {
        Error::check_length("conv2d weight", spec.weights()?, weight.len())?;
        let mut padding = [0; 2];
        for (axis, padding) in padding.iter_mut().enumerate() {
            let padded = (spec.kernel[axis] - 1).checked_sub(spec.padding[axis]);
            *padding = padded.ok_or_else(|| Error::Shape {
                what: "conv2d data gradient",
                reason: format!("the padding must be smaller than the kernel: {spec:?}"),
            })?;
        }
        let backward = Conv2dSpec {
            in_channels: spec.out_channels,
            out_channels: spec.in_channels,
            kernel: spec.kernel,
            stride: [1, 1],
            padding,
        };
        let backward = with_scratch(weight.len(), |turned| {
            turn(&spec, weight, turned);
            Conv2d::new(level, backward, turned, None)
        })?;
        Ok(Self { spec, backward })
    }

    /// The same with other weights, packed into the memory of those it had.
    ///
    /// # Errors
    /// The length is not the convolution's.
    pub fn repack(&mut self, weight: &[f32]) -> Result<()> {
        Error::check_length("conv2d weight", self.spec.weights()?, weight.len())?;
        with_scratch(weight.len(), |turned| {
            turn(&self.spec, weight, turned);
            self.backward.repack(turned, None)
        })
    }

    /// The forward convolution's shape.
    pub fn spec(&self) -> &Conv2dSpec {
        &self.spec
    }

    /// Computes each item's gradient, in the [module](self)'s order.
    ///
    /// Mirrors `torch.nn.grad.conv2d_input`.
    ///
    /// # Errors
    /// A shape does not fit the convolution.
    pub fn forward(&self, items: &mut [DataGradientItem<'_>]) -> Result<()> {
        for item in items.iter() {
            self.check(item)?;
        }
        if self.spec.stride == [1, 1] {
            return self.convolve(items);
        }
        for item in items {
            let size = item.output.shape().size();
            if self.spec.kernel == [1, 1] {
                let size = item.grad_output.shape().size();
                let low = BlockedShape::new(self.spec.in_channels, size);
                with_scratch(low.len(), |scratch| {
                    let output = BlockedMut::new(low, scratch)?;
                    let grad_output = item.grad_output;
                    self.convolve(&mut [DataGradientItem { grad_output, residual: None, output }])?;
                    self.spread(Blocked::new(low, scratch)?, item.residual, &mut item.output);
                    Ok::<(), Error>(())
                })?;
            } else {
                // What the output's size would be with stride 1.
                let full = Conv2dSpec { stride: [1, 1], ..self.spec }.output_size(size)?;
                let full = BlockedShape::new(self.spec.out_channels, full);
                with_scratch(full.len(), |scratch| {
                    self.spread(item.grad_output, None, &mut BlockedMut::new(full, scratch)?);
                    let output = BlockedMut::new(item.output.shape(), item.output.data())?;
                    let (grad_output, residual) = (Blocked::new(full, scratch)?, item.residual);
                    self.convolve(&mut [DataGradientItem { grad_output, residual, output }])
                })?;
            }
        }
        Ok(())
    }

    /// The convolution with stride 1.
    fn convolve(&self, items: &mut [DataGradientItem<'_>]) -> Result<()> {
        let mut planes = Vec::new();
        if self.backward.takes_planar() {
            for item in items.iter() {
                let mut values = vec![0.0; item.grad_output.shape().values()];
                item.grad_output.to_chw(&mut values)?;
                planes.push(values);
            }
        }
        let mut inner = Vec::with_capacity(items.len());
        for (i, item) in items.iter_mut().enumerate() {
            let input = match planes.get(i) {
                Some(data) => Input::Planar { data, size: item.grad_output.shape().size() },
                None => Input::Blocked(item.grad_output),
            };
            let output = BlockedMut::new(item.output.shape(), item.output.data())?;
            inner.push(Item { input, residual: item.residual, output });
        }
        self.backward.forward(&mut inner, false)
    }

    /// Puts pixel (y, x) to (y, x) times the stride, +0 elsewhere, and adds the residual.
    fn spread(&self, input: Blocked, residual: Option<Blocked>, output: &mut BlockedMut) {
        let level = self.backward.level();
        let (stride, columns) = (self.spec.stride, output.shape().width);
        strips::for_each(output, |strip| {
            level.run(Spread { input, residual, stride, columns, strip });
        });
    }

    fn check(&self, item: &DataGradientItem<'_>) -> Result<()> {
        let bad = |reason| Err(Error::Shape { what: "conv2d data gradient", reason });
        let shape = item.output.shape();
        if shape.channels != self.spec.in_channels {
            return bad(format!("a gradient of {shape:?} for the input of {:?}", self.spec));
        }
        let wanted =
            BlockedShape::new(self.spec.out_channels, self.spec.output_size(shape.size())?);
        let actual = item.grad_output.shape();
        if actual != wanted {
            return bad(format!("the output's gradient is {actual:?}, expected {wanted:?}"));
        }
        match item.residual {
            Some(residual) if residual.shape() != shape => {
                bad(format!("residual {:?}, wanted {shape:?}", residual.shape()))
            }
            _ => Ok(()),
        }
    }
}

/// Weights out x in x kh x kw to in x out x kh x kw, each kernel turned by half a turn.
fn turn(spec: &Conv2dSpec, weight: &[f32], turned: &mut [f32]) {
    let (inputs, outputs) = (spec.in_channels, spec.out_channels);
    let taps = spec.kernel[0] * spec.kernel[1];
    // Some output channels at a time, whose lines stay in cache while one input channel follows the other.
    for first in (0..outputs).step_by(LANES) {
        let channels = first..outputs.min(first + LANES);
        for ci in 0..inputs {
            let kernels = turned[(ci * outputs + first) * taps..].chunks_exact_mut(taps);
            for (co, kernel) in channels.clone().zip(kernels) {
                let from = &weight[(co * inputs + ci) * taps..][..taps];
                kernel.iter_mut().zip(from.iter().rev()).for_each(|(to, from)| *to = *from);
            }
        }
    }
}

/// Some rows of a map that is spread out.
struct Spread<'a> {
    input: Blocked<'a>,
    residual: Option<Blocked<'a>>,
    stride: [usize; 2],
    /// Columns of the map.
    columns: usize,
    strip: Strip<'a>,
}

impl Kernel for Spread<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let Self { input, residual, stride, columns, strip } = self;
        let [height, width] = input.shape().size();
        let plane = input.plane(strip.block);
        let residual = residual.map(|residual| residual.plane(strip.block));
        for (y, row) in (strip.first_row..).zip(strip.values.chunks_exact_mut(columns * LANES)) {
            row.fill(0.0);
            if y.is_multiple_of(stride[0]) && y / stride[0] < height {
                let source = &plane[y / stride[0] * width * LANES..][..width * LANES];
                for (x, pixel) in source.chunks_exact(LANES).enumerate() {
                    row[x * stride[1] * LANES..][..LANES].copy_from_slice(pixel);
                }
            }
            if let Some(residual) = residual {
                let residual = &residual[y * row.len()..][..row.len()];
                for at in (0..row.len()).step_by(LANES) {
                    s.write(row, at, s.add(s.read(row, at), s.read(residual, at)));
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::reference;
    use super::*;
    use crate::layout::BlockedBuffer;
    use crate::testing::{assert_same_bits, everywhere, in_ieee, levels, values};
    use proptest::prelude::*;

    struct Case {
        spec: Conv2dSpec,
        size: [usize; 2],
        weight: Vec<f32>,
        gradient: Vec<f32>,
        residual: Option<Vec<f32>>,
    }

    impl Case {
        fn new(spec: Conv2dSpec, size: [usize; 2], seed: u64, residual: bool) -> Self {
            let [height, width] = spec.output_size(size).unwrap();
            let weight = values(seed, spec.weights().unwrap(), false);
            let gradient = values(seed ^ 1, spec.out_channels * height * width, false);
            let values = || values(seed ^ 2, spec.in_channels * size[0] * size[1], true);
            Self { spec, size, weight, gradient, residual: residual.then(values) }
        }

        /// The module's text, one value at a time.
        fn expected(&self) -> Vec<f32> {
            let Self { spec, size, weight, gradient, residual } = self;
            let [kh, kw] = spec.kernel;
            let mut turned = vec![0.0; weight.len()];
            for co in 0..spec.out_channels {
                for ci in 0..spec.in_channels {
                    for (ky, kx) in (0..kh).flat_map(|y| (0..kw).map(move |x| (y, x))) {
                        let from =
                            ((co * spec.in_channels + ci) * kh + kh - 1 - ky) * kw + kw - 1 - kx;
                        turned[((ci * spec.out_channels + co) * kh + ky) * kw + kx] = weight[from];
                    }
                }
            }
            let backward = Conv2dSpec {
                in_channels: spec.out_channels,
                out_channels: spec.in_channels,
                stride: [1, 1],
                padding: [kh - 1 - spec.padding[0], kw - 1 - spec.padding[1]],
                ..*spec
            };
            let [height, width] = spec.output_size(*size).unwrap();
            let spread = |values: &[f32], channels: usize, [h, w]: [usize; 2]| {
                let mut out = vec![0.0; channels * h * w];
                for (i, value) in values.iter().enumerate() {
                    let (c, y, x) = (i / (height * width), i / width % height, i % width);
                    out[(c * h + y * spec.stride[0]) * w + x * spec.stride[1]] = *value;
                }
                out
            };
            let convolve = |gradient: &[f32], size| {
                reference::conv2d(&backward, &turned, None, gradient, size, None, false)
            };
            in_ieee((), |()| {
                let mut out = if spec.kernel == [1, 1] {
                    spread(&convolve(gradient, [height, width]), spec.in_channels, *size)
                } else {
                    let full = Conv2dSpec { stride: [1, 1], ..*spec }.output_size(*size).unwrap();
                    convolve(&spread(gradient, spec.out_channels, full), full)
                };
                if let Some(residual) = residual {
                    out.iter_mut().zip(residual).for_each(|(value, residual)| *value += residual);
                }
                out
            })
        }

        fn run(&self, level: Level) -> Vec<f32> {
            self.run_with(&DataGradient::new(level, self.spec, &self.weight).unwrap())
        }

        fn run_with(&self, data_gradient: &DataGradient) -> Vec<f32> {
            let Self { spec, size, gradient, residual, .. } = self;
            let out = BlockedShape::new(spec.out_channels, spec.output_size(*size).unwrap());
            let shape = BlockedShape::new(spec.in_channels, *size);
            let gradient = BlockedBuffer::from_chw(out, gradient).unwrap();
            let residual = residual.as_ref().map(|r| BlockedBuffer::from_chw(shape, r).unwrap());
            let mut output = BlockedBuffer::zeroed(shape);
            output.as_mut().data().fill(f32::NAN);
            let item = DataGradientItem {
                grad_output: gradient.as_ref(),
                residual: residual.as_ref().map(BlockedBuffer::as_ref),
                output: output.as_mut(),
            };
            data_gradient.forward(&mut [item]).unwrap();
            let mut values = vec![f32::NAN; shape.values()];
            output.as_ref().to_chw(&mut values).unwrap();
            values
        }
    }

    fn spec(channels: [usize; 2], kernel: usize, stride: usize, padding: usize) -> Conv2dSpec {
        let [in_channels, out_channels] = channels;
        let pair = |value| [value; 2];
        Conv2dSpec {
            in_channels,
            out_channels,
            kernel: pair(kernel),
            stride: pair(stride),
            padding: pair(padding),
        }
    }

    #[test]
    fn every_kind_equals_the_oracle_on_every_level() {
        for (spec, size) in [
            (spec([17, 33], 3, 1, 1), [13, 22]),
            (spec([36, 20], 3, 2, 1), [12, 19]),
            (spec([33, 17], 1, 1, 0), [9, 14]),
            (spec([33, 17], 1, 2, 0), [10, 15]),
            (spec([3, 33], 7, 2, 3), [23, 20]),
            (spec([20, 5], 3, 1, 1), [8, 9]),
            (spec([7, 20], 2, 3, 0), [15, 13]),
        ] {
            for residual in [false, true] {
                let case = Case::new(spec, size, 3, residual);
                let expected = case.expected();
                everywhere(|level| {
                    assert_same_bits(&case.run(level), &expected, format!("{level} {spec:?}"));
                });
            }
        }
    }

    #[test]
    fn other_weights_in_the_same_memory_give_what_new_ones_do() {
        for (spec, size) in [
            (spec([17, 33], 3, 1, 1), [13, 22]),
            (spec([36, 20], 3, 2, 1), [12, 19]),
            (spec([33, 17], 1, 2, 0), [10, 15]),
        ] {
            let case = Case::new(spec, size, 3, true);
            let others = values(11, case.weight.len(), false);
            let mut again = DataGradient::new(Level::best(), spec, &others).unwrap();
            again.repack(&case.weight).unwrap();
            assert_same_bits(&case.run_with(&again), &case.run(Level::best()), format!("{spec:?}"));
            assert!(again.repack(&others[1..]).is_err());
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(32))]
        #[test]
        fn any_shape_equals_the_oracle(
            channels in prop::array::uniform2(prop_oneof![1usize..8, 15usize..20, 30usize..35]),
            kernel in prop::array::uniform2(1usize..4),
            stride in prop::array::uniform2(1usize..4),
            padding in prop::array::uniform2(0usize..3),
            size in prop::array::uniform2(1usize..20),
            residual in any::<bool>(), seed in 0u64..1000,
        ) {
            let [in_channels, out_channels] = channels;
            let spec = Conv2dSpec { in_channels, out_channels, kernel, stride, padding };
            prop_assume!(padding[0] < kernel[0] && padding[1] < kernel[1]);
            prop_assume!(spec.output_size(size).is_ok());
            let case = Case::new(spec, size, seed, residual);
            for level in levels() {
                let what = format!("{level} {spec:?} {size:?}");
                assert_same_bits(&case.run(level), &case.expected(), what);
            }
        }
    }

    #[test]
    fn it_is_the_gradient_in_f64() {
        for (spec, size) in [
            (spec([16, 40], 3, 1, 1), [14, 15]),
            (spec([20, 48], 3, 2, 1), [15, 16]),
            (spec([24, 32], 1, 2, 0), [9, 8]),
        ] {
            let case = Case::new(spec, size, 4, false);
            let [height, width] = spec.output_size(size).unwrap();
            let mut exact = vec![0.0f64; spec.in_channels * size[0] * size[1]];
            let taps = spec.kernel[0] * spec.kernel[1];
            for (i, gradient) in case.gradient.iter().enumerate() {
                let (co, oy, ox) = (i / (height * width), i / width % height, i % width);
                for (j, weight) in case.weight[co * spec.in_channels * taps..]
                    [..spec.in_channels * taps]
                    .iter()
                    .enumerate()
                {
                    let (ci, tap) = (j / taps, j % taps);
                    let y = oy * spec.stride[0] + tap / spec.kernel[1];
                    let x = ox * spec.stride[1] + tap % spec.kernel[1];
                    let (y, x) = (y.wrapping_sub(spec.padding[0]), x.wrapping_sub(spec.padding[1]));
                    if y < size[0] && x < size[1] {
                        exact[(ci * size[0] + y) * size[1] + x] +=
                            f64::from(*gradient) * f64::from(*weight);
                    }
                }
            }
            let (mut error, mut largest) = (0.0, 0.0);
            for (a, e) in case.run(Level::best()).iter().zip(&exact) {
                let off = (f64::from(*a) - e).abs();
                error = if off > error { off } else { error };
                largest = if e.abs() > largest { e.abs() } else { largest };
            }
            println!("{spec:?}: {:.1e} of the largest", error / largest);
            assert!(error / largest < 3e-6, "{spec:?}: {:e}", error / largest);
        }
    }

    #[test]
    fn what_does_not_fit_is_an_error_that_says_so() {
        let wide = spec([16, 16], 3, 1, 3);
        let error = DataGradient::new(Level::best(), wide, &[0.0; 16 * 16 * 9]).unwrap_err();
        assert!(error.to_string().contains("padding must be smaller"));
        let spec = spec([16, 20], 3, 2, 1);
        let error = DataGradient::new(Level::best(), spec, &[0.0; 7]).unwrap_err();
        assert!(error.to_string().contains("expected 2880 values, got 7"));
        let gradient = DataGradient::new(Level::best(), spec, &[0.0; 2880]).unwrap();
        let zeroed = |channels, size| BlockedBuffer::zeroed(BlockedShape::new(channels, size));
        let run = |of_output: BlockedBuffer, residual: BlockedBuffer, mut output: BlockedBuffer| {
            let item = DataGradientItem {
                grad_output: of_output.as_ref(),
                residual: Some(residual.as_ref()),
                output: output.as_mut(),
            };
            gradient.forward(&mut [item]).unwrap_err().to_string()
        };
        let (right, input) = (zeroed(20, [2, 3]), zeroed(16, [4, 5]));
        assert!(
            run(zeroed(20, [2, 2]), input.clone(), input.clone()).contains("output's gradient is")
        );
        assert!(run(right.clone(), zeroed(16, [4, 4]), input.clone()).contains("residual"));
        assert!(run(right, input, zeroed(17, [4, 5])).contains("for the input of"));
    }
}
