//! The GPUs that the kernels are compared on: emulated ones, or the real one that
//! `RETINANET_CUDA_DEVICE` names (its number; `RETINANET_CUDA_SHELF` may name a folder with compiled kernels).

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use retinanet_kernels::Result;
use retinanet_kernels::cuda::{Driver, Gpu, Launch, Nvidia};

use crate::emulator::{Chip, emulated_driver};

/// A driver that says it has another number of multiprocessors, which decides tile sizes, and remembers
/// which kernels were started.
#[derive(Debug)]
pub struct Watched {
    driver: Arc<dyn Driver>,
    multiprocessors: usize,
    started: Mutex<BTreeSet<&'static str>>,
}

impl Watched {
    /// Kernels that were started.
    pub fn started(&self) -> Vec<&'static str> {
        self.started.lock().unwrap().iter().copied().collect()
    }
}

impl Driver for Watched {
    fn multiprocessors(&self) -> usize {
        self.multiprocessors
    }

    fn allocate(&self, bytes: usize) -> Result<u64> {
        self.driver.allocate(bytes)
    }

    unsafe fn free(&self, pointer: u64) {
        // SAFETY: the caller's.
        unsafe { self.driver.free(pointer) }
    }

    unsafe fn upload(&self, to: u64, from: &[u8]) -> Result<()> {
        // SAFETY: the caller's.
        unsafe { self.driver.upload(to, from) }
    }

    unsafe fn download(&self, from: u64, to: &mut [u8]) -> Result<()> {
        // SAFETY: the caller's.
        unsafe { self.driver.download(from, to) }
    }

    unsafe fn launch(&self, launch: &Launch<'_>) -> Result<()> {
        self.started.lock().unwrap().insert(launch.kernel);
        // SAFETY: the caller's.
        unsafe { self.driver.launch(launch) }
    }

    fn synchronize(&self) -> Result<()> {
        self.driver.synchronize()
    }
}

/// Where compiled kernels lie, if anybody said.
pub fn shelf() -> Option<PathBuf> {
    std::env::var_os("RETINANET_CUDA_SHELF").map(PathBuf::from)
}

/// The real GPU, if one was named.
fn real() -> Option<Arc<dyn Driver>> {
    let ordinal = std::env::var("RETINANET_CUDA_DEVICE").ok()?;
    let ordinal = ordinal.parse().expect("RETINANET_CUDA_DEVICE is a GPU's number");
    let driver =
        Nvidia::open(ordinal, shelf().as_deref()).unwrap_or_else(|error| panic!("{error}"));
    Some(Arc::new(driver))
}

/// GPUs that between them choose every tile size and, where they are emulated, run threads in both orders.
/// None, with a word about it, where there is neither a GPU nor a compiler.
pub fn gpus() -> Vec<(Gpu, Arc<Watched>)> {
    let real = real();
    let watched = |(multiprocessors, reversed): (usize, bool)| {
        let driver = match &real {
            Some(driver) => Arc::clone(driver),
            None => emulated_driver(Chip { reversed, ..Chip::default() })?,
        };
        let watched = Arc::new(Watched { driver, multiprocessors, started: Mutex::default() });
        Some((Gpu::new(Arc::clone(&watched) as Arc<dyn Driver>), watched))
    };
    [(1, false), (1, true), (24, true), (1_000_000, false)]
        .into_iter()
        .filter_map(watched)
        .collect()
}
