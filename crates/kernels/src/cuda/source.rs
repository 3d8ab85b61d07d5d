//! The kernels' source, its compiler, and the shelf where compiled kernels are kept.

use std::ffi::CString;
use std::path::{Path, PathBuf};

use cudarc::nvrtc::result::{self, NvrtcError};
use cudarc::nvrtc::sys;
use sha2::{Digest, Sha256};

use super::library::present;
use crate::error::CudaError;
use crate::{Error, Result};

/// In the order in which they build on each other.
const SOURCES: [&str; 10] = [
    include_str!("common.cu"),
    include_str!("gemm.cu"),
    include_str!("../conv2d/direct.cu"),
    include_str!("../conv2d/winograd.cu"),
    include_str!("../pool/pool.cu"),
    include_str!("../norm/norm.cu"),
    include_str!("../upsample/upsample.cu"),
    include_str!("../pointwise/pointwise.cu"),
    include_str!("../resize/resize.cu"),
    include_str!("../select/select.cu"),
];

/// What keeps the compiler to the contract: denormals stay, division and square root are exact, and
/// nothing is fused but what says so.
pub const COMPILER_OPTIONS: [&str; 5] =
    ["--ftz=false", "--prec-div=true", "--prec-sqrt=true", "--fmad=false", "--std=c++14"];

/// The source of all kernels, as one text.
pub fn source() -> String {
    SOURCES.join("\n")
}

/// Kernels that are compiled together.
pub(crate) struct Module {
    /// What the compiler's messages call it.
    pub(crate) name: &'static str,
    pub(crate) source: String,
}

/// All canonical kernels.
pub(super) fn canonical() -> Module {
    Module { name: "retinanet_kernels.cu", source: source() }
}

/// Compiles all kernels to PTX for GPUs of at least this compute capability, (8, 0) for instance. Needs
/// NVRTC but no GPU.
///
/// # Errors
/// [`CudaError::NoLibrary`] where NVRTC cannot be loaded, [`CudaError::Compile`] where it refuses.
pub fn compile(capability: (i32, i32)) -> Result<String> {
    canonical().compile(capability)
}

/// Compiles all kernels for GPUs of this compute capability and keeps them in the folder `shelf`, from
/// which [`Nvidia::open`](super::Nvidia::open) takes them on a machine without NVRTC. Needs NVRTC but no
/// GPU; does nothing where they are there already.
///
/// # Errors
/// As [`compile`]; [`CudaError::Shelf`] where they cannot be written.
pub fn prepare(capability: (i32, i32), shelf: &Path) -> Result<()> {
    canonical().prepare(capability, shelf)
}

impl Module {
    /// As [`compile`].
    pub(crate) fn compile(&self, capability: (i32, i32)) -> Result<String> {
        let text = self.build(&virtual_architecture(capability), result::get_ptx)?;
        let text = text.into_iter().take_while(|byte| *byte != 0);
        Ok(text.map(|byte| char::from(byte as u8)).collect())
    }

    /// As [`prepare`].
    pub(crate) fn prepare(&self, capability: (i32, i32), shelf: &Path) -> Result<()> {
        self.compiled(capability, Some(shelf))?;
        let file = shelf.join(self.file_name(capability));
        let kept = read(&file).map(drop);
        kept.ok_or_else(|| CudaError::Shelf { file: file.display().to_string() }.into())
    }

    /// What the driver is to load: machine code for this very chip, which no driver need translate and none is
    /// too old for within its major version; or PTX, where NVRTC is older than the chip. From `shelf`, where
    /// it was kept under the hash of source and options, else compiled now and put there. A shelf that
    /// cannot be read or written costs time only.
    pub(super) fn compiled(&self, capability: (i32, i32), shelf: Option<&Path>) -> Result<Vec<u8>> {
        let file = shelf.map(|shelf| shelf.join(self.file_name(capability)));
        if let Some(kept) = file.as_deref().and_then(read) {
            return Ok(kept);
        }
        let code = match self.build(&architecture(capability), cubin) {
            Ok(code) => code,
            Err(Error::Cuda(CudaError::Compile { log })) if log.contains(INVALID_OPTION) => {
                self.compile(capability)?.into_bytes()
            }
            Err(error) => return Err(error),
        };
        if let Some(file) = file {
            // Without it the next start compiles again: nothing is lost but a second.
            drop(write(&file, &code));
        }
        Ok(code)
    }

