//! The convolution library of NVIDIA's GPUs.

use std::collections::HashMap;
use std::ffi::{c_int, c_void};
use std::sync::{Arc, Mutex};

use super::descriptors::Descriptors;
use super::layers::finish_convolution;
use super::library::{Functions, Object, Performance, Status};
use super::{Convolution, ConvolutionLibrary, Format, Operands};
use crate::cuda::{Gpu, Nvidia, Stream};
use crate::error::CudaError;
use crate::{Error, Result};

/// cuDNN on one GPU, in the order of its stream.
///
/// How a convolution is computed is decided when its shape is first seen, and kept. Pinned, it is always
/// implicit GEMM with precomputed indices, multiplied and added in f32; else the fastest of those that
/// cuDNN times, once for all inputs of about the same size. Bias, residual and ReLU are part of cuDNN's kernel where it has one that does that.
#[derive(Debug)]
pub struct Cudnn {
    functions: Arc<Functions>,
    session: Mutex<Session>,
    /// The GPU and stream that the handle belongs to; it goes last.
    stream: Stream,
}

impl Drop for Cudnn {
    fn drop(&mut self) {
        // The handle goes on its own GPU. Where that fails, the GPU is lost, and the handle with it.
        let _ = self.stream.bind();
    }
}

/// What only one call may use at a time.
#[derive(Debug)]
struct Session {
    handle: Handle,
    plans: HashMap<Convolution, Plan>,
    /// Algorithms and their math, fastest first, by [`kind`].
    timings: HashMap<Convolution, Vec<(c_int, c_int)>>,
}

/// cuDNN's handle, which goes when it is dropped.
#[derive(Debug)]
struct Handle {
    object: Object,
    functions: Arc<Functions>,
}

// SAFETY: a handle and descriptors may be used by any thread, one at a time, which `Mutex` sees to.
unsafe impl Send for Session {}

impl Drop for Handle {
    fn drop(&mut self) {
        // SAFETY: it was made, and nobody uses it any more.
        let _ = unsafe { (self.functions.destroy)(self.object) };
    }
}

/// A convolution, described, and the way that worked.
#[derive(Debug)]
struct Plan {
    descriptors: Descriptors,
    way: Way,
}

/// How a convolution is computed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Way {
    algorithm: c_int,
    math: c_int,
    /// Whether cuDNN's kernel does what follows the sums too.
    fused: bool,
    /// Bytes of scratch memory.
    workspace: usize,
}

/// `CUDNN_CONVOLUTION_FWD_ALGO_IMPLICIT_PRECOMP_GEMM`.
const PRECOMPUTED: c_int = 1;
/// `CUDNN_CONVOLUTION_FWD_ALGO_COUNT`, and twice that for two kinds of math.
const MOST_RESULTS: usize = 16;
/// `CUDNN_DEFAULT_MATH`: TF32 is allowed. `CUDNN_TENSOR_OP_MATH`. `CUDNN_FMA_MATH`: it is not.
const DEFAULT_MATH: c_int = 0;
const TENSOR_MATH: c_int = 1;
const FMA_MATH: c_int = 3;
/// Bytes of scratch memory that a convolution may have.
const MOST_WORKSPACE: usize = 128 << 20;
/// What it gets to be timed with where there is no room for that.
const LITTLE_WORKSPACE: usize = 8 << 20;

impl Cudnn {
    /// Loads cuDNN and opens it on a GPU, whose stream it takes part in.
    ///
    /// # Errors
    /// [`CudaError`]: no cuDNN, one too old, or one that does not start.
    pub fn open(gpu: &Nvidia) -> Result<Self> {
        let functions = Arc::new(Functions::load()?);
        let stream = gpu.stream();
        stream.bind()?;
        let mut object = std::ptr::null_mut();
        // SAFETY: it writes the new handle there.
        functions.check("cudnnCreate", unsafe { (functions.create)(&mut object) })?;
        let handle = Handle { object, functions: Arc::clone(&functions) };
        // SAFETY: handle and stream are there, and the stream stays as long as this does.
        let status = unsafe { (functions.set_stream)(handle.object, stream.as_ptr()) };
        functions.check("cudnnSetStream", status)?;
        let session =
            Mutex::new(Session { handle, plans: HashMap::new(), timings: HashMap::new() });
        Ok(Self { functions, stream, session })
    }

    /// Name and version, for a report.
    pub fn name(&self) -> String {
        self.functions.name()
    }

