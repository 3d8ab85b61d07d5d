//! A GPU and its memory, which is kept and used again.

use std::sync::{Arc, Mutex};

use super::driver::{Argument, Driver, Launch, Parameter};
use crate::error::CudaError;
use crate::{Error, Result};

/// A GPU to compute on. Cloning shares it.
///
/// Memory that is no longer used is kept for the next to ask. That is safe without waiting, for all work
/// goes through one ordered stream.
#[derive(Debug, Clone)]
pub struct Gpu {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    driver: Arc<dyn Driver>,
    /// Pointer and bytes of what nobody uses at the moment.
    free: Mutex<Vec<(u64, usize)>>,
}

impl Drop for Shared {
    fn drop(&mut self) {
        let free = self.free.get_mut().map(std::mem::take).unwrap_or_default();
        for (pointer, _) in free {
            // SAFETY: it was allocated, and nobody uses what is free.
            unsafe { self.driver.free(pointer) };
        }
    }
}

/// Blocks along y and z of a launch, in every generation of GPUs.
const MOST_BLOCKS: usize = 65_535;

/// Memory this many times too large is left for those who need it...
const LOOSE: usize = 4;
/// ... unless it is small anyway (bytes).
const SMALL: usize = 1 << 20;

impl Gpu {
    /// A GPU behind a driver.
    pub fn new(driver: Arc<dyn Driver>) -> Self {
        Self { shared: Arc::new(Shared { driver, free: Mutex::default() }) }
    }

    /// As [`Driver::multiprocessors`].
    pub fn multiprocessors(&self) -> usize {
        self.shared.driver.multiprocessors()
    }

    /// Waits until all work is done.
    ///
    /// # Errors
    /// The GPU failed, now or in earlier work.
    pub fn synchronize(&self) -> Result<()> {
        self.shared.driver.synchronize()
    }

    /// Room for `len` values; what it holds is left over from before.
    pub(crate) fn room<T: Plain>(&self, len: usize) -> Result<Buffer> {
        let too_large = || CudaError::TooLarge { what: "a buffer", values: len };
        let bytes = len.checked_mul(size_of::<T>()).ok_or_else(too_large)?.max(16);
        if let Some((pointer, capacity)) = self.reuse(bytes) {
            return Ok(Buffer { gpu: self.clone(), pointer, capacity });
        }
        let driver = &self.shared.driver;
        let pointer = match driver.allocate(bytes) {
            Err(Error::Cuda(CudaError::OutOfMemory { .. })) => {
                self.release();
                driver.allocate(bytes)?
            }
            other => other?,
        };
        Ok(Buffer { gpu: self.clone(), pointer, capacity: bytes })
    }

    /// A copy of `values` on the GPU.
    pub(crate) fn copy_of<T: Plain>(&self, values: &[T]) -> Result<Buffer> {
        let buffer = self.room::<T>(values.len())?;
        // SAFETY: the buffer was made for them.
        unsafe { self.shared.driver.upload(buffer.pointer, bytes_of(values)) }?;
        Ok(buffer)
    }

    /// The smallest free memory that fits and is not far too large.
    fn reuse(&self, bytes: usize) -> Option<(u64, usize)> {
        let mut free = self.shared.free.lock().ok()?;
        let fits = |size: usize| (bytes..=bytes.saturating_mul(LOOSE) + SMALL).contains(&size);
        let best = (0..free.len()).filter(|&i| fits(free[i].1)).min_by_key(|&i| free[i].1);
        best.map(|i| free.swap_remove(i))
    }

    /// Gives all memory that nobody uses back to the driver.
    fn release(&self) {
        let free = self.shared.free.lock().map(|mut free| std::mem::take(&mut *free));
        for (pointer, _) in free.unwrap_or_default() {
            // SAFETY: it was allocated, and nobody uses what is free.
            unsafe { self.shared.driver.free(pointer) };
        }
    }

    /// Starts a kernel; nothing where there are no blocks.
    ///
    /// # Safety
    /// As [`Driver::launch`].
    pub(crate) unsafe fn launch(
        &self,
        kernel: &'static str,
        blocks: [usize; 3],
        threads: usize,
        arguments: &[Argument<'_>],
    ) -> Result<()> {
        if blocks.contains(&0) {
            return Ok(());
        }
        if let Some(values) = blocks[1..].iter().find(|blocks| **blocks > MOST_BLOCKS) {
            return Err(CudaError::TooManyChannels { kernel, values: *values }.into());
        }
        // SAFETY: the caller's.
        unsafe { self.shared.driver.launch(&Launch { kernel, blocks, threads, arguments }) }
    }
}

/// Memory on a GPU; dropping it leaves it to the next.
#[derive(Debug)]
pub(crate) struct Buffer {
    gpu: Gpu,
    pointer: u64,
    /// Bytes.
    capacity: usize,
}

impl Buffer {
    /// Where it lies, as a kernel's argument.
    pub(crate) fn pointer(&self) -> &u64 {
        &self.pointer
    }

    /// The GPU it is on.
    pub(crate) fn gpu(&self) -> &Gpu {
        &self.gpu
    }

    /// Its first values, when all earlier work is done.
    pub(crate) fn read<T: Plain>(&self, to: &mut [T]) -> Result<()> {
        Error::check_length("GPU buffer", to.len(), to.len().min(self.capacity / size_of::<T>()))?;
        // SAFETY: any bits are a value of a plain type.
        let bytes = unsafe {
            std::slice::from_raw_parts_mut(to.as_mut_ptr().cast::<u8>(), size_of_val(to))
        };
        // SAFETY: the buffer holds that much, as checked.
        unsafe { self.gpu.shared.driver.download(self.pointer, bytes) }
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        if let Ok(mut free) = self.gpu.shared.free.lock() {
            free.push((self.pointer, self.capacity));
        }
    }
}

/// Types of which any bits are a value, without padding.
pub(crate) trait Plain: Parameter {}

impl Plain for f32 {}
impl Plain for i32 {}
impl Plain for u8 {}

fn bytes_of<T: Plain>(values: &[T]) -> &[u8] {
    // SAFETY: plain values have no padding.
    unsafe { std::slice::from_raw_parts(values.as_ptr().cast::<u8>(), size_of_val(values)) }
}
