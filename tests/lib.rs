//! Whole-library tests live in this package, so that golden data never reaches the library.

pub mod generator;
pub mod parity_data;
