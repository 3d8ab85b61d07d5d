//! Whole-library tests live in this package, so that golden data never reaches the library.

pub mod demo;
pub mod float_env;
pub mod generator;
pub mod new_process;
pub mod parity_data;
pub mod parity_models;
pub mod reduced;
pub mod reduced_training;
