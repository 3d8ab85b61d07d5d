//! One file a command: an `Args` and a `run`.

pub mod detect;
pub mod eval;