    /// Name and version of the cuDNN installed. Needs no GPU.
    ///
    /// # Errors
    /// [`CudaError`]: no cuDNN, one too old, or one that lacks a function.
    pub fn installed() -> Result<String> {
        Ok(Functions::load()?.name())
    }

    /// Finds a way that works, and goes it.
    ///
    /// # Safety
    /// As [`ConvolutionLibrary::convolve`].
    unsafe fn plan(
        &self,
        gpu: &Gpu,
        session: &mut Session,
        convolution: &Convolution,
        operands: &Operands,
    ) -> Result<Plan> {
        let handle = session.handle.object;
        let descriptors = Descriptors::new(&self.functions, convolution)?;
        let math = if convolution.format == Format::F32 { DEFAULT_MATH } else { TENSOR_MATH };
        let found = if convolution.pinned {
            vec![(PRECOMPUTED, FMA_MATH)]
        } else if let Some(timed) = session.timings.get(&kind(convolution)) {
            timed.clone()
        } else {
            descriptors.set_math(math)?;
            // SAFETY: the caller's.
            let timed = unsafe { self.timed(gpu, handle, &descriptors, operands) };
            let mut found = match timed {
                Ok(found) => found,
                Err(error) if is_refusal(&error) => Vec::new(),
                Err(error) => return Err(error),
            };
            found.push((PRECOMPUTED, math));
            session.timings.insert(kind(convolution), found.clone());
            found
        };
        let ways = self.ways(handle, &descriptors, convolution, &found)?;
        let mut refusal = None;
        for way in ways {
            // SAFETY: the caller's.
            match unsafe { self.go(gpu, handle, &descriptors, way, convolution, operands) } {
                Ok(()) => return Ok(Plan { descriptors, way }),
                // Another way would be another answer.
                Err(error) if convolution.pinned && !is_refusal(&error) => return Err(error),
                // What is not supported says so before anything starts.
                Err(error) => refusal.get_or_insert(error),
            };
        }
        Err(refusal.unwrap_or_else(|| {
            let reason = format!("cuDNN offers no algorithm for {convolution:?}");
            CudaError::Call { call: "cudnnGetConvolutionForwardWorkspaceSize", reason }.into()
        }))
    }

    /// The ways to try with these algorithms and math, best first.
    fn ways(
        &self,
        handle: Object,
        descriptors: &Descriptors,
        convolution: &Convolution,
        found: &[(c_int, c_int)],
    ) -> Result<Vec<Way>> {
        let mut ways = Vec::new();
        // With no activation, cuDNN fuses with this algorithm alone.
        let fuses = |algorithm: c_int| convolution.relu || algorithm == PRECOMPUTED;
        let fused = found.iter().filter(|found| fuses(found.0)).map(|found| (found, true));
        for ((algorithm, math), fused) in fused.chain(found.iter().map(|found| (found, false))) {
            descriptors.set_math(*math)?;
            let mut workspace = 0;
            // SAFETY: all objects are there.
            let status = unsafe {
                (self.functions.workspace_size)(
                    handle,
                    descriptors.input(),
                    descriptors.filter(),
                    descriptors.convolution(),
                    descriptors.output(),
                    *algorithm,
                    &mut workspace,
                )
            };
            if status == 0 && (convolution.pinned || workspace <= MOST_WORKSPACE) {
                ways.push(Way { algorithm: *algorithm, math: *math, fused, workspace });
            }
        }
        Ok(ways)
    }

    /// cuDNN's algorithms and their math, fastest first. It overwrites the output.
    ///
    /// # Safety
    /// As [`ConvolutionLibrary::convolve`].
    unsafe fn timed(
        &self,
        gpu: &Gpu,
        handle: Object,
        descriptors: &Descriptors,
        operands: &Operands,
    ) -> Result<Vec<(c_int, c_int)>> {
        let (workspace, bytes) = match gpu.room::<u8>(MOST_WORKSPACE) {
            Ok(workspace) => (workspace, MOST_WORKSPACE),
            Err(_) => (gpu.room::<u8>(LITTLE_WORKSPACE)?, LITTLE_WORKSPACE),
        };
        let mut results = [Performance::NONE; MOST_RESULTS];
        let mut count = 0;
        // SAFETY: all objects are there; there is room for that many results, and that much scratch
        // memory; the operands are the caller's.
        let status = unsafe {
            (self.functions.find_algorithms)(
                handle,
                descriptors.input(),
                pointer(operands.input),
                descriptors.filter(),
                pointer(operands.weights),
                descriptors.convolution(),
                descriptors.output(),
                pointer(operands.output),
                MOST_RESULTS as c_int,
                &mut count,
                results.as_mut_ptr(),
                pointer(*workspace.pointer()),
                bytes,
            )
        };
        self.functions.check("cudnnFindConvolutionForwardAlgorithmEx", status)?;
        let count = usize::try_from(count).unwrap_or(0).min(MOST_RESULTS);
        let usable = results[..count].iter().filter(|result| result.status == 0);
        Ok(usable.map(|result| (result.algorithm, result.math)).collect())
    }

