//! One file a command: an `Args` and a `run`.

pub mod batch;
pub mod detect;
pub mod merge;
