//! cuDNN's library: the functions that a convolution needs, found by name when it is first used.

use std::ffi::{CStr, c_char, c_int, c_void};

use libloading::Library;

use crate::Result;
use crate::error::CudaError;

/// An object of cuDNN's.
pub(super) type Object = *mut c_void;
/// `cudnnStatus_t`: 0 is success.
pub(super) type Status = c_int;

/// `cudnnConvolutionFwdAlgoPerf_t`.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub(super) struct Performance {
    pub(super) algorithm: c_int,
    pub(super) status: Status,
    /// Milliseconds.
    pub(super) time: f32,
    /// Bytes of scratch memory.
    pub(super) memory: usize,
    pub(super) determinism: c_int,
    pub(super) math: c_int,
    reserved: [c_int; 3],
}

impl Performance {
    /// As much as cuDNN has algorithms, to be filled.
    pub(super) const NONE: Self = Self {
        algorithm: 0,
        status: -1,
        time: 0.0,
        memory: 0,
        determinism: 0,
        math: 0,
        reserved: [0; 3],
    };
}

/// Declares the table of functions and how it is filled.
macro_rules! functions {
    ($($field:ident = $name:literal: fn($($parameter:ty),* $(,)?) -> $result:ty;)*) => {
        /// cuDNN's functions. They stay loaded.
        #[derive(Debug)]
        #[allow(clippy::type_complexity)]
        pub(super) struct Functions {
            $(pub(super) $field: unsafe extern "C" fn($($parameter),*) -> $result,)*
            _library: Library,
        }

        impl Functions {
            fn find(library: Library) -> Result<Self> {
                Ok(Self {
                    // SAFETY: the declarations are those of cuDNN's header.
                    $($field: unsafe { function(&library, $name)? },)*
                    _library: library,
                })
            }
        }
    };
}

functions! {
    get_version = "cudnnGetVersion": fn() -> usize;
    get_error_string = "cudnnGetErrorString": fn(Status) -> *const c_char;
    create = "cudnnCreate": fn(*mut Object) -> Status;
    destroy = "cudnnDestroy": fn(Object) -> Status;
    set_stream = "cudnnSetStream": fn(Object, Object) -> Status;
    create_tensor = "cudnnCreateTensorDescriptor": fn(*mut Object) -> Status;
    // format, type, n, c, h, w
    set_tensor = "cudnnSetTensor4dDescriptor":
        fn(Object, c_int, c_int, c_int, c_int, c_int, c_int) -> Status;
    destroy_tensor = "cudnnDestroyTensorDescriptor": fn(Object) -> Status;
    create_filter = "cudnnCreateFilterDescriptor": fn(*mut Object) -> Status;
    // type, format, k, c, h, w
    set_filter = "cudnnSetFilter4dDescriptor":
        fn(Object, c_int, c_int, c_int, c_int, c_int, c_int) -> Status;
    destroy_filter = "cudnnDestroyFilterDescriptor": fn(Object) -> Status;
    create_convolution = "cudnnCreateConvolutionDescriptor": fn(*mut Object) -> Status;
    // padding y, x, stride y, x, dilation y, x, mode, type of the sums
    set_convolution = "cudnnSetConvolution2dDescriptor":
        fn(Object, c_int, c_int, c_int, c_int, c_int, c_int, c_int, c_int) -> Status;
    set_math = "cudnnSetConvolutionMathType": fn(Object, c_int) -> Status;
    destroy_convolution = "cudnnDestroyConvolutionDescriptor": fn(Object) -> Status;
    create_activation = "cudnnCreateActivationDescriptor": fn(*mut Object) -> Status;
    // mode, whether NaN goes through, ceiling
    set_activation = "cudnnSetActivationDescriptor": fn(Object, c_int, c_int, f64) -> Status;
    destroy_activation = "cudnnDestroyActivationDescriptor": fn(Object) -> Status;
    // handle, input, filter, convolution, output, algorithm, bytes
    workspace_size = "cudnnGetConvolutionForwardWorkspaceSize":
        fn(Object, Object, Object, Object, Object, c_int, *mut usize) -> Status;
    // handle, input x2, filter x2, convolution, output x2, wanted, found, results, scratch x2
    find_algorithms = "cudnnFindConvolutionForwardAlgorithmEx":
        fn(
            Object, Object, *const c_void, Object, *const c_void, Object, Object, *mut c_void,
            c_int, *mut c_int, *mut Performance, *mut c_void, usize,
        ) -> Status;
    // handle, alpha, input x2, filter x2, convolution, algorithm, scratch x2, beta, output x2
    forward = "cudnnConvolutionForward":
        fn(
            Object, *const c_void, Object, *const c_void, Object, *const c_void, Object, c_int,
            *mut c_void, usize, *const c_void, Object, *mut c_void,
        ) -> Status;
    // handle, alpha1, input x2, filter x2, convolution, algorithm, scratch x2, alpha2, residual x2,
    // bias x2, activation, output x2
    forward_fused = "cudnnConvolutionBiasActivationForward":
        fn(
            Object, *const c_void, Object, *const c_void, Object, *const c_void, Object, c_int,
            *mut c_void, usize, *const c_void, Object, *const c_void, Object, *const c_void,
            Object, Object, *mut c_void,
        ) -> Status;
}

