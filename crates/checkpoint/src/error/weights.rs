//! What can go wrong while a checkpoint is read, loaded or written.

use std::path::PathBuf;

use super::mismatch::Mismatch;

/// A checkpoint could not be read, does not fit the model, or is damaged.
///
/// Names that come from a file are shown quoted and with control characters escaped.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum WeightsError {
    /// The operating system refused to open, read or stat the file.
    #[error("checkpoint {path:?}: cannot {action}: {source}")]
    Read {
        /// The file.
        path: PathBuf,
        /// What was tried.
        action: &'static str,
        /// The system's reason.
        source: std::io::Error,
    },
    /// The path names a directory, a pipe or a device.
    #[error(
        "checkpoint {path:?}: not a regular file; give the path of a .safetensors or .pth file"
    )]
    NotAFile {
        /// The path.
        path: PathBuf,
    },
    /// The file has no bytes.
    #[error("checkpoint {path:?}: the file is empty; download or copy it again")]
    Empty {
        /// The file.
        path: PathBuf,
    },
    /// The file is larger than this reader takes.
    #[error(
        "checkpoint {path:?}: {bytes} bytes, over the limit of {limit}; save the model's state dict alone"
    )]
    TooLarge {
        /// The file.
        path: PathBuf,
        /// Its size in bytes.
        bytes: u64,
        /// The largest size taken, in bytes.
        limit: u64,
    },
    /// The file became shorter or longer while it was read.
    #[error(
        "checkpoint {path:?}: its length changed while it was being read; wait until it is written, then try again"
    )]
    Changed {
        /// The file.
        path: PathBuf,
    },
    /// The first bytes belong to no format that is read here.
    #[error("checkpoint {path:?}: neither safetensors nor a PyTorch .pth: {reason}")]
    UnknownFormat {
        /// The file.
        path: PathBuf,
        /// What the first bytes look like.
        reason: String,
    },
    /// A safetensors file whose header or offsets are not valid.
    #[error("checkpoint {path:?}: not a valid safetensors file: {reason}")]
    Safetensors {
        /// The file.
        path: PathBuf,
        /// What is wrong, with the tensor where one is at fault.
        reason: String,
    },
    /// A .pth whose container, pickle or storages are not valid.
    #[error("checkpoint {path:?}: not a valid .pth file: {reason}")]
    Pth {
        /// The file.
        path: PathBuf,
        /// What is wrong, with the entry or tensor where one is at fault.
        reason: String,
    },
    /// A .pth that names code outside the fixed list; nothing was executed.
    #[error(
        "checkpoint {path:?}: it asks for the callable {callable}, which is not a part of a plain \
         state dict; nothing was executed. Save the weights alone: torch.save(model.state_dict(), path)"
    )]
    ForeignCallable {
        /// The file.
        path: PathBuf,
        /// The module and name, quoted.
        callable: String,
    },
    /// A .pth with a compressed entry.
    #[error(
        "checkpoint {path:?}: entry {entry} is compressed or encrypted, which PyTorch never writes; save it again with torch.save"
    )]
    CompressedEntry {
        /// The file.
        path: PathBuf,
        /// The entry's name, quoted.
        entry: String,
    },
    /// A tensor's element type cannot be loaded as f32 without a silent change.
    #[error(
        "checkpoint {path:?}: tensor {tensor} is {dtype}; only F32, F16 and BF16 are loaded. \
         Convert it where it was made, for example with model.float()"
    )]
    UnsupportedDtype {
        /// The file.
        path: PathBuf,
        /// The tensor's name, quoted.
        tensor: String,
        /// Its element type.
        dtype: String,
    },
    /// A weight is NaN or infinite.
    #[error(
        "checkpoint {path:?}: tensor {tensor} holds {value} at index {index}; the weights are damaged or training diverged"
    )]
    NotFinite {
        /// The file.
        path: PathBuf,
        /// The tensor's name, quoted.
        tensor: String,
        /// Index of the first such element, in row-major order.
        index: usize,
        /// The element: NaN, inf or -inf.
        value: f32,
    },
    /// Two tensors of the file get the same name.
    #[error(
        "checkpoint {path:?}: tensors {first} and {second} are both named {name} once old names are translated"
    )]
    NameCollision {
        /// The file.
        path: PathBuf,
        /// A name as stored, quoted.
        first: String,
        /// The other name as stored, quoted.
        second: String,
        /// The common name, quoted.
        name: String,
    },
    /// The file's tensors are not the model's tensors.
    #[error("checkpoint {path:?}: {mismatch}")]
    Mismatch {
        /// The file.
        path: PathBuf,
        /// Every missing, unexpected and mis-shaped tensor, and what the file seems to be.
        mismatch: Box<Mismatch>,
    },
    /// A tensor was asked for that is not there, or was already taken.
    #[error("tensor {name} is not among the loaded ones{near}")]
    NoSuchTensor {
        /// The name asked for, quoted.
        name: String,
        /// A hint naming a near match, or empty.
        near: String,
    },
    /// There is not enough memory for the file.
    #[error("checkpoint {path:?}: cannot allocate {bytes} bytes for it")]
    OutOfMemory {
        /// The file.
        path: PathBuf,
        /// The size of the failed allocation.
        bytes: u64,
    },
    /// The tensors given to the writer contradict themselves.
    #[error("cannot write checkpoint {path:?}: {reason}")]
    InvalidOutput {
        /// The file.
        path: PathBuf,
        /// What is wrong, with the tensor at fault.
        reason: String,
    },
}
