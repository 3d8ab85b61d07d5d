//! The driver of NVIDIA's GPUs.

use std::collections::HashMap;
use std::path::Path;
use std::sync::{Arc, Mutex};

use cudarc::driver::{CudaContext, CudaFunction, CudaModule, CudaStream, DriverError, result, sys};
use cudarc::nvrtc::Ptx;

use super::driver::{Driver, Launch};
use super::library::present;
use super::source::{Module, canonical};
use crate::Result;
use crate::error::CudaError;

/// A GPU, for a report.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeviceInfo {
    /// Its number, from 0.
    pub ordinal: usize,
    /// Its name.
    pub name: String,
    /// Its compute capability.
    pub capability: (i32, i32),
    /// Bytes of memory.
    pub memory: usize,
    /// The newest CUDA that the driver knows, 13000 for 13.0.
    pub driver_version: i32,
}

impl std::fmt::Display for DeviceInfo {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (major, minor) = self.capability;
        let gib = self.memory >> 30;
        let driver = version(self.driver_version);
        write!(
            f,
            "{}, compute capability {major}.{minor}, {gib} GiB, driver for CUDA {driver}",
            self.name
        )
    }
}

/// One NVIDIA GPU with the kernels on it, and an ordered stream of its own.
#[derive(Debug)]
pub struct Nvidia {
    info: DeviceInfo,
    multiprocessors: usize,
    /// Each knows its own kernels' names, which are all different.
    modules: Vec<Arc<CudaModule>>,
    functions: Mutex<HashMap<&'static str, CudaFunction>>,
    stream: Arc<CudaStream>,
}

/// The first driver for CUDA 12.
const OLDEST_DRIVER: i32 = 12_000;
/// Turing.
const OLDEST_CAPABILITY: (i32, i32) = (7, 5);

impl Nvidia {
    /// What GPU `ordinal` is. Needs the driver, but not NVRTC.
    ///
    /// # Errors
    /// [`CudaError`]: no driver, one too old, no such GPU.
    pub fn describe(ordinal: usize) -> Result<DeviceInfo> {
        Ok(context(ordinal)?.1)
    }

    /// Opens GPU `ordinal` and loads the kernels, which are kept in the folder `shelf` once compiled.
    ///
    /// # Errors
    /// [`CudaError`]: no driver, no such GPU, a driver or GPU too old, no NVRTC, a full GPU.
    pub fn open(ordinal: usize, shelf: Option<&Path>) -> Result<Self> {
        let (context, info) = context(ordinal)?;
        if info.capability < OLDEST_CAPABILITY {
            let (what, needs) = ("GPU's compute capability", "7.5");
            let found = format!("{}.{} ({})", info.capability.0, info.capability.1, info.name);
            let remedy = "use a newer GPU, or the CPU, whose answers are the same";
            return Err(CudaError::TooOld { what, found, needs, remedy }.into());
        }
        let multiprocessors = context
            .attribute(sys::CUdevice_attribute::CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT)
            .map_err(|error| failed("cuDeviceGetAttribute", error))?;
        let stream = context.new_stream().map_err(|error| failed("cuStreamCreate", error))?;
        let multiprocessors = usize::try_from(multiprocessors).unwrap_or(1).max(1);
        let functions = Mutex::default();
        let gpu = Self { info, multiprocessors, modules: Vec::new(), functions, stream };
        gpu.with(&canonical(), shelf)
    }

