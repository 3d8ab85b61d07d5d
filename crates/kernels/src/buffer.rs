//! Aligned memory that is reused between calls, and an output that several tasks write.

use std::cell::RefCell;
use std::marker::PhantomData;

/// One cache line.
#[derive(Clone, Copy)]
#[repr(C, align(64))]
struct Line([f32; 16]);

/// A block of `f32` aligned to 64 bytes that only grows.
#[derive(Clone, Default)]
pub struct AlignedBuffer {
    lines: Vec<Line>,
}

impl AlignedBuffer {
    /// `len` zeros.
    pub fn zeroed(len: usize) -> Self {
        Self { lines: vec![Line([0.0; 16]); len.div_ceil(16)] }
    }

    /// At least `len` values, kept from before where there were enough; new ones are zero.
    pub fn grown_to(&mut self, len: usize) -> &mut [f32] {
        let lines = len.div_ceil(16);
        if self.lines.len() < lines {
            // Not `resize`: what it would copy is scratch.
            self.lines = Vec::new();
            self.lines = vec![Line([0.0; 16]); lines];
        }
        &mut self.as_mut_slice()[..len]
    }

    /// All values.
    pub fn as_slice(&self) -> &[f32] {
        // SAFETY: `Line` is 16 f32 without padding, and the vector holds that many initialised lines.
        unsafe { std::slice::from_raw_parts(self.lines.as_ptr().cast(), self.lines.len() * 16) }
    }

    /// All values, to write.
    pub fn as_mut_slice(&mut self) -> &mut [f32] {
        let len = self.lines.len() * 16;
        // SAFETY: as in `as_slice`; the borrow is unique.
        unsafe { std::slice::from_raw_parts_mut(self.lines.as_mut_ptr().cast(), len) }
    }
}

impl std::fmt::Debug for AlignedBuffer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "AlignedBuffer({} values)", self.lines.len() * 16)
    }
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
