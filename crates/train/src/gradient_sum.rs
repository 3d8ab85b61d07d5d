//! Exact sums over images: integers, which no order can change.
//!
//! # What is computed
//!
//! 1. Each value `g` of an image's gradient becomes the integer `q = round(g * 2^48)`, to the nearest, ties to even. That is
//!    the only rounding of an image's share.
//! 2. The `q` of all images are added as 64-bit integers. Nothing is lost, so threads, processes and machines may add in any
//!    order and in any parts.
//! 3. [`GradientSum::finish`] answers `f32(f64(sum) / f64(divisor) * 2^-48)`: the integer rounded to f64, one division, one
//!    exact scaling, one rounding to f32, each to the nearest, ties to even.
//!
//! A sum for `n` images takes values of at most 2^15 / n, so that no sum of theirs can leave 64 bits: whether values are
//! refused depends on the batch, never on the order. Measured gradients are below 1.
//!
//! The losses of the images, and how many images and anchors with an object there were, are summed beside them.

use std::ops::Range;

use rayon::prelude::*;
use retinanet_kernels::with_ieee;

use crate::error::GradientError;
use crate::losses::ImageLosses;
use crate::parameters::Parameters;
use crate::{Error, Result};

/// Values that one task handles.
const PIECE: usize = 1 << 15;
/// 2^48: one over the quantum.
const SCALE: f32 = 281_474_976_710_656.0;
/// 2^-48, the quantum.
const QUANTUM: f64 = 1.0 / 281_474_976_710_656.0;
/// 2^63 quanta: what 64 bits cannot hold.
const BEYOND: f32 = 32_768.0;
/// 2^51 quanta: below, a value can be rounded beside [`BESIDE`].
const SMALL: f32 = 8.0;
/// 1.5 * 2^52.
const BESIDE: f64 = 6_755_399_441_055_744.0;
/// Values that are looked at whole, to take them several at a time.
const BLOCK: usize = 1024;
/// From here on, every f32 is a whole number.
const WHOLE: f32 = 8_388_608.0;

/// The sums of the losses over some images.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct LossSums {
    /// Of the focal losses.
    pub classification: f64,
    /// Of the box losses.
    pub regression: f64,
    /// How many images there were.
    pub images: u64,
    /// How many anchors had an object.
    pub foreground: u64,
}

/// The sum of some images' gradients.
///
/// ```
/// use retinanet_train::gradient_sum::{GradientSum, ImageLoss};
///
/// let loss = ImageLoss { classification: 1.5, regression: 0.5, foreground: 3 };
/// let mut one = GradientSum::new([("bias", 2)], 2)?;
/// one.add(7, &[vec![0.1, -0.2]], &loss)?;
/// let mut other = GradientSum::new([("bias", 2)], 2)?; // another thread's, or another machine's
/// other.add(8, &[vec![0.3, 0.2]], &loss)?;
/// one.merge(&other)?;
/// assert_eq!(one.finish(2)?, [[0.2, 0.0]]);
/// assert_eq!(one.losses().classification, 3.0);
/// # Ok::<(), retinanet_train::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GradientSum {
    names: Vec<String>,
    sums: Vec<Vec<i64>>,
    /// Classification and box loss in quanta, images, anchors with an object.
    counts: [i64; 4],
    capacity: u64,
}

/// The losses of one image.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ImageLoss {
    /// The focal loss.
    pub classification: f32,
    /// The box loss.
    pub regression: f32,
    /// How many anchors have an object.
    pub foreground: usize,
}

impl From<&ImageLosses> for ImageLoss {
    fn from(losses: &ImageLosses) -> Self {
        let ImageLosses { classification, regression, foreground, .. } = *losses;
        Self { classification, regression, foreground }
    }
}

impl GradientSum {
    /// A sum of nothing, over tensors of these names and numbers of values, for at most `images` images in all: those of the
    /// whole step, also where this sum will see a part of them.
    ///
    /// # Errors
    /// [`Error::Setting`] where `images` is not 1 to 2^20.
    pub fn new<N: Into<String>>(
        tensors: impl IntoIterator<Item = (N, usize)>,
        images: u64,
    ) -> Result<Self> {
        if !(1..=1 << 20).contains(&images) {
            let (setting, value) = ("images", images.to_string());
            return Err(Error::Setting { setting, value, expected: "1 to 1048576" });
        }
        let tensors = tensors.into_iter().map(|(name, len)| (name.into(), vec![0; len]));
        let (names, sums) = tensors.unzip();
        Ok(Self { names, sums, counts: [0; 4], capacity: images })
    }