    /// Also loads these kernels: compiled now, or taken from the shelf.
    pub(crate) fn with(mut self, kernels: &Module, shelf: Option<&Path>) -> Result<Self> {
        let info = &self.info;
        let code = kernels.compiled(info.capability, shelf)?;
        let code = match code.starts_with(b"\x7fELF") {
            true => Ptx::from_binary(code),
            false => Ptx::from_src(String::from_utf8_lossy(&code)),
        };
        let context = self.stream.context();
        let module = context.load_module(code).map_err(|error| match error.0 {
            sys::CUresult::CUDA_ERROR_UNSUPPORTED_PTX_VERSION
            | sys::CUresult::CUDA_ERROR_INVALID_IMAGE
            | sys::CUresult::CUDA_ERROR_NO_BINARY_FOR_GPU => CudaError::TooOld {
                what: "driver",
                found: version(info.driver_version),
                needs: "the CUDA version of the NVRTC installed",
                remedy: "update the NVIDIA driver, or install an NVRTC that is not newer than it",
            }
            .into(),
            _ => failed("cuModuleLoadData", error),
        })?;
        self.modules.push(module);
        Ok(self)
    }

    /// Its stream, for a library that takes part in it.
    #[cfg(feature = "cudnn")]
    pub(crate) fn stream(&self) -> Stream {
        Stream(Arc::clone(&self.stream))
    }

    /// The GPU.
    pub fn info(&self) -> &DeviceInfo {
        &self.info
    }

    fn bind(&self) -> Result<()> {
        let context = self.stream.context();
        context.bind_to_thread().map_err(|error| failed("cuCtxSetCurrent", error))
    }

    fn function(&self, name: &'static str) -> Result<CudaFunction> {
        let mut functions = self.functions.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        if let Some(function) = functions.get(name) {
            return Ok(function.clone());
        }
        let mut found =
            Err(CudaError::Call { call: name, reason: "no such kernel".to_owned() }.into());
        for module in &self.modules {
            found = module.load_function(name).map_err(|error| failed(name, error));
            if found.is_ok() {
                break;
            }
        }
        let function: CudaFunction = found?;
        functions.insert(name, function.clone());
        Ok(function)
    }
}

/// The ordered stream of a GPU, which stays as long as this does.
#[cfg(feature = "cudnn")]
#[derive(Debug)]
pub(crate) struct Stream(Arc<CudaStream>);

#[cfg(feature = "cudnn")]
impl Stream {
    /// Makes its GPU this thread's.
    pub(crate) fn bind(&self) -> Result<()> {
        self.0.context().bind_to_thread().map_err(|error| failed("cuCtxSetCurrent", error))
    }

    /// The driver's name for it.
    pub(crate) fn as_ptr(&self) -> *mut std::ffi::c_void {
        self.0.cu_stream().cast()
    }
}

fn context(ordinal: usize) -> Result<(Arc<CudaContext>, DeviceInfo)> {
    let driver_version = driver_version()?;
    result::init().map_err(|error| failed("cuInit", error))?;
    let count = result::device::get_count().map_err(|error| failed("cuDeviceGetCount", error))?;
    let count = usize::try_from(count).unwrap_or(0);
    if ordinal >= count {
        return Err(CudaError::NoDevice { ordinal, count }.into());
    }
    let context =
        CudaContext::new(ordinal).map_err(|error| failed("cuDevicePrimaryCtxRetain", error))?;
    let info = DeviceInfo {
        ordinal,
        name: context.name().map_err(|error| failed("cuDeviceGetName", error))?,
        capability: context
            .compute_capability()
            .map_err(|error| failed("cuDeviceGetAttribute", error))?,
        memory: context.total_mem().map_err(|error| failed("cuDeviceTotalMem", error))?,
        driver_version,
    };
    Ok((context, info))
}

/// The newest CUDA that the driver knows.
fn driver_version() -> Result<i32> {
    let remedy = "install the NVIDIA driver of this machine's GPU";
    if !present(&["libcuda.so", "libcuda.so.1", "nvcuda.dll"]) {
        return Err(CudaError::NoLibrary { library: "the NVIDIA driver (libcuda)", remedy }.into());
    }
    let mut found = 0;
    // SAFETY: it writes one number, and needs no initialisation before it.
    unsafe { sys::cuDriverGetVersion(&mut found) }
        .result()
        .map_err(|error| failed("cuDriverGetVersion", error))?;
    if found < OLDEST_DRIVER {
        let (what, needs) = ("NVIDIA driver's CUDA version", "12.0");
        let remedy = "update the NVIDIA driver";
        return Err(CudaError::TooOld { what, found: version(found), needs, remedy }.into());
    }
    Ok(found)
}

