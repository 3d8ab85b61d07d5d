//! The GPU kernels' own source, run on the CPU: a [`Driver`] without a GPU.
//!
//! A C++ compiler (`$CXX`, else `c++`) builds it once per process. Where there is none, tests that need
//! it say so and pass, unless `RETINANET_REQUIRE_CUDA_EMULATION` is set.

use std::collections::HashSet;
use std::ffi::c_void;
use std::fmt::Write as _;
use std::path::Path;
use std::process::Command;
use std::sync::{Arc, Mutex, OnceLock};

use libloading::Library;
use retinanet_kernels::Result;
use retinanet_kernels::cuda::{CudaError, Driver, Gpu, Launch, source};

/// How the emulated GPU differs from another.
#[derive(Debug, Clone, Copy)]
pub struct Chip {
    /// As [`Driver::multiprocessors`].
    pub multiprocessors: usize,
    /// Whether threads and blocks run in reverse.
    pub reversed: bool,
    /// Bytes of memory.
    pub memory: usize,
}

impl Default for Chip {
    fn default() -> Self {
        Self { multiprocessors: 8, reversed: false, memory: 4 << 30 }
    }
}

/// Starts one kernel: arguments, blocks, threads, reversed.
type Start = unsafe extern "C" fn(*const *mut c_void, *const usize, i32, i32);

#[derive(Debug)]
pub struct Emulator {
    chip: Chip,
    /// One for each source; the first also keeps the memory.
    libraries: &'static [Library],
    used: Mutex<std::collections::HashMap<u64, usize>>,
    /// Kernels that were started.
    started: Mutex<HashSet<&'static str>>,
}

/// An emulated GPU; `None`, with a word about it, where there is no compiler.
pub fn emulated(chip: Chip) -> Option<(Gpu, Arc<Emulator>)> {
    let emulator = emulator(chip)?;
    Some((Gpu::new(Arc::clone(&emulator) as Arc<dyn Driver>), emulator))
}

/// The same, without its memory's keeper.
pub fn emulated_driver(chip: Chip) -> Option<Arc<dyn Driver>> {
    Some(emulator(chip)?)
}

fn emulator(chip: Chip) -> Option<Arc<Emulator>> {
    static LIBRARIES: OnceLock<Option<Vec<Library>>> = OnceLock::new();
    let libraries = LIBRARIES.get_or_init(build).as_ref();
    if libraries.is_none() {
        let required = std::env::var_os("RETINANET_REQUIRE_CUDA_EMULATION").is_some();
        assert!(!required, "no C++ compiler, but RETINANET_REQUIRE_CUDA_EMULATION is set");
        eprintln!("skipped: no C++ compiler (c++ or $CXX) to emulate a GPU with");
    }
    let libraries = libraries?;
    let used = Mutex::default();
    Some(Arc::new(Emulator { chip, libraries, used, started: Mutex::default() }))
}

/// The names of all kernels in the source.
pub fn kernel_names(source: &str) -> Vec<&str> {
    let starts = source.split("extern \"C\" __global__ void __launch_bounds__(").skip(1);
    let name = |text: &'_ str| -> Option<(usize, usize)> {
        let start = text.find(')')? + 1;
        Some((start, start + text[start..].find('(')?))
    };
    starts.filter_map(|text| name(text).map(|(start, end)| text[start..end].trim())).collect()
}

/// The source of each module of kernels.
pub fn sources() -> Vec<String> {
    vec![
        source(),
        #[cfg(feature = "cudnn")]
        retinanet_kernels::cudnn::source(),
    ]
}

fn build() -> Option<Vec<Library>> {
    let compiler = std::env::var("CXX").unwrap_or_else(|_| "c++".to_owned());
    Command::new(&compiler).arg("--version").output().ok().filter(|out| out.status.success())?;
    Some(sources().iter().map(|kernels| build_one(&compiler, kernels)).collect())
}