    /// A sum of nothing over the tensors that train.
    ///
    /// # Errors
    /// As [`GradientSum::new`].
    pub fn of(parameters: &Parameters, images: u64) -> Result<Self> {
        Self::new(parameters.trainable().map(|one| (one.name(), one.values().len())), images)
    }

    /// Adds an image's gradients, one for each tensor, in order; `image` names it in messages. After an error, the sum is
    /// what it was.
    ///
    /// # Errors
    /// [`GradientError::OutOfRange`] naming image and tensor of the first value that is NaN, infinite or
    /// too large; [`GradientError::Shape`] where there are other tensors, [`GradientError::TooManyImages`].
    pub fn add(&mut self, image: u64, gradients: &[Vec<f32>], loss: &ImageLoss) -> Result<()> {
        check("gradients".to_owned(), self.sums.len(), gradients.len())?;
        for ((name, sums), gradient) in self.names.iter().zip(&self.sums).zip(gradients) {
            if sums.len() != gradient.len() {
                check(format!("values of the gradient of {name:?}"), sums.len(), gradient.len())?;
            }
        }
        self.check_images(1)?;
        let limit = self.limit();
        let losses = [loss.classification, loss.regression];
        let refuse = |tensor: &str, index: usize, value: f32| {
            let tensor = tensor.to_owned();
            Err(GradientError::OutOfRange { image, tensor, index, value, limit }.into())
        };
        if let Some(index) = first_beyond(&losses, limit) {
            return refuse("losses", index, losses[index]);
        }
        // Before anything is added, so that a refused image leaves no trace.
        let pieces = pieces(self.sums.iter().map(Vec::len));
        let bad = pieces.par_iter().filter_map(|(tensor, range)| {
            let index = first_beyond(&gradients[*tensor][range.clone()], limit)?;
            Some((*tensor, range.start + index))
        });
        if let Some((tensor, index)) = bad.min() {
            return refuse(&self.names[tensor], index, gradients[tensor][index]);
        }
        let tensors = self.sums.iter_mut().zip(gradients);
        let chunks: Vec<(&mut [i64], &[f32])> = tensors
            .flat_map(|(sums, values)| sums.chunks_mut(PIECE).zip(values.chunks(PIECE)))
            .collect();
        chunks.into_par_iter().for_each(|(sums, values)| with_ieee(|| accumulate(sums, values)));
        let mut quanta = [0; 2];
        with_ieee(|| accumulate(&mut quanta, &losses));
        let foreground = i64::try_from(loss.foreground).unwrap_or(i64::MAX);
        for (count, more) in self.counts.iter_mut().zip([quanta[0], quanta[1], 1, foreground]) {
            *count = count.saturating_add(more);
        }
        Ok(())
    }

    /// Adds another part's sum.
    ///
    /// # Errors
    /// [`GradientError::Shape`] where it is of other tensors or made for another number of images,
    /// [`GradientError::TooManyImages`].
    pub fn merge(&mut self, other: &Self) -> Result<()> {
        check("tensors of the other sum".to_owned(), self.sums.len(), other.sums.len())?;
        for ((name, sums), more) in self.names.iter().zip(&self.sums).zip(&other.sums) {
            check(format!("values of {name:?} in the other sum"), sums.len(), more.len())?;
        }
        let images = |capacity: u64| usize::try_from(capacity).unwrap_or(usize::MAX);
        let (own, others) = (images(self.capacity), images(other.capacity));
        check("images that the other sum was made for".to_owned(), own, others)?;
        self.check_images(other.losses().images)?;
        let tensors = self.sums.iter_mut().zip(&other.sums);
        let chunks: Vec<(&mut [i64], &[i64])> = tensors
            .flat_map(|(sums, more)| sums.chunks_mut(PIECE).zip(more.chunks(PIECE)))
            .collect();
        chunks.into_par_iter().for_each(|(sums, more)| {
            for (sum, more) in sums.iter_mut().zip(more) {
                *sum += more;
            }
        });
        for (count, more) in self.counts.iter_mut().zip(other.counts) {
            *count = count.saturating_add(more);
        }
        Ok(())
    }

