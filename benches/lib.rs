//! Criterion benches live in this package, so that criterion never reaches the library.
