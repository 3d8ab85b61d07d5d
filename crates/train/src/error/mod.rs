//! The crate's one error type, and each group's own.

mod data;
mod gradient;
mod recipe;
mod run;
mod state;

pub use data::DataError;
pub use gradient::GradientError;
pub use recipe::RecipeError;
pub use run::RunError;
pub use state::StateError;

/// Why a step of training was refused.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A box of an object cannot be trained on.
    #[error(
        "object {index} has the box {corners:?}: {reason}; drop such objects, or mend the annotation"
    )]
    ObjectBox {
        /// Which object of the image.
        index: usize,
        /// x1, y1, x2, y2 in pixels of the input.
        corners: [f32; 4],
        /// What is wrong with it.
        reason: &'static str,
    },
    /// An anchor that no generator makes.
    #[error("anchor {index} is {corners:?}: {reason}; check the anchors' sizes and ratios")]
    Anchor {
        /// Which anchor.
        index: usize,
        /// x1, y1, x2, y2 in pixels of the input.
        corners: [f32; 4],
        /// What is wrong with it.
        reason: &'static str,
    },
    /// An object's class is not one of the model's.
    #[error(
        "object {index} is of class {class}, and the model has {classes} classes (0 to {}); \
         give the model more classes, or map the labels",
        classes.saturating_sub(1)
    )]
    Class {
        /// Which object of the image.
        index: usize,
        /// Its class.
        class: usize,
        /// How many the model has.
        classes: usize,
    },
    /// A setting makes no sense.
    #[error("`{setting}` is {value}; expected {expected}")]
    Setting {
        /// Its name.
        setting: &'static str,
        /// What it is.
        value: String,
        /// What it could be.
        expected: &'static str,
    },
    /// A slice's length does not match the anchors.
    #[error("{what}: expected {expected} values, got {actual}")]
    Length {
        /// Which argument.
        what: &'static str,
        /// How many values are needed.
        expected: usize,
        /// How many it has.
        actual: usize,
    },
    /// A loss is infinite or not a number.
    #[error(
        "the {loss} loss is {value}: the network's output holds values that are not finite, or too large; \
         go back to the last good checkpoint, and lower the learning rate"
    )]
    NotFinite {
        /// `classification` or `box`.
        loss: &'static str,
        /// What it came to.
        value: f32,
    },
    /// Gradients cannot be summed.
    #[error(transparent)]
    Gradient(#[from] GradientError),
    /// A recipe is not one.
    #[error(transparent)]
    Recipe(#[from] RecipeError),
    /// A training state cannot be read or written.
    #[error(transparent)]
    State(#[from] StateError),
    /// The model, its weights or a file of tensors.
    #[error(transparent)]
    Library(#[from] retinanet::Error),
    /// A run cannot begin, go on or be trusted.
    #[error(transparent)]
    Run(#[from] RunError),
    /// A file could not be written.
    #[error(transparent)]
    Write(#[from] retinanet::WriteError),
    /// Training data cannot be used.
    #[error(transparent)]
    Data(#[from] DataError),
    /// The kernels refused.
    #[error(transparent)]
    Kernels(#[from] retinanet_kernels::Error),
}

impl From<retinanet_checkpoint::Error> for Error {
    fn from(error: retinanet_checkpoint::Error) -> Self {
        Self::Library(error.into())
    }
}

/// A `Result` with this crate's [`enum@Error`].
pub type Result<T, E = Error> = std::result::Result<T, E>;
