//! `retinanet train` and `retinanet verify RUN`, run as a user runs them, with a model that is quick.

mod refusals;
mod resume;
mod same_bits;
mod scene;
mod verify;
