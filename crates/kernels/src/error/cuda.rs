//! What can go wrong on the way to a GPU.

/// A GPU that cannot be used, or stopped working.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CudaError {
    /// A library of the CUDA stack cannot be loaded.
    #[error("{library} cannot be loaded: {remedy}, or use the CPU, whose answers are the same")]
    NoLibrary {
        /// Which one.
        library: &'static str,
        /// What to install or set.
        remedy: &'static str,
    },
    /// There is no GPU of that number.
    #[error(
        "there is no GPU {ordinal}: the driver sees {count} (CUDA_VISIBLE_DEVICES may hide some); name one of them, or use the CPU, whose answers are the same"
    )]
    NoDevice {
        /// The number asked for, from 0.
        ordinal: usize,
        /// How many GPUs there are.
        count: usize,
    },
    /// The driver or the GPU is older than the kernels need.
    #[error("the {what} is {found}, but {needs} or later is needed: {remedy}")]
    TooOld {
        /// Driver, GPU or library.
        what: &'static str,
        /// Its version.
        found: String,
        /// The least version.
        needs: &'static str,
        /// What to do.
        remedy: &'static str,
    },
    /// The GPU's memory is used up.
    #[error(
        "the GPU has no room for {bytes} more bytes ({free} of {total} are free): detect fewer or smaller images together, end other programs on this GPU, or use another"
    )]
    OutOfMemory {
        /// What was asked for.
        bytes: usize,
        /// Free on the GPU.
        free: usize,
        /// All of the GPU's memory.
        total: usize,
    },
    /// NVRTC refused the kernels.
    #[error(
        "NVRTC could not compile the kernels: {log}; this is a fault of this library or of the NVRTC installed (version 12 or later is expected): please report it"
    )]
    Compile {
        /// What the compiler says.
        log: String,
    },
    /// Compiled kernels cannot be kept.
    #[error("{file} cannot be written: see that its folder can be, and has room")]
    Shelf {
        /// Where they were to be.
        file: String,
    },
    /// A call to the driver failed.
    #[error(
        "{call}: {reason}; after a fault of the GPU this process cannot use it any more: start again"
    )]
    Call {
        /// What was called.
        call: &'static str,
        /// What the driver says.
        reason: String,
    },
    /// More channels than a launch can spread over blocks.
    #[error(
        "{kernel}: {values} channels; a GPU takes at most 65535 here: use the CPU, whose answers are the same"
    )]
    TooManyChannels {
        /// What was to be started.
        kernel: &'static str,
        /// How many.
        values: usize,
    },
    /// A problem larger than a launch can address.
    #[error(
        "{what} has {values} values; a GPU launch addresses at most 2147483647: use a smaller image"
    )]
    TooLarge {
        /// Which map or matrix.
        what: &'static str,
        /// Its size.
        values: usize,
    },
}
