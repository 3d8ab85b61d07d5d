//! The kernels' source, its compiler, and the shelf where compiled kernels are kept.

use std::path::{Path, PathBuf};

use cudarc::nvrtc::{CompileError, CompileOptions, compile_ptx_with_opts};
use sha2::{Digest, Sha256};

use super::library::present;
use crate::Result;
use crate::error::CudaError;

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

impl Module {
    /// As [`compile`].
    pub(crate) fn compile(&self, capability: (i32, i32)) -> Result<String> {
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
        let architecture = format!("--gpu-architecture={}", architecture(capability));
        let options = COMPILER_OPTIONS.iter().map(|option| (*option).to_owned());
        let options = CompileOptions {
            options: options.chain([architecture]).collect(),
            name: Some(self.name.to_owned()),
            ..CompileOptions::default()
        };
        let ptx = compile_ptx_with_opts(&self.source, options).map_err(|error| {
            let log = match error {
                CompileError::CompileError { log, .. } => log.to_string_lossy().into_owned(),
                other => other.to_string(),
            };
            CudaError::Compile { log }
        })?;
        Ok(ptx.to_src())
    }

    /// The PTX: from `shelf`, where it was kept under the hash of source and options, else compiled now and
    /// put there. A shelf that cannot be read or written costs time only.
    pub(super) fn compiled(&self, capability: (i32, i32), shelf: Option<&Path>) -> Result<String> {
        let file = shelf.map(|shelf| shelf.join(self.file_name(capability)));
        if let Some(kept) = file.as_deref().and_then(read) {
            return Ok(kept);
        }
        let ptx = self.compile(capability)?;
        if let Some(file) = file {
            // Without it the next start compiles again: nothing is lost but a second.
            drop(write(&file, &ptx));
        }
        Ok(ptx)
    }

    fn file_name(&self, capability: (i32, i32)) -> String {
        let mut hash = Sha256::new();
        for part in COMPILER_OPTIONS.into_iter().chain([&*architecture(capability), &self.source]) {
            hash.update(part.as_bytes());
            hash.update([0]);
        }
        format!("{}.ptx", hex(&hash.finalize()))
    }
}

/// PTX for one generation runs on all later ones; 8.0 is the last that NVRTC of every release knows.
fn architecture((major, minor): (i32, i32)) -> String {
    if major >= 8 { "compute_80".to_owned() } else { format!("compute_{major}{minor}") }
}

/// First line of a kept file: the hash of the rest.
fn header(ptx: &str) -> String {
    format!("// sha256 {}\n", hex(&Sha256::digest(ptx.as_bytes())))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// What was kept, if it is whole.
fn read(file: &Path) -> Option<String> {
    let text = std::fs::read_to_string(file).ok()?;
    let (_, ptx) = text.split_once('\n')?;
    (text == header(ptx) + ptx).then(|| ptx.to_owned())
}

fn write(file: &Path, ptx: &str) -> std::io::Result<()> {
    let mut temporary = PathBuf::from(file);
    temporary.set_extension(format!("{}.partial", std::process::id()));
    if let Some(folder) = file.parent() {
        std::fs::create_dir_all(folder)?;
    }
    let written = std::fs::write(&temporary, header(ptx) + ptx);
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
        write(&file, ".version 8.0\n.target sm_80\n").unwrap();
        assert_eq!(read(&file).as_deref(), Some(".version 8.0\n.target sm_80\n"));
        let whole = std::fs::read(&file).unwrap();
        for damage in [&whole[..whole.len() - 1], &whole[..10], b"", b"\xff\n"] {
            std::fs::write(&file, damage).unwrap();
            assert_eq!(read(&file), None);
        }
        assert_eq!(std::fs::read_dir(&folder).unwrap().count(), 1);
        std::fs::remove_dir_all(folder).unwrap();
    }

    #[test]
    fn gpus_of_one_generation_share_their_kernels_and_older_ones_do_not() {
        let kernels = canonical();
        assert_eq!(kernels.file_name((8, 0)), kernels.file_name((9, 0)));
        assert_ne!(kernels.file_name((8, 0)), kernels.file_name((7, 5)));
    }
}
