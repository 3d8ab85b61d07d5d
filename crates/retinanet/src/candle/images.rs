//! A batch of images seen as slices: the seam between candle's storage and the kernels.

use candle_core::{CpuStorage, DType, Device, Layout, Result, Shape, Storage, StorageRef, Tensor};

use super::device::device_name;
use crate::ops::OpError;

impl From<OpError> for candle_core::Error {
    fn from(error: OpError) -> Self {
        Self::wrap(error)
    }
}

/// Checks a tensor before it enters an operation and makes it contiguous.
///
/// # Errors
/// [`OpError`] when `tensor` is not f32 (N, C, H, W) on the CPU.
pub(super) fn checked(op: &'static str, what: &'static str, tensor: &Tensor) -> Result<Tensor> {
    if tensor.rank() != 4 {
        let shape = tensor.dims().to_vec();
        return Err(OpError::Rank { op, what, shape }.into());
    }
    if tensor.dtype() != DType::F32 {
        let dtype = tensor.dtype().as_str();
        return Err(OpError::DType { op, what, dtype }.into());
    }
    if !tensor.device().is_cpu() {
        let device = device_name(tensor.device());
        return Err(OpError::Device { op, what, device }.into());
    }
    tensor.contiguous()
}

/// A parameter as the operations take it, f32 on the CPU: itself, where it is that already.
pub(super) fn on_cpu(tensor: &Tensor) -> Result<Tensor> {
    tensor.to_device(&Device::Cpu)?.to_dtype(DType::F32)?.contiguous()
}

/// The images of one contiguous f32 CPU tensor.
pub(super) struct Images<'a> {
    /// (images, channels, height, width).
    pub(super) shape: [usize; 4],
    data: &'a [f32],
}

impl<'a> Images<'a> {
    /// Borrows the images; the layout must be contiguous, as [`checked`] leaves it.
    pub(super) fn new(
        op: &'static str,
        what: &'static str,
        storage: &'a CpuStorage,
        layout: &Layout,
    ) -> Result<Self> {
        let (n, c, h, w) = layout.shape().dims4()?;
        let data = storage.as_slice::<f32>()?;
        let Some(data) = layout.contiguous_offsets().and_then(|(start, end)| data.get(start..end))
        else {
            return Err(OpError::Shape {
                op,
                what,
                shape: layout.dims().to_vec(),
                expected: "a contiguous tensor".to_owned(),
            }
            .into());
        };
        Ok(Self { shape: [n, c, h, w], data })
    }

    /// How many values one image has.
    fn image_len(&self) -> usize {
        self.shape[1] * self.shape[2] * self.shape[3]
    }

    /// One image, (C, H, W).
    pub(super) fn image(&self, index: usize) -> &'a [f32] {
        let len = self.image_len();
        &self.data[index * len..(index + 1) * len]
    }

    /// Runs `kernel(image index, output image)` for each image of a new batch of shape `shape`.
    pub(super) fn map_images(
        op: &'static str,
        shape: [usize; 4],
        kernel: impl FnMut(usize, &mut [f32]) -> retinanet_kernels::Result<()>,
    ) -> Result<(CpuStorage, Shape)> {
        let output = each_image(op, shape, kernel)?;
        Ok((CpuStorage::F32(output), Shape::from(&shape[..])))
    }
}

/// The values of a tensor on the CPU, borrowed while a gradient is computed from them.
pub(super) struct Held<'a> {
    storage: StorageRef<'a>,
    layout: &'a Layout,
}

impl<'a> Held<'a> {
    /// Borrows a tensor that [`checked`] let through, or the contiguous gradient of one.
    pub(super) fn new(tensor: &'a Tensor) -> Self {
        let (storage, layout) = tensor.storage_and_layout();
        Self { storage, layout }
    }

    pub(super) fn images(&self, op: &'static str, what: &'static str) -> Result<Images<'_>> {
        match &*self.storage {
            Storage::Cpu(storage) => Images::new(op, what, storage, self.layout),
            _ => Err(OpError::Device { op, what, device: "a GPU".to_owned() }.into()),
        }
    }
}

/// The gradient of a batch: `kernel(image index, gradient of the image)` for each.
pub(super) fn gradient_of_images(
    op: &'static str,
    shape: [usize; 4],
    kernel: impl FnMut(usize, &mut [f32]) -> retinanet_kernels::Result<()>,
) -> Result<Tensor> {
    Tensor::from_vec(each_image(op, shape, kernel)?, &shape[..], &Device::Cpu)
}

fn each_image(
    op: &'static str,
    shape: [usize; 4],
    mut kernel: impl FnMut(usize, &mut [f32]) -> retinanet_kernels::Result<()>,
) -> Result<Vec<f32>> {
    let too_large = || OpError::TooLarge { op, shape };
    let image_len = shape[1..]
        .iter()
        .try_fold(1usize, |len, &dim| len.checked_mul(dim))
        .ok_or_else(too_large)?;
    let len = image_len
        .checked_mul(shape[0])
        .filter(|&len| len <= isize::MAX as usize / size_of::<f32>())
        .ok_or_else(too_large)?;
    let mut output = vec![0f32; len];
    if image_len > 0 {
        for (index, image) in output.chunks_exact_mut(image_len).enumerate() {
            kernel(index, image).map_err(candle_core::Error::wrap)?;
        }
    }
    Ok(output)
}
