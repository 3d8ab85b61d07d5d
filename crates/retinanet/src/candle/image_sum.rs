//! Sums of the images' gradients of a weight.

use candle_core::{Device, Result, Tensor};
use retinanet_kernels::{Level, pointwise};

/// The sum of one gradient an image, value by value, in the order of [`pairwise`](retinanet_kernels::sum::pairwise):
/// of the images in their order neighbours are added, a last one without neighbour moves up as it is, until one is left.
///
/// It holds one gradient for each binary digit of the number of images, not one for each image.
pub(super) struct ImageSum {
    level: Level,
    /// Sums of so many images, ever fewer.
    parts: Vec<(usize, Vec<f32>)>,
}

impl ImageSum {
    pub(super) fn new(level: Level) -> Self {
        Self { level, parts: Vec::new() }
    }

    /// Adds the next image's.
    pub(super) fn push(&mut self, gradient: Vec<f32>) -> retinanet_kernels::Result<()> {
        let (mut images, mut right) = (1, gradient);
        while let Some((_, mut left)) = self.parts.pop_if(|(before, _)| *before == images) {
            pointwise::add_in_place(self.level, &mut left, &right)?;
            (images, right) = (2 * images, left);
        }
        self.parts.push((images, right));
        Ok(())
    }

    /// The sum of all, a tensor of the shape that `parameter` has; of no images, +0.
    pub(super) fn finish(mut self, parameter: &Tensor) -> Result<Tensor> {
        let Some((_, mut sum)) = self.parts.pop() else {
            return parameter.zeros_like();
        };
        while let Some((_, mut left)) = self.parts.pop() {
            pointwise::add_in_place(self.level, &mut left, &sum)
                .map_err(candle_core::Error::wrap)?;
            sum = left;
        }
        Tensor::from_vec(sum, parameter.dims(), &Device::Cpu)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use retinanet_kernels::sum::pairwise;

    #[test]
    fn any_number_of_images_is_added_in_the_order_of_the_pairwise_sum() {
        let level = Level::from_env().unwrap();
        let value = |image: usize, i: usize| ((image * 37 + i * 101) % 97) as f32 / 7.0 - 6.0;
        for images in 0..20 {
            let mut sum = ImageSum::new(level);
            for image in 0..images {
                sum.push((0..19).map(|i| value(image, i)).collect()).unwrap();
            }
            let parameter = Tensor::zeros(19, candle_core::DType::F32, &Device::Cpu).unwrap();
            let sum: Vec<f32> = sum.finish(&parameter).and_then(|sum| sum.to_vec1()).unwrap();
            for (i, sum) in sum.into_iter().enumerate() {
                let mut values: Vec<f32> = (0..images).map(|image| value(image, i)).collect();
                assert_eq!(sum.to_bits(), pairwise(&mut values).to_bits(), "{images} images");
            }
        }
    }
}
