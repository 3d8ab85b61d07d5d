//! The threads a detector computes on.

use crate::Result;
use crate::error::DetectorError;

/// More threads than any machine can use well; a typing error more likely.
const MAX_THREADS: usize = 4096;

/// Threads of the detector's own, in the IEEE environment; on a target that has no threads, the caller's.
#[derive(Debug)]
pub(super) struct Pool {
    #[cfg(not(target_family = "wasm"))]
    threads: rayon::ThreadPool,
}

impl Pool {
    /// As many threads as asked for; by default one per core.
    ///
    /// # Errors
    /// [`DetectorError::Setting`] for a number that no machine has use for, [`DetectorError::Threads`] where the
    /// system does not give so many.
    pub(super) fn new(threads: Option<usize>) -> Result<Self> {
        if threads.is_some_and(|threads| threads == 0 || threads > MAX_THREADS) {
            let (value, needs) = (format!("{:?}", threads.unwrap_or(0)), "expected 1 to 4096");
            return Err(DetectorError::Setting { setting: "threads", value, needs }.into());
        }
        Ok(Self::of(threads)?)
    }

    #[cfg(not(target_family = "wasm"))]
    fn of(threads: Option<usize>) -> Result<Self, DetectorError> {
        use std::num::NonZeroUsize;

        use retinanet_kernels::with_ieee;

        let threads = threads
            .unwrap_or_else(|| std::thread::available_parallelism().map_or(1, NonZeroUsize::get));
        let threads = rayon::ThreadPoolBuilder::new()
            .num_threads(threads)
            .spawn_handler(|thread| {
                let name = format!("retinanet-{}", thread.index());
                // A new thread inherits the rounding mode that the host program may have set.
                std::thread::Builder::new().name(name).spawn(|| with_ieee(|| thread.run()))?;
                Ok(())
            })
            .build()
            .map_err(|error| DetectorError::Threads { threads, reason: error.to_string() })?;
        Ok(Self { threads })
    }

    #[cfg(target_family = "wasm")]
    fn of(threads: Option<usize>) -> Result<Self, DetectorError> {
        match threads {
            None | Some(1) => Ok(Self {}),
            Some(threads) => {
                let reason = "WebAssembly has no threads here: ask for 1".to_owned();
                Err(DetectorError::Threads { threads, reason })
            }
        }
    }

    /// Runs `task` on the threads, and what it splits on all of them.
    #[cfg(not(target_family = "wasm"))]
    pub(super) fn install<T: Send>(&self, task: impl FnOnce() -> T + Send) -> T {
        self.threads.install(task)
    }

    /// Runs `task` here. What it splits runs here, too: without threads, rayon's own pool is the caller's.
    #[cfg(target_family = "wasm")]
    pub(super) fn install<T: Send>(&self, task: impl FnOnce() -> T + Send) -> T {
        task()
    }

    /// How many threads there are.
    pub(super) fn size(&self) -> usize {
        #[cfg(not(target_family = "wasm"))]
        {
            self.threads.current_num_threads()
        }
        #[cfg(target_family = "wasm")]
        1
    }
}