fn build_one(compiler: &str, kernels: &str) -> Library {
    let mut text = include_str!("emulator.hpp").to_owned() + kernels;
    for name in kernel_names(kernels) {
        write!(
            text,
            "extern \"C\" void start_{name}(void **arguments, const size_t *blocks, int threads, int reversed) {{
                emulator::launch({name}, blocks, threads, arguments, reversed);
            }}\n"
        )
        .unwrap();
    }
    let folder = tempfile::tempdir().unwrap();
    let (file, library) = (folder.path().join("kernels.cpp"), folder.path().join("kernels.so"));
    std::fs::write(&file, text).unwrap();
    compile(compiler, &file, &library);
    // SAFETY: our own library, without initialisers. It stays loaded when its file is deleted.
    unsafe { Library::new(&library) }.unwrap()
}

fn compile(compiler: &str, file: &Path, library: &Path) {
    let mut command = Command::new(compiler);
    command.args(["-std=c++17", "-O2", "-fPIC", "-shared", "-w", "-fno-strict-aliasing"]);
    command.args(["-ffp-contract=off", "-U_FORTIFY_SOURCE", "-fno-stack-protector"]);
    #[cfg(target_arch = "x86_64")]
    if std::arch::is_x86_feature_detected!("fma") {
        command.arg("-mfma");
    }
    let output = command.arg("-o").arg(library).arg(file).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

impl Emulator {
    /// Kernels that were started, sorted.
    pub fn started(&self) -> Vec<&'static str> {
        let mut names: Vec<_> = self.started.lock().unwrap().iter().copied().collect();
        names.sort_unstable();
        names
    }
}

impl Driver for Emulator {
    fn multiprocessors(&self) -> usize {
        self.chip.multiprocessors
    }

    fn allocate(&self, bytes: usize) -> Result<u64> {
        let mut used = self.used.lock().unwrap();
        let total = self.chip.memory;
        let free = total.saturating_sub(used.values().sum());
        if bytes > free {
            return Err(CudaError::OutOfMemory { bytes, free, total }.into());
        }
        // SAFETY: the emulator's own function.
        let pointer = unsafe {
            self.libraries[0]
                .get::<unsafe extern "C" fn(usize) -> u64>("emulator_allocate")
                .unwrap()(bytes)
        };
        assert_ne!(pointer, 0, "no memory");
        used.insert(pointer, bytes);
        Ok(pointer)
    }

    unsafe fn free(&self, pointer: u64) {
        self.used.lock().unwrap().remove(&pointer).expect("freed what was not allocated");
        // SAFETY: it was allocated there.
        unsafe {
            self.libraries[0].get::<unsafe extern "C" fn(u64)>("emulator_free").unwrap()(pointer)
        }
    }

    unsafe fn upload(&self, to: u64, from: &[u8]) -> Result<()> {
        // SAFETY: the caller's.
        unsafe { std::ptr::copy_nonoverlapping(from.as_ptr(), to as *mut u8, from.len()) };
        Ok(())
    }

    unsafe fn download(&self, from: u64, to: &mut [u8]) -> Result<()> {
        // SAFETY: the caller's.
        unsafe { std::ptr::copy_nonoverlapping(from as *const u8, to.as_mut_ptr(), to.len()) };
        Ok(())
    }

    unsafe fn launch(&self, launch: &Launch<'_>) -> Result<()> {
        self.started.lock().unwrap().insert(launch.kernel);
        let name = format!("start_{}", launch.kernel);
        // SAFETY: the trampoline has this signature.
        let found = |library| unsafe { Library::get::<Start>(library, &name) }.ok();
        let start = self.libraries.iter().find_map(found).expect("a kernel of that name");
        let arguments: Vec<_> =
            launch.arguments.iter().map(|argument| argument.as_ptr().cast_mut()).collect();
        let (threads, reversed) = (launch.threads as i32, self.chip.reversed.into());
        // SAFETY: the caller's.
        unsafe { start(arguments.as_ptr(), launch.blocks.as_ptr(), threads, reversed) };
        Ok(())
    }

    fn synchronize(&self) -> Result<()> {
        Ok(())
    }
}