    /// Convolves in one of the ways.
    ///
    /// # Safety
    /// As [`ConvolutionLibrary::convolve`].
    unsafe fn go(
        &self,
        gpu: &Gpu,
        handle: Object,
        descriptors: &Descriptors,
        way: Way,
        convolution: &Convolution,
        operands: &Operands,
    ) -> Result<()> {
        descriptors.set_math(way.math)?;
        let workspace = gpu.room::<u8>(way.workspace)?;
        let scratch = pointer(*workspace.pointer());
        let (one, zero) = (1.0f32, 0.0f32);
        let one_at: *const c_void = std::ptr::from_ref(&one).cast();
        let zero_at: *const c_void = std::ptr::from_ref(&zero).cast();
        if !way.fused {
            // SAFETY: all objects are there, scratch memory is as large as this way needs, factors are
            // f32 for all formats; the operands are the caller's.
            let status = unsafe {
                (self.functions.forward)(
                    handle,
                    one_at,
                    descriptors.input(),
                    pointer(operands.input),
                    descriptors.filter(),
                    pointer(operands.weights),
                    descriptors.convolution(),
                    way.algorithm,
                    scratch,
                    way.workspace,
                    zero_at,
                    descriptors.output(),
                    pointer(operands.output),
                )
            };
            self.functions.check("cudnnConvolutionForward", status)?;
            // SAFETY: the caller's.
            return unsafe { finish_convolution(gpu, convolution, operands) };
        }
        // Without a residual it takes the output times nothing.
        let (factor, residual) = match convolution.residual {
            true => (one_at, operands.residual),
            false => (zero_at, operands.output),
        };
        // SAFETY: as above; the residual is like the output.
        let status: Status = unsafe {
            (self.functions.forward_fused)(
                handle,
                one_at,
                descriptors.input(),
                pointer(operands.input),
                descriptors.filter(),
                pointer(operands.weights),
                descriptors.convolution(),
                way.algorithm,
                scratch,
                way.workspace,
                factor,
                descriptors.output(),
                pointer(residual),
                descriptors.bias(),
                pointer(operands.bias),
                descriptors.activation(),
                descriptors.output(),
                pointer(operands.output),
            )
        };
        self.functions.check("cudnnConvolutionBiasActivationForward", status)
    }
}

impl ConvolutionLibrary for Cudnn {
    unsafe fn convolve(
        &self,
        gpu: &Gpu,
        convolution: &Convolution,
        operands: &Operands,
    ) -> Result<()> {
        self.stream.bind()?;
        let mut session = self.session.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        let handle = session.handle.object;
        if let Some(Plan { descriptors, way }) = session.plans.get(convolution) {
            // SAFETY: the caller's.
            return unsafe { self.go(gpu, handle, descriptors, *way, convolution, operands) };
        }
        // SAFETY: the caller's.
        let plan = unsafe { self.plan(gpu, &mut session, convolution, operands)? };
        session.plans.insert(*convolution, plan);
        Ok(())
    }
}

/// What convolutions have in common that are timed once: all but the sizes, of which the order of magnitude
/// counts, so that pictures of many sizes do not each begin with a search.
fn kind(convolution: &Convolution) -> Convolution {
    let order = |[height, width]: [usize; 2]| [(height * width).max(1).ilog2() as usize, 0];
    Convolution {
        input: order(convolution.input),
        output: order(convolution.output),
        residual: false,
        ..*convolution
    }
}

/// Whether cuDNN refused a way, rather than the GPU being full.
fn is_refusal(error: &Error) -> bool {
    matches!(error, Error::Cuda(CudaError::Call { .. }))
}

fn pointer(address: u64) -> *mut c_void {
    address as *mut c_void
}