    /// All there is, as integers: adding these slices up, each with its twin of the other parts, by any means, is
    /// [`merge`](Self::merge). For transports: every rank's sum must have been made for the whole step's images.
    pub fn slices_mut(&mut self) -> impl Iterator<Item = &mut [i64]> {
        self.sums.iter_mut().map(Vec::as_mut_slice).chain([self.counts.as_mut_slice()])
    }

    /// The losses so far.
    pub fn losses(&self) -> LossSums {
        let [classification, regression, images, foreground] = self.counts;
        with_ieee(|| LossSums {
            classification: classification as f64 * QUANTUM,
            regression: regression as f64 * QUANTUM,
            images: images.unsigned_abs(),
            foreground: foreground.unsigned_abs(),
        })
    }

    /// The gradients: the sums over `divisor`, the images of the step, say, or the anchors that have an object.
    /// The [module](self) defines the rounding.
    ///
    /// # Errors
    /// [`Error::Setting`] where the divisor is not 1 to 2^53.
    pub fn finish(&self, divisor: u64) -> Result<Vec<Vec<f32>>> {
        let mut gradients = self.sums.iter().map(|sums| vec![0.0; sums.len()]).collect::<Vec<_>>();
        self.finish_into(divisor, &mut gradients)?;
        Ok(gradients)
    }

    /// As [`finish`](Self::finish), into memory that is there already.
    ///
    /// # Errors
    /// As [`finish`](Self::finish), and [`GradientError::Shape`].
    pub fn finish_into(&self, divisor: u64, gradients: &mut [Vec<f32>]) -> Result<()> {
        if !(1..=1 << 53).contains(&divisor) {
            let (setting, value) = ("divisor", divisor.to_string());
            return Err(Error::Setting { setting, value, expected: "1 to 2^53" });
        }
        check("gradients".to_owned(), self.sums.len(), gradients.len())?;
        for ((name, sums), gradient) in self.names.iter().zip(&self.sums).zip(&*gradients) {
            check(format!("values of the gradient of {name:?}"), sums.len(), gradient.len())?;
        }
        let divisor = divisor as f64;
        let tensors = self.sums.iter().zip(gradients);
        let chunks: Vec<(&[i64], &mut [f32])> = tensors
            .flat_map(|(sums, values)| sums.chunks(PIECE).zip(values.chunks_mut(PIECE)))
            .collect();
        chunks.into_par_iter().for_each(|(sums, values)| {
            with_ieee(|| {
                for (value, sum) in values.iter_mut().zip(sums) {
                    *value = (*sum as f64 / divisor * QUANTUM) as f32;
                }
            });
        });
        Ok(())
    }

    /// Back to a sum of nothing, in the same memory.
    pub fn clear(&mut self) {
        let chunks: Vec<&mut [i64]> =
            self.sums.iter_mut().flat_map(|sums| sums.chunks_mut(PIECE)).collect();
        chunks.into_par_iter().for_each(|sums| sums.fill(0));
        self.counts = [0; 4];
    }

    /// The largest magnitude of which so many cannot leave 64 bits.
    fn limit(&self) -> f32 {
        // Rounded down to fewer bits, so that the product stays below.
        let limit = with_ieee(|| BEYOND / self.capacity as f32);
        f32::from_bits(limit.to_bits() - 1)
    }

    fn check_images(&self, more: u64) -> Result<()> {
        let (capacity, images) = (self.capacity, self.losses().images.saturating_add(more));
        if images > capacity {
            return Err(GradientError::TooManyImages { capacity, images }.into());
        }
        Ok(())
    }
}

/// Parts of all tensors, in order.
fn pieces(lengths: impl Iterator<Item = usize>) -> Vec<(usize, Range<usize>)> {
    let of_tensor = |(tensor, len): (usize, usize)| {
        let starts = (0..len).step_by(PIECE);
        starts.map(move |start| (tensor, start..len.min(start + PIECE)))
    };
    lengths.enumerate().flat_map(of_tensor).collect()
}

/// The first value whose magnitude is not within the limit, NaN included.
fn first_beyond(values: &[f32], limit: f32) -> Option<usize> {
    // A search that may stop at every value takes one at a time.
    let within = |block: &[f32]| block.iter().fold(true, |all, value| all & (value.abs() <= limit));
    let start = BLOCK * values.chunks(BLOCK).position(|block| !within(block))?;
    let beyond = |value: &f32| !within(&[*value]);
    values[start..].iter().position(beyond).map(|index| start + index)
}