/// # Safety
/// `T` is the type of the library's function `name`.
unsafe fn function<T: Copy>(library: &Library, name: &'static str) -> Result<T> {
    // SAFETY: the caller's.
    let found = unsafe { library.get::<T>(name) };
    found.map(|function| *function).map_err(|error| {
        let reason = format!("{error}; is the cuDNN installed whole?");
        CudaError::Call { call: name, reason }.into()
    })
}

/// The first version of cuDNN 9.
const OLDEST: usize = 90_000;
const REMEDY: &str = "install cuDNN 9 for the driver's CUDA (from NVIDIA, or `pip install nvidia-cudnn-cu13`) and put its folder on LD_LIBRARY_PATH, use the canonical kernels (`cudnn(false)`)";

impl Functions {
    /// Loads cuDNN.
    ///
    /// # Errors
    /// [`CudaError::NoLibrary`] where there is none, [`CudaError::TooOld`] before version 9.
    pub(super) fn load() -> Result<Self> {
        let names = ["libcudnn.so.9", "libcudnn.so", "cudnn64_9.dll"];
        let library = names.iter().find_map(|name| {
            // SAFETY: cuDNN may be loaded at any time.
            unsafe { Library::new(*name) }.ok()
        });
        let library =
            library.ok_or(CudaError::NoLibrary { library: "cuDNN (libcudnn)", remedy: REMEDY })?;
        let functions = Self::find(library)?;
        if functions.version() < OLDEST {
            let (what, needs, remedy) = ("cuDNN version", "9.0", REMEDY);
            return Err(CudaError::TooOld { what, found: functions.name(), needs, remedy }.into());
        }
        Ok(functions)
    }

    fn version(&self) -> usize {
        // SAFETY: it takes nothing and answers a number.
        unsafe { (self.get_version)() }
    }

    /// `cuDNN 9.13.0`.
    pub(super) fn name(&self) -> String {
        let version = self.version();
        // 91300 is 9.13.0; before 9, 8906 was 8.9.6.
        let (major, rest) = if version < 10_000 {
            (version / 1000, version % 1000)
        } else {
            (version / 10_000, version % 10_000)
        };
        format!("cuDNN {major}.{}.{}", rest / 100, rest % 100)
    }

    /// An error of `call` unless `status` is success.
    pub(super) fn check(&self, call: &'static str, status: Status) -> Result<()> {
        if status == 0 {
            return Ok(());
        }
        // SAFETY: it answers a text that stays, or null.
        let text = unsafe { (self.get_error_string)(status) };
        let text = if text.is_null() {
            "unknown".to_owned()
        } else {
            // SAFETY: as above.
            unsafe { CStr::from_ptr(text) }.to_string_lossy().into_owned()
        };
        Err(CudaError::Call { call, reason: format!("cuDNN status {status} ({text})") }.into())
    }
}
