//! Images listed and loaded in an order that depends on the seed, the epoch and the index, never on
//! the workers.
//!
//! ```no_run
//! use retinanet::Detector;
//! use retinanet::data::{ImageFiles, Listing, Loader, LoaderConfig};
//!
//! # fn main() -> retinanet::Result<()> {
//! let detector = Detector::builder().weights("person_r18.safetensors").build()?;
//! let photos = ImageFiles::new(Listing::of(&["photos"])?);
//! let loader = Loader::new(photos, LoaderConfig { workers: 2, ..LoaderConfig::default() })?;
//! for sample in loader.epoch(0)? {
//!     match sample.result {
//!         Ok(image) => println!("{}: {}", sample.index, detector.detect(&image)?.len()),
//!         Err(error) => eprintln!("{}: {error}", sample.index), // and on with the next
//!     }
//! }
//! # Ok(())
//! # }
//! ```
//!
//! # PyTorch's DataLoader recipe, line by line
//!
//! PyTorch's notes on reproducibility say: seed every worker in a `worker_init_fn` (from
//! `torch.initial_seed()`, for `random` and NumPy too) and give the loader a seeded `generator`. Then a run can
//! be repeated with the *same* `num_workers`: the random changes of a sample come from the state of the
//! worker that happens to load it, and that state depends on what the worker loaded before.
//!
//! | PyTorch | here | why |
//! |---|---|---|
//! | `generator=g; g.manual_seed(s)` | [`LoaderConfig::seed`] | The order of epoch e is a function of (seed, name, e): it does not depend on how often a generator was used before, so a run that starts again at epoch 7 sees epoch 7's order. |
//! | `worker_init_fn=seed_worker` | nothing | A sample's random stream is a function of (seed, name, epoch, index). No worker has a random state, so the number of workers changes no bit. |
//! | `random`, `numpy.random` inside `__getitem__` | the [`Stream`](crate::determinism::Stream) given to [`Dataset::get`] | |
//! | `num_workers=n` | [`LoaderConfig::workers`] | 0 loads in the caller's thread, as in PyTorch. |
//! | `prefetch_factor` | [`LoaderConfig::ahead`], [`LoaderConfig::max_bytes`] | Samples that wait are bounded in number and in bytes. |
//! | `in_order=True` | always | |
//! | `shuffle=True` | [`LoaderConfig::shuffle`] | |
//! | `DistributedSampler` | [`LoaderConfig::shard`] | No padding: no sample twice. `set_epoch` is the argument of [`Loader::epoch`]. |
//! | `drop_last`, `batch_size` | [`Epoch`] is an iterator: group its samples as you like | |
//! | an exception in a worker ends the epoch | [`Sample::result`] | An error, or a panic, is that sample's result; the others come as they would have. |

mod endings;
mod image_files;
mod listing;
mod loader;
mod paths;
mod queue;
mod search;
mod shard;
#[cfg(test)]
mod tests;

pub use crate::error::DataError;
pub use image_files::ImageFiles;
pub use listing::{ListDigest, Listing};
pub use loader::{Dataset, Epoch, LoadError, Loader, LoaderConfig, Sample};
pub use shard::Shard;
