//! Aligned memory that is reused between calls, and an output that several tasks write.

use std::cell::RefCell;
use std::marker::PhantomData;

use memmap2::MmapMut;

use crate::{Error, Result};

/// Values of one cache line.
const LINE: usize = 16;

/// A block of `f32` aligned to 64 bytes that only grows; its length is a multiple of 16.
///
/// Large blocks are mapped from the system as zero pages, which nothing touches before their first use,
/// and go back to it when they are dropped: in the C library's heap they would leave holes.
#[derive(Default)]
pub struct AlignedBuffer {
    memory: Memory,
    len: usize,
}

enum Memory {
    /// Up to a line longer than needed; the aligned place starts at the index.
    Heap(Vec<f32>, usize),
    /// Whole pages.
    Mapped(MmapMut),
}

impl Default for Memory {
    fn default() -> Self {
        Self::Heap(Vec::new(), 0)
    }
}

/// Values from which a block is mapped: 256 KiB.
const LARGE: usize = 1 << 16;

impl AlignedBuffer {
    /// `len` zeros.
    ///
    /// # Panics
    /// There is no memory for them: see [`try_zeroed`](Self::try_zeroed).
    pub fn zeroed(len: usize) -> Self {
        Self::try_zeroed(len).unwrap_or_else(|error| panic!("{error}"))
    }

    /// `len` zeros.
    ///
    /// # Errors
    /// [`Error::Memory`]: there is no memory for them, or more than the target's addresses can reach.
    pub fn try_zeroed(len: usize) -> Result<Self> {
        let refuse = || Error::Memory { values: len };
        let len = len.checked_next_multiple_of(LINE).ok_or_else(refuse)?;
        let bytes = len.checked_mul(size_of::<f32>()).ok_or_else(refuse)?;
        if len >= LARGE
            && let Ok(pages) = MmapMut::map_anon(bytes)
        {
            return Ok(Self { memory: Memory::Mapped(pages), len });
        }
        let values = zeros(len.checked_add(LINE).ok_or_else(refuse)?)?;
        let bytes = LINE * size_of::<f32>();
        let start = (bytes - values.as_ptr().addr() % bytes) % bytes / size_of::<f32>();
        Ok(Self { memory: Memory::Heap(values, start), len })
    }

    /// At least `len` values, kept from before where there were enough; new ones are zero.
    pub fn grown_to(&mut self, len: usize) -> &mut [f32] {
        if self.len < len {
            // Freed first. Not `resize`: what it would copy is scratch.
            *self = Self::default();
            *self = Self::zeroed(len);
        }
        &mut self.as_mut_slice()[..len]
    }

    /// All values.
    pub fn as_slice(&self) -> &[f32] {
        match &self.memory {
            Memory::Heap(values, start) => &values[*start..start + self.len],
            Memory::Mapped(pages) => bytemuck::cast_slice(pages),
        }
    }

    /// All values, to write.
    pub fn as_mut_slice(&mut self) -> &mut [f32] {
        match &mut self.memory {
            Memory::Heap(values, start) => &mut values[*start..*start + self.len],
            Memory::Mapped(pages) => bytemuck::cast_slice_mut(pages),
        }
    }
}

impl Clone for AlignedBuffer {
    /// A copy that is aligned as well.
    fn clone(&self) -> Self {
        let mut copy = Self::zeroed(self.len);
        copy.as_mut_slice().copy_from_slice(self.as_slice());
        copy
    }
}

impl std::fmt::Debug for AlignedBuffer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "AlignedBuffer({} values)", self.len)
    }
}

/// `len` zeros, for sizes that an image or a file asks for.
///
/// # Errors
/// [`Error::Memory`]: there is no memory for them, or more than the target's addresses can reach.
pub fn zeros(len: usize) -> Result<Vec<f32>> {
    let mut values = Vec::new();
    values.try_reserve_exact(len).map_err(|_| Error::Memory { values: len })?;
    values.resize(len, 0.0);
    Ok(values)
}

/// Runs `f` with `len` values of this thread's scratch, which stays allocated for the next call.
/// What is in it is left over from before; under test it is NaN, so that a missed write shows.
pub(crate) fn with_scratch<R>(len: usize, f: impl FnOnce(&mut [f32]) -> R) -> R {
    thread_local! {
        // Several, because a task that waits may be given another task on the same thread.
        static FREE: RefCell<Vec<AlignedBuffer>> = const { RefCell::new(Vec::new()) };
    }
    let mut buffer = FREE.with_borrow_mut(Vec::pop).unwrap_or_default();
    let values = buffer.grown_to(len);
    poison(values);
    let out = f(values);
    FREE.with_borrow_mut(|free| free.push(buffer));
    out
}

/// Makes unwritten values visible in tests.
fn poison(values: &mut [f32]) {
    if cfg!(test) {
        values.fill(f32::NAN);
    }
}

/// An output that tasks write in parallel, each its own part.
pub(crate) struct Shared<'a> {
    start: *mut f32,
    len: usize,
    owner: PhantomData<&'a mut [f32]>,
}

// SAFETY: it is only a pointer; `part` and `at` leave the proof of disjointness to their callers.
unsafe impl Send for Shared<'_> {}
// SAFETY: as above.
unsafe impl Sync for Shared<'_> {}

impl<'a> Shared<'a> {
    /// Shares `values` for as long as they are borrowed.
    pub(crate) fn new(values: &'a mut [f32]) -> Self {
        Self { start: values.as_mut_ptr(), len: values.len(), owner: PhantomData }
    }

    /// `len` values from `start`.
    ///
    /// # Safety
    /// No other part that is alive overlaps this one.
    ///
    /// # Panics
    /// The part is not inside the output.
    #[allow(clippy::mut_from_ref)]
    pub(crate) unsafe fn part(&self, start: usize, len: usize) -> &'a mut [f32] {
        assert!(start <= self.len && len <= self.len - start, "part outside the output");
        // SAFETY: in bounds by the assertion, unique by the caller's promise.
        unsafe { std::slice::from_raw_parts_mut(self.start.add(start), len) }
    }

    /// A pointer to value `i`, for kernels that write scattered pixels.
    ///
    /// # Panics
    /// `i` is not inside the output.
    #[inline(always)]
    pub(crate) fn at(&self, i: usize) -> *mut f32 {
        assert!(i < self.len, "pixel outside the output");
        // SAFETY: in bounds by the assertion.
        unsafe { self.start.add(i) }
    }

    /// How many values there are.
    pub(crate) fn len(&self) -> usize {
        self.len
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn more_than_addresses_reach_is_an_error() {
        let most = usize::MAX / size_of::<f32>();
        for len in [usize::MAX, usize::MAX - 15, most + 1, most, isize::MAX as usize] {
            assert_eq!(AlignedBuffer::try_zeroed(len).unwrap_err(), Error::Memory { values: len });
            assert_eq!(zeros(len).unwrap_err(), Error::Memory { values: len });
        }
    }

    #[test]
    fn a_buffer_a_grown_one_and_a_copy_are_aligned() {
        for len in [0, 1, 16, 17, 100_000, LARGE - 1, LARGE, LARGE + 1] {
            let mut buffer = AlignedBuffer::zeroed(len);
            assert!(buffer.as_slice().iter().all(|value| value.to_bits() == 0));
            buffer.as_mut_slice().fill(1.0);
            let copy = buffer.clone();
            assert_eq!(copy.as_slice(), buffer.as_slice());
            buffer.grown_to(2 * len + 1);
            for buffer in [&buffer, &copy] {
                assert!(buffer.as_slice().as_ptr().addr().is_multiple_of(64));
            }
        }
    }
}
