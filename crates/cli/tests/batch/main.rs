//! `retinanet batch` and `retinanet merge`, run as a user runs them.

mod coco;
mod kills;
mod photos;
mod pictures;
mod refusals;
mod same_bytes;
mod scene;