/// Adds each value, in quanta. All are within the limit.
fn accumulate(sums: &mut [i64], values: &[f32]) {
    for (sums, values) in sums.chunks_mut(BLOCK).zip(values.chunks(BLOCK)) {
        // Both ways round alike; the first is what nearly all gradients take, several at a time.
        if values.iter().fold(true, |all, value| all & (value.abs() < SMALL)) {
            for (sum, value) in sums.iter_mut().zip(values) {
                // In [2^52, 2^53), where f64 has no fractions, and bits count one by one.
                let beside = f64::from(*value) * f64::from(SCALE) + BESIDE;
                *sum += beside.to_bits() as i64 - BESIDE.to_bits() as i64;
            }
        } else {
            for (sum, value) in sums.iter_mut().zip(values) {
                // Exact: a power of two, and far from f32's largest.
                let scaled = value * SCALE;
                let rounded = if scaled.abs() < WHOLE { whole(scaled) } else { scaled };
                *sum += rounded as i64;
            }
        }
    }
}

/// The nearest whole number, ties to even, of a number below 2^23: beside 2^23, f32 has no fractions.
fn whole(value: f32) -> f32 {
    let beside = WHOLE.copysign(value);
    (value + beside) - beside
}

fn check(what: String, expected: usize, actual: usize) -> Result<()> {
    if expected == actual {
        return Ok(());
    }
    Err(GradientError::Shape { what, expected, actual }.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOSS: ImageLoss = ImageLoss { classification: 0.75, regression: 0.25, foreground: 2 };

    #[test]
    fn every_value_is_rounded_once_to_the_nearest_multiple_ties_to_even() {
        let values: Vec<f32> = (-149i32..15)
            .flat_map(|power| {
                let scale = f64::from_bits(((1023 + i64::from(power)) as u64) << 52);
                [1.0, 1.5, 1.25, 1.75, 1.999_999_9, 1.000_000_1].map(|m| (m * scale) as f32)
            })
            .flat_map(|value| [value, -value])
            .filter(|value| value.abs() < BEYOND)
            .collect();
        let mut sums = vec![0; values.len()];
        with_ieee(|| accumulate(&mut sums, &values));
        // With large neighbours and without.
        let mut alone = vec![0; values.len()];
        let places = alone.chunks_mut(1).zip(values.chunks(1));
        with_ieee(|| places.for_each(|(sum, value)| accumulate(sum, value)));
        assert_eq!(alone, sums);
        for (value, sum) in values.iter().zip(&sums) {
            let exact = f64::from(*value) / QUANTUM;
            let floor = exact.floor() as i128;
            let expected = match (exact - exact.floor()).total_cmp(&0.5) {
                std::cmp::Ordering::Less => floor,
                std::cmp::Ordering::Greater => floor + 1,
                std::cmp::Ordering::Equal => floor + (floor & 1),
            };
            assert_eq!(i128::from(*sum), expected, "{value:e}");
        }
    }

    #[test]
    fn no_sum_within_the_limit_leaves_64_bits() {
        for images in [1, 2, 3, 7, 16, 1000, 1 << 20] {
            let sum = GradientSum::new([("a", 1)], images).unwrap();
            let limit = sum.limit();
            let mut one = [0];
            with_ieee(|| accumulate(&mut one, &[limit]));
            let all = i128::from(one[0]) * i128::from(images);
            assert!(all <= i128::from(i64::MAX), "{images} {limit}");
            assert!(limit * images as f32 > 0.999 * BEYOND);
        }
        let mut sum = GradientSum::new([("a", 2)], 3).unwrap();
        for _ in 0..3 {
            let limit = sum.limit();
            sum.add(0, &[vec![limit, -limit]], &LOSS).unwrap();
        }
        assert!(sum.sums[0][0] > 0 && sum.sums[0][1] == -sum.sums[0][0]);
    }

    /// Gradients of some images, of every magnitude.
    fn images(count: u64) -> Vec<[Vec<f32>; 2]> {
        let mut state = 9u64;
        let mut next = || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            let mantissa = (state >> 40) as f32 / 16_777_216.0 - 0.5;
            let power = 1u64 << (state % 40);
            mantissa / power as f32
        };
        (0..count)
            .map(|_| [(0..70_001).map(|_| next()).collect(), (0..3).map(|_| next()).collect()])
            .collect()
    }

    fn empty(count: u64) -> GradientSum {
        GradientSum::new([("weight", 70_001), ("bias", 3)], count).unwrap()
    }

    #[test]
    fn neither_order_nor_parts_nor_threads_change_a_bit() {
        let images = images(16);
        let mut whole = empty(16);
        for (i, image) in images.iter().enumerate() {
            whole.add(i as u64, image, &LOSS).unwrap();
        }
        for threads in [1, 2, 4] {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            pool.install(|| {
                // Four parts of four, each backwards, joined out of order.
                let mut parts: Vec<GradientSum> = images
                    .chunks(4)
                    .map(|part| {
                        let mut sum = empty(16);
                        for image in part.iter().rev() {
                            sum.add(0, image, &LOSS).unwrap();
                        }
                        sum
                    })
                    .collect();
                parts.swap(0, 3);
                let mut merged = parts.pop().unwrap();
                for part in &parts {
                    merged.merge(part).unwrap();
                }
                assert!(merged == whole, "{threads} threads");
                assert_eq!(merged.finish(16).unwrap(), whole.finish(16).unwrap());
                // As a transport does it.
                let mut reduced = empty(16);
                for part in parts.iter().chain([&merged]) {
                    let mut part = part.clone();
                    for (sum, more) in reduced.slices_mut().zip(part.slices_mut()) {
                        sum.iter_mut().zip(more).for_each(|(sum, more)| *sum += *more);
                    }
                }
                for part in &parts {
                    let mut part = part.clone();
                    for (sum, more) in reduced.slices_mut().zip(part.slices_mut()) {
                        sum.iter_mut().zip(more).for_each(|(sum, more)| *sum -= *more);
                    }
                }
                assert!(reduced == whole);
            });
        }
        let losses = whole.losses();
        assert_eq!((losses.classification, losses.regression), (12.0, 4.0));
        assert_eq!((losses.images, losses.foreground), (16, 32));
        whole.clear();
        assert!(whole == empty(16));
    }

    #[test]
    fn the_mean_is_the_exact_ones_nearest_f32() {
        let images = images(5);
        let mut sum = empty(5);
        for image in &images {
            sum.add(0, image, &LOSS).unwrap();
        }
        let mean = sum.finish(5).unwrap();
        for (i, value) in mean[0].iter().enumerate() {
            let exact: f64 = images.iter().map(|image| f64::from(image[0][i])).sum::<f64>() / 5.0;
            // Five roundings to the quantum, then one to f32.
            let error = (f64::from(*value) - exact).abs();
            assert!(error <= 0.5 * QUANTUM + exact.abs() / 16_777_216.0, "{i}: {value:e}");
        }
    }

    #[test]
    fn what_cannot_be_summed_names_tensor_and_image_and_leaves_no_trace() {
        let mut sum = empty(2);
        sum.add(1, &images(1)[0], &LOSS).unwrap();
        let before = sum.clone();
        for wrong in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY, 16_384.0, -1e9] {
            let mut image = images(1).remove(0);
            image[1][2] = wrong;
            let error = sum.add(42, &image, &LOSS).unwrap_err().to_string();
            assert!(error.contains("image 42: the gradient of \"bias\""), "{error}");
            image[0][69_999] = wrong;
            let error = sum.add(42, &image, &LOSS).unwrap_err().to_string();
            assert!(error.contains("\"weight\"") && error.contains("index 69999"), "{error}");
            let loss = ImageLoss { regression: wrong, ..LOSS };
            let error = sum.add(42, &images(1)[0], &loss).unwrap_err().to_string();
            assert!(error.contains("\"losses\""), "{error}");
            assert!(sum == before);
        }
        let error = sum.add(1, &[vec![0.0; 70_001]], &LOSS).unwrap_err().to_string();
        assert!(error.contains("gradients: expected 2, got 1"), "{error}");
        let error = sum.add(1, &[vec![0.0; 70_001], vec![0.0]], &LOSS).unwrap_err().to_string();
        assert!(error.contains("gradient of \"bias\": expected 3, got 1"), "{error}");
        let other = GradientSum::new([("weight", 3)], 2).unwrap();
        assert!(sum.merge(&other).is_err());
        assert!(sum.merge(&empty(3)).is_err());
        sum.add(1, &images(1)[0], &LOSS).unwrap();
        let error = sum.add(1, &images(1)[0], &LOSS).unwrap_err().to_string();
        assert!(error.contains("a sum for 2 images was given 3"), "{error}");
        assert!(sum.merge(&before).is_err());
        assert!(sum.finish(0).is_err());
        assert!(GradientSum::new([("a", 1)], 0).is_err());
    }
}
