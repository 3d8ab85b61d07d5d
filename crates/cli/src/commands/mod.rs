//! One file a command: an `Args` and a `run`.

pub mod bench;
pub mod detect;
pub mod env;
pub mod generate;
pub mod verify;
pub mod weights;
