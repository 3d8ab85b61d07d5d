//! One file a command: an `Args` and a `run`.

pub mod batch;
pub mod bench;
pub mod detect;
pub mod env;
pub mod eval;
pub mod generate;
pub mod keys;
pub mod merge;
pub mod report;
pub mod train;
pub mod verify;
pub mod weights;
