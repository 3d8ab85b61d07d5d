//! Finding a manifest's checkpoints on this machine, and downloading them.
//!
//! The cache holds, for every file, up to five names in the folder `CACHE/CHECKPOINT`:
//! `FILE` (complete and checked), `FILE.sha256` (the hash of the first use, in `sha256sum`'s form),
//! `FILE.part` and `FILE.part.json` (a download under way and what is needed to resume it) and
//! `FILE.lock` (held by the one process that downloads).

mod cache;
mod check;
#[cfg(feature = "fetch")]
mod client;
mod content;
#[cfg(feature = "fetch")]
mod download;
mod found;
mod hub_cache;
#[cfg(feature = "fetch")]
mod lock;
mod obtain;
mod options;
mod places;
#[cfg(feature = "fetch")]
mod progress;
#[cfg(feature = "fetch")]
mod transfer;

pub use content::{Content, fetch_content};
pub use found::{FetchedFile, Found, Pin};
pub use obtain::{fetch, find_cached};
pub use options::{DEFAULT_ENDPOINT, FetchOptions, Progress, Token};
