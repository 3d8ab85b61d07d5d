//! [`UpsampleAdd`] on tensors.

use candle_core::{CpuStorage, CustomOp2, Layout, Result, Shape, Tensor};
use retinanet_kernels::layout::{BlockedBuffer, BlockedShape};
use retinanet_kernels::upsample::{upsample_nearest_add_nchw, upsample_nearest_backward};

use super::images::{Held, Images, checked, gradient_of_images};
use crate::ops::{OpError, UpsampleAdd};

const NAME: &str = "retinanet.upsample_add";

impl UpsampleAdd {
    /// `lateral` + `coarse` upsampled to the lateral's size.
    ///
    /// # Errors
    /// [`OpError`] when a tensor is not f32 (N, C, H, W) on the CPU or N or C differ.
    pub fn forward(&self, coarse: &Tensor, lateral: &Tensor) -> Result<Tensor> {
        let coarse = checked(NAME, "coarse map", coarse)?;
        let lateral = checked(NAME, "lateral map", lateral)?;
        coarse.apply_op2(&lateral, *self)
    }
}

impl CustomOp2 for UpsampleAdd {
    fn name(&self) -> &'static str {
        NAME
    }

    fn cpu_fwd(
        &self,
        coarse_storage: &CpuStorage,
        coarse_layout: &Layout,
        lateral_storage: &CpuStorage,
        lateral_layout: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let coarse = Images::new(NAME, "coarse map", coarse_storage, coarse_layout)?;
        let lateral = Images::new(NAME, "lateral map", lateral_storage, lateral_layout)?;
        let [n, channels, h, w] = coarse.shape;
        let [_, _, fine_h, fine_w] = lateral.shape;
        if lateral.shape[..2] != [n, channels] {
            return Err(OpError::Shape {
                op: NAME,
                what: "lateral map",
                shape: lateral.shape.to_vec(),
                expected: format!("{n} images of {channels} channels"),
            }
            .into());
        }
        if h == 0 || w == 0 {
            return Err(OpError::Shape {
                op: NAME,
                what: "coarse map",
                shape: coarse.shape.to_vec(),
                expected: "at least one pixel".to_owned(),
            }
            .into());
        }
        Images::map_images(NAME, lateral.shape, |index, output| {
            let (coarse, lateral) = (coarse.image(index), lateral.image(index));
            upsample_nearest_add_nchw(
                self.level,
                channels,
                [h, w],
                [fine_h, fine_w],
                coarse,
                lateral,
                output,
            )
        })
    }

    fn bwd(
        &self,
        coarse: &Tensor,
        lateral: &Tensor,
        _: &Tensor,
        gradient: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>)> {
        let of_coarse =
            coarse.track_op().then(|| self.coarse_gradient(coarse, gradient)).transpose()?;
        Ok((of_coarse, lateral.track_op().then(|| gradient.clone())))
    }
}

impl UpsampleAdd {
    fn coarse_gradient(&self, coarse: &Tensor, gradient: &Tensor) -> Result<Tensor> {
        let (n, channels, h, w) = coarse.dims4()?;
        let gradient = gradient.contiguous()?;
        let gradient = Held::new(&gradient);
        let gradient = gradient.images(NAME, "gradient")?;
        let [_, _, fine_h, fine_w] = gradient.shape;
        let fine = BlockedShape::new(channels, [fine_h, fine_w]);
        let shape = BlockedShape::new(channels, [h, w]);
        gradient_of_images(NAME, [n, channels, h, w], |index, output| {
            let gradient = BlockedBuffer::from_chw(fine, gradient.image(index))?;
            let mut of_coarse = BlockedBuffer::zeroed(shape);
            upsample_nearest_backward(self.level, gradient.as_ref(), &mut of_coarse.as_mut())?;
            of_coarse.as_ref().to_chw(output)
        })
    }
}

#[cfg(test)]
mod tests {
    use candle_core::{DType, Device};

    use super::*;
    use crate::ops::Level;

    #[test]
    fn an_odd_size_repeats_the_sources_torch_repeats() {
        // torch: interpolate(arange(3.), size=5, mode="nearest") = [0, 0, 1, 1, 2].
        let coarse = Tensor::arange(0f32, 3f32, &Device::Cpu).unwrap();
        let coarse = coarse.reshape((1, 1, 1, 3)).unwrap();
        let lateral = Tensor::full(10f32, (1, 1, 1, 5), &Device::Cpu).unwrap();
        let y: Vec<f32> = UpsampleAdd::new(Level::from_env().unwrap())
            .forward(&coarse, &lateral)
            .and_then(|y| y.flatten_all()?.to_vec1())
            .unwrap();
        assert_eq!(y, [10.0, 10.0, 11.0, 11.0, 12.0]);
    }

    #[test]
    fn maps_of_different_channels_are_refused() {
        let coarse = Tensor::zeros((1, 2, 1, 1), DType::F32, &Device::Cpu).unwrap();
        let lateral = Tensor::zeros((1, 3, 2, 2), DType::F32, &Device::Cpu).unwrap();
        let error =
            UpsampleAdd::new(Level::from_env().unwrap()).forward(&coarse, &lateral).unwrap_err();
        assert!(error.to_string().contains("2 channels"), "{error}");
    }
}
