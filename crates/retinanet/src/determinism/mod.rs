//! One value that says how repeatable an answer must be: mode, seeds, checks, environment, digests.
//!
//! ```
//! use retinanet::determinism::{Determinism, Fan, Init, Purpose};
//!
//! # fn main() -> retinanet::Result<()> {
//! let determinism = Determinism::strict(3407); // also Determinism::default()
//!
//! // New layers start from the same bits on every machine.
//! let init = Init::KaimingUniform { fan: Fan::In, gain: 1.0 };
//! let head = determinism.initial_values("my_head.weight", &[2, 256], init)?;
//!
//! // Epoch 0 visits the samples in the same order on every machine.
//! let mut order: Vec<usize> = (0..1000).collect();
//! determinism.stream(Purpose::Shuffle, "train", 0).shuffle(&mut order);
//! # let _ = head;
//! # Ok(())
//! # }
//! ```
//!
//! # First of all: labels that change at every run
//!
//! A detector that names other things at each start, on the same picture, usually has no problem
//! with seeds: its weights were never loaded, and the layers that lack them were drawn at random. A
//! seed then makes the same wrong answer come back every time and hides the fault. Loading here is
//! strict: a tensor that is missing, unexpected or of another shape is an error that lists it. A
//! trained network in inference draws no random number at all.
//!
//! # The usual PyTorch recipe, line by line
//!
//! | PyTorch | here | why |
//! |---|---|---|
//! | `random.seed(s)`, `np.random.seed(s)`, `torch.manual_seed(s)` | [`Determinism::strict`]`(s)` | One seed. There is no global generator whose state depends on what was drawn before: each [`Stream`] is keyed by seed, [`Purpose`], name and index. |
//! | `torch.cuda.manual_seed_all(s)` | `Determinism::prepare_device` (feature `candle`) for each device | It seeds candle's generator on that device. This crate itself draws nothing there: initial values are made on the CPU and copied. candle cannot seed its CPU generator. |
//! | `cudnn.deterministic = True` | strict mode | On the CPU every operation has one fixed order of arithmetic. On a GPU a detector's kernels keep the CPU's order; see [the table below](#on-a-gpu). For candle's own convolutions, `Determinism::cudnn_forward_algorithm` pins the algorithm and `prepare_device` insists on `NVIDIA_TF32_OVERRIDE=0`. |
//! | `cudnn.benchmark = False` | nothing | In strict mode no algorithm is chosen by timing: it follows from the weights' shape and the stride. Only the fast mode on a GPU with the feature `cudnn` lets cuDNN time its algorithms, once for each shape. |
//! | `PYTHONHASHSEED=0` | nothing | Rust's hash maps change their order too, but no answer depends on it. candle's `VarMap` is one: use `candle::vars_in_name_order`. |
//! | `torch.use_deterministic_algorithms(True)` | strict mode, the default | An operation without a deterministic implementation is [`DeterminismError::UnsupportedOperation`], which names it; nothing falls back silently. |
//! | `CUBLAS_WORKSPACE_CONFIG=:4096:8` | the same, on CUDA only | It must be set before the program starts. `prepare_device` checks it and says what to set. The CPU needs no variable. |
//! | `DataLoader(generator=g)` | [`Determinism::stream`]`(Purpose::Shuffle, data set, epoch)`, then [`Stream::shuffle`] | [`data::Loader`](crate::data::Loader) does it: the order of an epoch does not depend on the epochs before it. |
//! | `DataLoader(worker_init_fn=f)` | the stream that [`data::Dataset::get`](crate::data::Dataset::get) is given | It belongs to the sample and the epoch, not to the worker, so the number of workers changes nothing. |
//! | seeding before new or unfrozen layers are made | [`Determinism::initial_values`]; with the feature `candle`, `Determinism::var_builder` and `trainable_var_builder` | Each tensor comes from its own full name, so the order of layers changes nothing. |
//! | `DistributedDataParallel`, one seed a rank | not offered yet | Neither is training: the order in which gradients are summed would have to be fixed first. |
//!
//! # On a GPU
//!
//! | mode | what convolves | what is promised |
//! |---|---|---|
//! | strict (the default) | this crate's kernels (feature `cuda`) | The bits of the CPU, on every GPU and driver: each output is summed in one fixed order from operations that IEEE 754 rounds. |
//! | strict, with `DetectorBuilder::cudnn(true)` (feature `cudnn`) | cuDNN: implicit GEMM with precomputed indices, f32 without TF32 | The same bits in every run, alone or in a batch, on one machine: as long as GPU, driver and cuDNN stay the same. No other machine need answer them, nor the CPU. `CUBLAS_WORKSPACE_CONFIG` and `NVIDIA_TF32_OVERRIDE` must be set as [`cuda_setting_problems`] says. [`Environment`] names cuDNN beside the device and lists the limit as a problem. |
//! | fast, with the feature `cudnn` | cuDNN's fastest algorithm, timed when a shape is first seen; f32 (TF32 allowed), f16 or bf16 | Nothing about bits. Sums are f32; the layers between convolutions keep one fixed order. |
//! | fast, without the feature or with `DetectorBuilder::cudnn(false)` | this crate's kernels | As strict. |
//!
//! # What else can change bits
//!
//! Threads, batch neighbours and the CPU's vector width do not, by the order of arithmetic; equal
//! scores do not, since ties go to the lower (level, flattened index). Formats other than f32 and
//! NaNs have no portable bits and are refused. [`Environment`] reports what an answer was computed
//! with, and [`StageDigests`] finds the stage where two machines part. A [`Receipt`](crate::receipt::Receipt) holds both, for
//! anyone to re-run.

mod digest;
#[cfg(test)]
mod digest_tests;
mod environment;
mod init;
mod mode;
mod normal;
mod philox;
mod settings;
mod stages;
mod streams;
#[cfg(test)]
mod streams_tests;

pub use crate::error::{DeterminismError, SettingProblem};
pub use digest::{DIGEST_TAG, Digest, DigestWriter, digest_detections, digest_f32, digest_u8};
pub use environment::{Cpu, Environment, NUMERICS_VERSION, Versions};
pub use init::{Fan, Init};
pub use mode::{DEFAULT_SEED, Determinism, Mode};
pub use settings::cuda_setting_problems;
pub use stages::{Stage, StageDifference, StageDigests};
pub use streams::{Purpose, Stream};
