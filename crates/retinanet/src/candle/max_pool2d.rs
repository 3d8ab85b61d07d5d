//! [`MaxPool2d`] on tensors.

use candle_core::{CpuStorage, CustomOp1, Layout, Module, Result, Shape, Tensor};
use retinanet_kernels::layout::{BlockedBuffer, BlockedShape};
use retinanet_kernels::pool::{max_pool2d_backward, max_pool2d_nchw};

use super::images::{Held, Images, checked, gradient_of_images};
use crate::ops::MaxPool2d;

const NAME: &str = "retinanet.max_pool2d";

impl Module for MaxPool2d {
    /// # Errors
    /// [`OpError`](crate::ops::OpError) when the input is not f32 (N, C, H, W) on the CPU; a kernel
    /// error when it is smaller than the window.
    fn forward(&self, input: &Tensor) -> Result<Tensor> {
        checked(NAME, "input", input)?.apply_op1(*self)
    }
}

impl CustomOp1 for MaxPool2d {
    fn name(&self) -> &'static str {
        NAME
    }

    fn cpu_fwd(&self, storage: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let input = Images::new(NAME, "input", storage, layout)?;
        let [n, channels, h, w] = input.shape;
        let [out_h, out_w] = self.spec.output_size([h, w]).map_err(candle_core::Error::wrap)?;
        Images::map_images(NAME, [n, channels, out_h, out_w], |index, output| {
            let input = input.image(index);
            max_pool2d_nchw(self.level, &self.spec, channels, [h, w], input, output)
        })
    }

    fn bwd(&self, input: &Tensor, _: &Tensor, gradient: &Tensor) -> Result<Option<Tensor>> {
        let gradient = gradient.contiguous()?;
        let (input, gradient) = (Held::new(input), Held::new(&gradient));
        let (input, gradient) = (input.images(NAME, "input")?, gradient.images(NAME, "gradient")?);
        let shape = BlockedShape::new(input.shape[1], [input.shape[2], input.shape[3]]);
        let [_, _, out_h, out_w] = gradient.shape;
        let pooled = BlockedShape::new(shape.channels, [out_h, out_w]);
        let of_input = gradient_of_images(NAME, input.shape, |index, output| {
            let gradient = BlockedBuffer::from_chw(pooled, gradient.image(index))?;
            let input = BlockedBuffer::from_chw(shape, input.image(index))?;
            let mut of_input = BlockedBuffer::zeroed(shape);
            max_pool2d_backward(
                self.level,
                &self.spec,
                input.as_ref(),
                gradient.as_ref(),
                &mut of_input.as_mut(),
            )?;
            of_input.as_ref().to_chw(output)
        });
        of_input.map(Some)
    }
}

#[cfg(test)]
mod tests {
    use candle_core::Device;

    use super::*;
    use crate::ops::{Level, MaxPool2dSpec};

    #[test]
    fn kernel_one_stride_two_takes_every_other_pixel() {
        let spec = MaxPool2dSpec { kernel: [1, 1], stride: [2, 2], padding: [0, 0] };
        let pool = MaxPool2d::new(Level::from_env().unwrap(), spec);
        let x = Tensor::arange(0f32, 15f32, &Device::Cpu).unwrap();
        let x = x.reshape((1, 1, 3, 5)).unwrap();
        let y = pool.forward(&x).unwrap();
        assert_eq!(y.dims(), [1, 1, 2, 3]);
        let y: Vec<f32> = y.flatten_all().unwrap().to_vec1().unwrap();
        assert_eq!(y, [0.0, 2.0, 4.0, 10.0, 12.0, 14.0]);
    }

    #[test]
    fn padding_never_wins_over_negative_values() {
        let spec = MaxPool2dSpec { kernel: [3, 3], stride: [2, 2], padding: [1, 1] };
        let pool = MaxPool2d::new(Level::from_env().unwrap(), spec);
        let x = Tensor::full(-2f32, (1, 1, 4, 4), &Device::Cpu).unwrap();
        let y: Vec<f32> = pool.forward(&x).and_then(|y| y.flatten_all()?.to_vec1()).unwrap();
        assert_eq!(y, [-2.0; 4]);
    }
}