    /// Compiles for `architecture` and takes what `get` finds in the program.
    fn build<T>(
        &self,
        architecture: &str,
        get: unsafe fn(sys::nvrtcProgram) -> std::result::Result<Vec<T>, NvrtcError>,
    ) -> Result<Vec<T>> {
        if !present(&[
            "libnvrtc.so",
            "libnvrtc.so.13",
            "libnvrtc.so.12",
            "nvrtc64_130_0.dll",
            "nvrtc64_120_0.dll",
        ]) {
            let remedy = "install NVRTC (part of the CUDA toolkit, or `pip install nvidia-cuda-nvrtc`) and put its folder on LD_LIBRARY_PATH";
            return Err(CudaError::NoLibrary { library: "NVRTC (libnvrtc)", remedy }.into());
        }
        let refused = |log: String| Error::from(CudaError::Compile { log });
        let text = |text: &str| {
            CString::new(text).map_err(|_| refused("a zero byte in the source".to_owned()))
        };
        let (source, name) = (text(&self.source)?, text(self.name)?);
        let failed = |error: NvrtcError| refused(format!("{error:?}"));
        let program = result::create_program(&source, Some(&name)).map_err(failed)?;
        let architecture = format!("--gpu-architecture={architecture}");
        let options: Vec<&str> = COMPILER_OPTIONS.into_iter().chain([&*architecture]).collect();
        // SAFETY: the program was made a moment ago and goes below, after its last use; the source outlives
        // it.
        let built = unsafe { result::compile_program(program, &options) }.map_err(|error| {
            // SAFETY: as above.
            let log = unsafe { result::get_program_log(program) }.unwrap_or_default();
            let log = log.into_iter().take_while(|byte| *byte != 0);
            let log: String = log.map(|byte| char::from(byte as u8)).collect();
            refused(format!("{:?} for {architecture}: {}", error.0, log.trim()))
        });
        // SAFETY: as above.
        let code = built.and_then(|()| unsafe { get(program) }.map_err(failed));
        // SAFETY: as above.
        let _ = unsafe { result::destroy_program(program) };
        code
    }

    fn file_name(&self, capability: (i32, i32)) -> String {
        let mut hash = Sha256::new();
        for part in COMPILER_OPTIONS.into_iter().chain([&*architecture(capability), &self.source]) {
            hash.update(part.as_bytes());
            hash.update([0]);
        }
        format!("{}.cubin", hex(&hash.finalize()))
    }
}

/// How NVRTC calls an architecture that it does not know.
const INVALID_OPTION: &str = "NVRTC_ERROR_INVALID_OPTION";

/// Machine code out of a program that was compiled for a real architecture.
///
/// # Safety
/// The program is compiled and still there.
unsafe fn cubin(program: sys::nvrtcProgram) -> std::result::Result<Vec<u8>, NvrtcError> {
    let mut size = 0;
    // SAFETY: the caller's; it writes one number.
    unsafe { sys::nvrtcGetCUBINSize(program, &mut size) }.result()?;
    let mut code = vec![0u8; size];
    // SAFETY: the caller's; there is room for that many bytes.
    unsafe { sys::nvrtcGetCUBIN(program, code.as_mut_ptr().cast()) }.result()?;
    Ok(code)
}

/// The chip's own: what is compiled for it runs on it and on later ones of its major version.
fn architecture((major, minor): (i32, i32)) -> String {
    format!("sm_{major}{minor}")
}

/// PTX for one generation runs on all later ones; 8.0 is the last that NVRTC of every release knows.
fn virtual_architecture((major, minor): (i32, i32)) -> String {
    if major >= 8 { "compute_80".to_owned() } else { format!("compute_{major}{minor}") }
}

/// First line of a kept file: the hash of the rest.
fn header(code: &[u8]) -> String {
    format!("// sha256 {}\n", hex(&Sha256::digest(code)))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// What was kept, if it is whole.
fn read(file: &Path) -> Option<Vec<u8>> {
    let kept = std::fs::read(file).ok()?;
    let end = kept.iter().position(|byte| *byte == b'\n')? + 1;
    let (first, code) = kept.split_at(end);
    (first == header(code).as_bytes()).then(|| code.to_vec())
}

fn write(file: &Path, code: &[u8]) -> std::io::Result<()> {
    let mut temporary = PathBuf::from(file);
    temporary.set_extension(format!("{}.partial", std::process::id()));
    if let Some(folder) = file.parent() {
        std::fs::create_dir_all(folder)?;
    }
    let written = std::fs::write(&temporary, [header(code).as_bytes(), code].concat());
    written.and_then(|()| std::fs::rename(&temporary, file)).inspect_err(|_| {
        drop(std::fs::remove_file(&temporary));
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kept_file_is_used_only_whole() {
        let folder = std::env::temp_dir().join(format!("retinanet-shelf-{}", std::process::id()));
        let file = folder.join(canonical().file_name((9, 0)));
        assert_eq!(read(&file), None);
        write(&file, b"\x7fELF\n\0 code").unwrap();
        assert_eq!(read(&file).as_deref(), Some(&b"\x7fELF\n\0 code"[..]));
        let whole = std::fs::read(&file).unwrap();
        for damage in [&whole[..whole.len() - 1], &whole[..10], b"", b"\xff\n"] {
            std::fs::write(&file, damage).unwrap();
            assert_eq!(read(&file), None);
        }
        assert_eq!(std::fs::read_dir(&folder).unwrap().count(), 1);
        std::fs::remove_dir_all(folder).unwrap();
    }

    #[test]
    fn each_chip_has_machine_code_of_its_own() {
        let kernels = canonical();
        let names = [(7, 5), (8, 0), (8, 6), (9, 0)].map(|chip| kernels.file_name(chip));
        let all: std::collections::HashSet<_> = names.iter().collect();
        assert_eq!(all.len(), names.len());
    }
}
