//! What the kernels ask of a GPU: the seam between them and NVIDIA's driver.

use std::ffi::c_void;
use std::fmt::Debug;
use std::marker::PhantomData;

use crate::Result;

/// A GPU's memory and one ordered stream of work on it.
///
/// [`Nvidia`](super::Nvidia) is the real one. A test may put another in its place, which runs the same
/// kernels' source somewhere else.
pub trait Driver: Send + Sync + Debug {
    /// How many blocks of threads run side by side, roughly: decides tile sizes, never bits.
    fn multiprocessors(&self) -> usize;

    /// New memory, aligned to at least 16 bytes, with any content.
    ///
    /// # Errors
    /// [`CudaError::OutOfMemory`](super::CudaError::OutOfMemory) where there is no room.
    fn allocate(&self, bytes: usize) -> Result<u64>;

    /// Gives memory back.
    ///
    /// # Safety
    /// `pointer` is of [`Driver::allocate`], and nothing uses it any more; work that was launched earlier
    /// may.
    unsafe fn free(&self, pointer: u64);

    /// Copies to the GPU, in the stream's order; `from` may change after it.
    ///
    /// # Errors
    /// The GPU failed, now or in earlier work.
    ///
    /// # Safety
    /// `to` has room for all of `from`.
    unsafe fn upload(&self, to: u64, from: &[u8]) -> Result<()>;

    /// Copies from the GPU when all earlier work is done.
    ///
    /// # Errors
    /// The GPU failed, now or in earlier work.
    ///
    /// # Safety
    /// `from` holds that many bytes.
    unsafe fn download(&self, from: u64, to: &mut [u8]) -> Result<()>;

    /// Starts a kernel after all earlier work.
    ///
    /// # Errors
    /// The kernel cannot be started.
    ///
    /// # Safety
    /// The arguments are the kernel's, in its order, and the memory they name is large enough.
    unsafe fn launch(&self, launch: &Launch<'_>) -> Result<()>;

    /// Waits until all work is done.
    ///
    /// # Errors
    /// The GPU failed, now or in earlier work.
    fn synchronize(&self) -> Result<()>;
}

/// One start of a kernel.
#[derive(Debug)]
pub struct Launch<'a> {
    /// The kernel's name in the source.
    pub kernel: &'static str,
    /// Blocks: x, y, z.
    pub blocks: [usize; 3],
    /// Threads of a block.
    pub threads: usize,
    /// In the order of the kernel's parameters.
    pub arguments: &'a [Argument<'a>],
}

/// A kernel's argument: where its bytes lie.
#[derive(Debug, Clone, Copy)]
#[repr(transparent)]
pub struct Argument<'a>(*const c_void, PhantomData<&'a ()>);

impl<'a> Argument<'a> {
    /// The argument that `value` holds.
    pub fn of<T: Parameter>(value: &'a T) -> Self {
        Self(std::ptr::from_ref(value).cast(), PhantomData)
    }

    /// Where the bytes lie.
    pub fn as_ptr(&self) -> *const c_void {
        self.0
    }
}

/// Types that mean the same to Rust and to a kernel.
///
/// # Safety
/// The type is `repr(C)` or primitive, and a kernel's parameter has the same layout.
pub unsafe trait Parameter: Copy {}

// SAFETY: a pointer, `int` and `float` in the kernels.
unsafe impl Parameter for u64 {}
// SAFETY: as above.
unsafe impl Parameter for i32 {}
// SAFETY: as above.
unsafe impl Parameter for f32 {}
// SAFETY: `unsigned char` in the kernels.
unsafe impl Parameter for u8 {}
