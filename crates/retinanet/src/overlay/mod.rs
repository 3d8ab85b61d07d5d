//! What was found, as masks and drawn onto its picture.

mod canvas;
mod caption;
mod detections;
mod draw;

pub use draw::{OverlayBox, OverlayStyle, draw};
