//! `retinanet batch` and `retinanet merge`, run as a user runs them.

mod attacks;
mod coco;
mod kills;
mod logs;
mod photos;
mod pictures;
mod refusals;
mod same_bytes;
mod scene;
mod signatures;
