//! The library as its users meet it, and the promise of equal bits.

mod accuracy;
mod bad_images;
mod bad_weights;
mod deepforest;
mod demo_checkpoint;
mod detector;
mod determinism;
mod evidence;
mod formats;
mod layers;
mod names;
mod readme;
mod small_forward;
mod tiles;
mod vectors;