/// 13.0 for 13000.
fn version(number: i32) -> String {
    format!("{}.{}", number / 1000, number % 1000 / 10)
}

fn failed(call: &'static str, error: DriverError) -> crate::Error {
    let text = error.error_string().ok().map(|text| text.to_string_lossy().into_owned());
    let reason =
        format!("{:?}{}", error.0, text.map(|text| format!(" ({text})")).unwrap_or_default());
    CudaError::Call { call, reason }.into()
}

impl Driver for Nvidia {
    fn multiprocessors(&self) -> usize {
        self.multiprocessors
    }

    fn allocate(&self, bytes: usize) -> Result<u64> {
        self.bind()?;
        // SAFETY: the memory is used as uninitialised.
        let pointer = unsafe { result::malloc_sync(bytes) }.map_err(|error| match error.0 {
            sys::CUresult::CUDA_ERROR_OUT_OF_MEMORY => {
                let (free, total) = result::mem_get_info().unwrap_or_default();
                CudaError::OutOfMemory { bytes, free, total }.into()
            }
            _ => failed("cuMemAlloc", error),
        })?;
        // What pads a plane is read and written, though it is nobody's value: not uninitialised, so that
        // memory checkers have nothing to say.
        // SAFETY: the memory has this many bytes.
        unsafe { result::memset_d8_async(pointer, 0, bytes, self.stream.cu_stream()) }
            .map_err(|error| failed("cuMemsetD8", error))?;
        Ok(pointer)
    }

    unsafe fn free(&self, pointer: u64) {
        // The driver does not promise to wait for work that still uses it.
        if self.synchronize().is_ok() {
            // SAFETY: the caller's. There is nothing to do where it fails: the GPU is lost, and its memory
            // with it.
            let _ = unsafe { result::free_sync(pointer) };
        }
    }

    unsafe fn upload(&self, to: u64, from: &[u8]) -> Result<()> {
        self.bind()?;
        // SAFETY: the caller's; `from` is borrowed until the stream is done with it. Most drivers have copied
        // pageable memory by then, but where a GPU reads the host's memory itself, none promises that.
        unsafe { result::memcpy_htod_async(to, from, self.stream.cu_stream()) }
            .map_err(|error| failed("cuMemcpyHtoD", error))?;
        self.synchronize()
    }

    unsafe fn download(&self, from: u64, to: &mut [u8]) -> Result<()> {
        self.bind()?;
        // SAFETY: the caller's; `to` is borrowed until the stream is done with it.
        unsafe { result::memcpy_dtoh_async(to, from, self.stream.cu_stream()) }
            .map_err(|error| failed("cuMemcpyDtoH", error))?;
        self.synchronize()
    }

    unsafe fn launch(&self, launch: &Launch<'_>) -> Result<()> {
        self.bind()?;
        let function = self.function(launch.kernel)?;
        let [x, y, z] = launch.blocks.map(|blocks| u32::try_from(blocks).unwrap_or(u32::MAX));
        let threads = u32::try_from(launch.threads).unwrap_or(u32::MAX);
        let mut arguments: Vec<_> =
            launch.arguments.iter().map(|argument| argument.as_ptr().cast_mut()).collect();
        // SAFETY: the caller's; the driver copies the arguments before it returns.
        unsafe {
            result::launch_kernel(
                function.cu_function(),
                (x, y, z),
                (threads, 1, 1),
                0,
                self.stream.cu_stream(),
                &mut arguments,
            )
        }
        .map_err(|error| failed(launch.kernel, error))
    }

    fn synchronize(&self) -> Result<()> {
        self.bind()?;
        self.stream.synchronize().map_err(|error| failed("cuStreamSynchronize", error))
    }
}
