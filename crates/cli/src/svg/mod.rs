//! Drawings as SVG: text and charts. Everything that is drawn is in presentation attributes, so that a page may
//! forbid style attributes, and axes and words have the colour of the text around them.

mod chart;
mod curves;
mod plot;
mod text;
mod training;

pub use curves::{curve_panels, curves_file};
pub use plot::Plot;
pub use text::escaped;
pub use training::training_file;
