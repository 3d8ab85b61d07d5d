//! candle custom operations over the kernels crate.
