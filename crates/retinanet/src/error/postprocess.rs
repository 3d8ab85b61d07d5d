//! The network's outputs, and settings for them.

/// The network's outputs cannot be turned into detections.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum PostprocessError {
    /// The network put out a NaN or an infinity.
    #[error(
        "level {level}: the {output} is {value} at channel {channel}, row {y}, column {x}; \
         the weights or the input image hold NaN, infinite or far too large values"
    )]
    NonFinite {
        /// `classification logit` or `box regression`.
        output: &'static str,
        /// Which feature level, 0 being the finest.
        level: usize,
        /// Its channel: `anchor * classes + class`, or `anchor * 4 + coordinate`.
        channel: usize,
        /// Row of the feature map.
        y: usize,
        /// Column of the feature map.
        x: usize,
        /// The value.
        value: f32,
    },
    /// Finite outputs whose decoded box is not a box.
    #[error(
        "level {level}: anchor {anchor} at row {y}, column {x} decodes to {decoded:?}; \
         its regression is {regression:?} and its anchor box {anchor_box:?}, one of which is far too large"
    )]
    BadBox {
        /// Which feature level.
        level: usize,
        /// Which of the anchors of its location.
        anchor: usize,
        /// Row of the feature map.
        y: usize,
        /// Column of the feature map.
        x: usize,
        /// dx, dy, dw, dh.
        regression: [f32; 4],
        /// x1, y1, x2, y2 of the anchor.
        anchor_box: [f32; 4],
        /// x1, y1, x2, y2 of the result.
        decoded: [f32; 4],
    },
    /// An output whose size does not fit its level.
    #[error(
        "level {level}: {what} has {actual} values, but a grid of {height}x{width} with {anchors} anchors and {classes} classes needs {expected}"
    )]
    Length {
        /// Which output.
        what: &'static str,
        /// Which feature level.
        level: usize,
        /// Rows of the feature map.
        height: usize,
        /// Columns of the feature map.
        width: usize,
        /// Anchors on the whole level.
        anchors: usize,
        /// Number of classes.
        classes: usize,
        /// How many values it has.
        actual: usize,
        /// How many it needs.
        expected: usize,
    },
    /// Anchors that do not fill the grid, or a size beyond the address space.
    #[error(
        "level {level}: {anchors} anchors and {classes} classes do not fit a grid of {height}x{width} (the same number of anchors on every location is needed)"
    )]
    Grid {
        /// Which feature level.
        level: usize,
        /// Rows of the feature map.
        height: usize,
        /// Columns of the feature map.
        width: usize,
        /// Anchors on the whole level.
        anchors: usize,
        /// Number of classes.
        classes: usize,
    },
    /// A setting that cannot be used.
    #[error("post-processing: {name} is {value}; {needs}")]
    Config {
        /// The field.
        name: &'static str,
        /// Its value, printed.
        value: String,
        /// What it must be.
        needs: &'static str,
    },
    /// A detection that cannot be one.
    #[error("detection {index}: {name} is {value}; {needs}")]
    Detection {
        /// Its place in the list.
        index: usize,
        /// What is wrong.
        name: &'static str,
        /// Its value, printed.
        value: String,
        /// What it must be.
        needs: &'static str,
    },
}
